/* The parts of a direction: drawn, guided by those before, thinned, masked, and summed. See contract.md. */
#include "fxp_random.h"
#include "fxp_steps.h"
#include "fxpgrad_kernels.h"

void fxp_fill_direction(
    const int16_t *table, int8_t *z, int32_t T, int32_t N, int64_t seed, int64_t step, int32_t direction,
    int64_t tensor, int64_t first_index, int32_t distribution) {
    const fxp_stream stream = fxp_stream_of(FXP_FOR_DIRECTION, seed, step, direction, tensor);
    (void)T;
    fxp_fill_directions(table, z, N, first_index, &stream, distribution);
}

static void add_scaled(int32_t *sums, const int8_t *z, int32_t count, int32_t weight) {
    for (int32_t j = 0; j < count; j++) {
        sums[j] += z[j] * weight;
    }
}

void fxp_guide_direction(
    const int8_t *z, const int32_t *weights, const int16_t *table, int8_t *output, int32_t N, int32_t K,
    int32_t M, int32_t T, int64_t seed, int64_t step, int64_t tensor, int64_t first_index, int32_t own,
    int32_t distribution) {
    (void)T;
    for (int32_t start = 0, count; start < N; start += count) {
        int32_t sums[FXP_RUN] = {0};
        int8_t drawn[FXP_RUN];
        count = N - start < FXP_RUN ? N - start : FXP_RUN;
        add_scaled(sums, z + start, count, own);
        for (int32_t k = 0; k < K && k < step; k++) { /* steps below 0 do not count */
            for (int32_t m = 0; m < M; m++) {
                if (weights[k * M + m] != 0) {
                    const fxp_stream stream = fxp_stream_of(FXP_FOR_DIRECTION, seed, step - 1 - k, m, tensor);
                    fxp_fill_directions(table, drawn, count, first_index + start, &stream, distribution);
                    add_scaled(sums, drawn, count, weights[k * M + m]);
                }
            }
        }
        for (int32_t j = 0; j < count; j++) {
            output[start + j] = (int8_t)fxp_clamp(fxp_shift_right_nearest_away(sums[j], 12), -127, 127);
        }
    }
}

void fxp_thin_direction(
    const int8_t *z, int8_t *output, int32_t N, int32_t density, int64_t seed, int64_t step,
    int32_t direction, int64_t tensor, int64_t first_index) {
    const fxp_stream stream = fxp_stream_of(FXP_FOR_THINNING, seed, step, direction, tensor);
    uint32_t words[4];
    for (int32_t i = 0; i < N; i++) {
        const int32_t place = i & 7; /* first_index is a multiple of 8 */
        if (place == 0) {
            fxp_draw_block(words, &stream, (first_index + i) >> 3);
        }
        const int32_t uniform = (int32_t)((words[place >> 1] >> (16 * (place & 1))) & 0xFFFF);
        output[i] = uniform < density ? z[i] : 0;
    }
}

#define DEFINE_MASK_DIRECTION(NAME, TYPE)                                                                    \
    void NAME(                                                                                               \
        const int8_t *z, const TYPE *weights, const int32_t *low, const int32_t *high, int8_t *output,       \
        int32_t N, int32_t C) {                                                                              \
        const int32_t per_channel = fxp_per_channel(N, C);                                                   \
        for (int32_t c = 0, i = 0; c < C; c++) {                                                             \
            const int32_t least = low[c], most = high[c];                                                    \
            for (const int32_t end = i + per_channel; i < end; i++) {                                        \
                const int32_t size = weights[i] < 0 ? -weights[i] : weights[i];                              \
                output[i] = least <= size && size <= most ? z[i] : 0;                                        \
            }                                                                                                \
        }                                                                                                    \
    }

DEFINE_MASK_DIRECTION(fxp_mask_direction_w8, int8_t)
DEFINE_MASK_DIRECTION(fxp_mask_direction_w16, int16_t)

void fxp_add_direction(
    const int8_t *z, const int32_t *scalars, const int64_t *before, int64_t *gradient, int32_t N, int32_t M,
    int32_t index) {
    const int32_t scalar = scalars[index];
    (void)M;
    for (int32_t i = 0; i < N; i++) {
        gradient[i] = (index > 0 ? before[i] : 0) + scalar * z[i];
    }
}
