/* w + sign * epsilon * z, z drawn here or given. See contract.md. */
#include "fxp_random.h"
#include "fxp_steps.h"
#include "fxpgrad_kernels.h"

enum { EXACT = 0 };

/* Perturb weights that share one epsilon, which carries the sign; return how many saturated. WIDE holds
 * epsilon * z and what a weight becomes: 32 bits suffice where epsilon stays within 2^24. */
#define DEFINE_RUN(NAME, TYPE, MADE, WIDE, LOW, HIGH, WANTED)                                                \
    static int32_t NAME(                                                                                     \
        const TYPE *weights, const int8_t *z, MADE *output, int32_t count, int32_t epsilon) {                \
        int32_t saturated = 0;                                                                               \
        for (int32_t j = 0; j < count; j++) {                                                                \
            const WIDE product = (WIDE)epsilon * z[j];                                                       \
            const WIDE wanted = WANTED;                                                                      \
            const WIDE kept = wanted < LOW ? LOW : wanted > HIGH ? HIGH : wanted;                            \
            saturated += kept != wanted;                                                                     \
            output[j] = (MADE)kept;                                                                          \
        }                                                                                                    \
        return saturated;                                                                                    \
    }

#define DELTA ((product + 16 - (product < 0)) >> 5)
#define UPPER_BYTE fxp_clamp((weights[j] + 128) >> 8, -127, 127)
#define PAPER(WIDE) (WIDE)((((int64_t)weights[j] * 36 + product) * 28898) >> 20)

DEFINE_RUN(exact_w8, int8_t, int8_t, int32_t, -127, 127, weights[j] + DELTA)
DEFINE_RUN(exact_w16, int16_t, int16_t, int32_t, -32767, 32767, weights[j] + DELTA)
DEFINE_RUN(exact_b32, int32_t, int32_t, int64_t, INT32_MIN, INT32_MAX, weights[j] + DELTA)
DEFINE_RUN(exact_split, int16_t, int8_t, int32_t, -127, 127, (int32_t)UPPER_BYTE + DELTA)
DEFINE_RUN(paper_w8, int8_t, int8_t, int32_t, -127, 127, PAPER(int32_t))
DEFINE_RUN(paper_w16, int16_t, int16_t, int32_t, -32767, 32767, PAPER(int32_t))
DEFINE_RUN(paper_b32, int32_t, int32_t, int64_t, INT32_MIN, INT32_MAX, PAPER(int64_t))

#define DEFINE_PERTURB(NAME, TYPE, IN_FORM_EXACT, IN_FORM_PAPER)                                             \
    int64_t NAME(                                                                                            \
        const TYPE *weights, const int32_t *epsilon, const int16_t *table, TYPE *output, int32_t N,          \
        int32_t C, int32_t T, int64_t seed, int64_t step, int32_t direction, int64_t tensor, int32_t sign,   \
        int32_t form, int32_t distribution, int64_t first_index) {                                           \
        const fxp_stream stream = fxp_stream_of(FXP_FOR_DIRECTION, seed, step, direction, tensor);           \
        const int32_t per_channel = fxp_per_channel(N, C);                                                   \
        int64_t saturated = 0;                                                                               \
        (void)T;                                                                                             \
        for (int32_t start = 0, count; start < N; start += count) {                                          \
            int8_t z[FXP_RUN];                                                                               \
            count = N - start < FXP_RUN ? N - start : FXP_RUN;                                               \
            fxp_fill_directions(table, z, count, first_index + start, &stream, distribution);                \
            for (int32_t i = start, end; i < start + count; i = end) {                                       \
                const int32_t c = i / per_channel, size = sign * epsilon[c];                                 \
                end = fxp_channel_end(c, per_channel, start + count);                                        \
                saturated += form == EXACT                                                                   \
                                 ? IN_FORM_EXACT(weights + i, z + (i - start), output + i, end - i, size)    \
                                 : IN_FORM_PAPER(weights + i, z + (i - start), output + i, end - i, size);   \
            }                                                                                                \
        }                                                                                                    \
        return saturated;                                                                                    \
    }

DEFINE_PERTURB(fxp_perturb_w8, int8_t, exact_w8, paper_w8)
DEFINE_PERTURB(fxp_perturb_w16, int16_t, exact_w16, paper_w16)
DEFINE_PERTURB(fxp_perturb_b32, int32_t, exact_b32, paper_b32)

#define DEFINE_PERTURB_PAIR(NAME, TYPE, IN_FORM_EXACT, IN_FORM_PAPER)                                        \
    int64_t NAME(                                                                                            \
        const TYPE *weights, const int32_t *epsilon, const int16_t *table, TYPE *plus, TYPE *minus,          \
        int32_t N, int32_t C, int32_t T, int64_t seed, int64_t step, int32_t direction, int64_t tensor,      \
        int32_t form, int32_t distribution, int64_t first_index) {                                           \
        const fxp_stream stream = fxp_stream_of(FXP_FOR_DIRECTION, seed, step, direction, tensor);           \
        const int32_t per_channel = fxp_per_channel(N, C);                                                   \
        int64_t saturated = 0;                                                                               \
        (void)T;                                                                                             \
        for (int32_t start = 0, count; start < N; start += count) {                                          \
            int8_t z[FXP_RUN];                                                                               \
            count = N - start < FXP_RUN ? N - start : FXP_RUN;                                               \
            fxp_fill_directions(table, z, count, first_index + start, &stream, distribution);                \
            for (int32_t i = start, end; i < start + count; i = end) {                                       \
                const int32_t c = i / per_channel, size = epsilon[c];                                        \
                const int8_t *drawn = z + (i - start);                                                       \
                end = fxp_channel_end(c, per_channel, start + count);                                        \
                if (form == EXACT) {                                                                         \
                    saturated += IN_FORM_EXACT(weights + i, drawn, plus + i, end - i, size);                 \
                    saturated += IN_FORM_EXACT(weights + i, drawn, minus + i, end - i, -size);               \
                } else {                                                                                     \
                    saturated += IN_FORM_PAPER(weights + i, drawn, plus + i, end - i, size);                 \
                    saturated += IN_FORM_PAPER(weights + i, drawn, minus + i, end - i, -size);               \
                }                                                                                            \
            }                                                                                                \
        }                                                                                                    \
        return saturated;                                                                                    \
    }

DEFINE_PERTURB_PAIR(fxp_perturb_pair_w8, int8_t, exact_w8, paper_w8)
DEFINE_PERTURB_PAIR(fxp_perturb_pair_w16, int16_t, exact_w16, paper_w16)
DEFINE_PERTURB_PAIR(fxp_perturb_pair_b32, int32_t, exact_b32, paper_b32)

#define DEFINE_PERTURB_ALONG(NAME, TYPE, MADE, IN_FORM_EXACT)                                                \
    int64_t NAME(                                                                                            \
        const TYPE *weights, const int32_t *epsilon, const int8_t *z, MADE *output, int32_t N, int32_t C,    \
        int32_t sign) {                                                                                      \
        const int32_t per_channel = fxp_per_channel(N, C);                                                   \
        int64_t saturated = 0;                                                                               \
        for (int32_t c = 0; c < C; c++) {                                                                    \
            const int32_t i = c * per_channel;                                                               \
            saturated += IN_FORM_EXACT(weights + i, z + i, output + i, per_channel, sign * epsilon[c]);      \
        }                                                                                                    \
        return saturated;                                                                                    \
    }

DEFINE_PERTURB_ALONG(fxp_perturb_along_w8, int8_t, int8_t, exact_w8)
DEFINE_PERTURB_ALONG(fxp_perturb_along_w16, int16_t, int16_t, exact_w16)
DEFINE_PERTURB_ALONG(fxp_perturb_along_b32, int32_t, int32_t, exact_b32)
DEFINE_PERTURB_ALONG(fxp_perturb_split, int16_t, int8_t, exact_split)
