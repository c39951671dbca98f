/* w -= round(g * multiplier * 2^(shift - 31)), g summed from
 * directions that are drawn again. See contract.md. */
#include "fxp_random.h"
#include "fxp_steps.h"
#include "fxpgrad_kernels.h"

/* g = sum_i signs[i] * z_i of a run of weights. The caller keeps it within int16. */
static void sum_directions(
    int16_t *sums, int32_t count, int32_t start, const int32_t *signs, int32_t M, const int16_t *table,
    int64_t seed, int64_t step, int64_t tensor, int32_t distribution) {
    int8_t z[FXP_RUN];
    for (int32_t j = 0; j < count; j++) {
        sums[j] = 0;
    }
    for (int32_t i = 0; i < M; i++) {
        if (signs[i] != 0) {
            const fxp_stream stream = fxp_stream_of(FXP_FOR_DIRECTION, seed, step, i, tensor);
            fxp_fill_directions(table, z, count, start, &stream, distribution);
            for (int32_t j = 0; j < count; j++) {
                sums[j] = (int16_t)(sums[j] + signs[i] * z[j]);
            }
        }
    }
}

#define DEFINE_UPDATE(NAME, TYPE, LOW, HIGH)                                                                 \
    void NAME(                                                                                               \
        TYPE *weights, const int32_t *signs, const int32_t *multiplier, const int32_t *shift,                \
        const int16_t *table, int64_t *counts, int32_t N, int32_t M, int32_t C, int32_t T, int64_t seed,     \
        int64_t step, int64_t tensor, int32_t rounding_rule, int32_t distribution) {                         \
        const fxp_stream rounding = fxp_stream_of(FXP_FOR_ROUNDING, seed, step, 0, tensor);                  \
        const int32_t per_channel = fxp_per_channel(N, C);                                                   \
        uint32_t words[4] = {0, 0, 0, 0};                                                                    \
        (void)T;                                                                                             \
        counts[0] = counts[1] = 0;                                                                           \
        for (int32_t start = 0, count; start < N; start += count) {                                          \
            int16_t sums[FXP_RUN];                                                                           \
            count = N - start < FXP_RUN ? N - start : FXP_RUN;                                               \
            sum_directions(sums, count, start, signs, M, table, seed, step, tensor, distribution);           \
            for (int32_t i = start, end; i < start + count;) {                                               \
                const int32_t c = i / per_channel, right = 31 - shift[c];                                    \
                end = fxp_channel_end(c, per_channel, start + count);                                        \
                for (; i < end; i++) {                                                                       \
                    if (rounding_rule == FXP_STEP_STOCHASTIC && (i & 3) == 0) {                              \
                        fxp_draw_block(words, &rounding, i >> 2);                                            \
                    }                                                                                        \
                    const int64_t value = (int64_t)sums[i - start] * multiplier[c];                          \
                    const int64_t moved = fxp_rounded_step(value, right, rounding_rule, words[i & 3]);       \
                    weights[i] = (TYPE)fxp_stepped(weights[i], moved, LOW, HIGH, counts);                    \
                }                                                                                            \
            }                                                                                                \
        }                                                                                                    \
    }

DEFINE_UPDATE(fxp_update_w8, int8_t, -127, 127)
DEFINE_UPDATE(fxp_update_w16, int16_t, -32767, 32767)
DEFINE_UPDATE(fxp_update_b32, int32_t, INT32_MIN, INT32_MAX)
