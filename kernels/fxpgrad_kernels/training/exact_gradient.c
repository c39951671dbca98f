/* The exact gradient of the last linear layer, and a step against a gradient. See contract.md. */
#include "fxp_random.h"
#include "fxp_steps.h"
#include "fxpgrad_kernels.h"

void fxp_add_outer_products(
    const int8_t *features, const int32_t *residuals, const int64_t *before, const int64_t *before_bias,
    int64_t *gradient, int64_t *bias_gradient, int32_t B, int32_t D, int32_t N, int32_t input_zero_point) {
    for (int32_t n = 0; n < N; n++, before += D, gradient += D) {
        int64_t total = before_bias[n];
        for (int32_t d = 0; d < D; d++) {
            gradient[d] = before[d];
        }
        for (int32_t b = 0; b < B; b++) {
            const int8_t *values = features + b * D;
            const int32_t residual = residuals[b * N + n];
            total += residual;
            for (int32_t d = 0; d < D; d++) {
                gradient[d] += residual * (values[d] - input_zero_point); /* below 2^23 */
            }
        }
        bias_gradient[n] = total;
    }
}

#define DEFINE_DESCEND(NAME, TYPE, LOW, HIGH)                                                                \
    void NAME(                                                                                               \
        TYPE *weights, const int64_t *gradient, const int32_t *multiplier, const int32_t *shift,             \
        const int32_t *decay, int64_t *counts, int32_t N, int32_t C, int64_t seed, int64_t step,             \
        int64_t tensor, int32_t rounding_rule, int32_t coarse, int64_t first_index) {                        \
        const fxp_stream rounding = fxp_stream_of(FXP_FOR_ROUNDING, seed, step, 0, tensor);                  \
        const int32_t per_channel = fxp_per_channel(N, C);                                                   \
        uint32_t words[4] = {0, 0, 0, 0};                                                                    \
        counts[0] = counts[1] = 0;                                                                           \
        for (int32_t c = 0, i = 0; c < C; c++) {                                                             \
            const int64_t factor = multiplier[c], pull = decay[c];                                           \
            const int32_t right = 31 - shift[c];                                                             \
            for (const int32_t end = i + per_channel; i < end; i++) {                                        \
                if (rounding_rule == FXP_STEP_STOCHASTIC && (i & 3) == 0) {                                  \
                    fxp_draw_block(words, &rounding, (first_index + i) >> 2);                                \
                }                                                                                            \
                const int64_t g = fxp_shift_right_nearest_away(gradient[i], coarse);                         \
                const int64_t value = g * factor + weights[i] * pull;                                        \
                const int64_t moved = fxp_rounded_step(value, right, rounding_rule, words[i & 3]);           \
                weights[i] = (TYPE)fxp_stepped(weights[i], moved, LOW, HIGH, counts);                        \
            }                                                                                                \
        }                                                                                                    \
    }

DEFINE_DESCEND(fxp_descend_w8, int8_t, -127, 127)
DEFINE_DESCEND(fxp_descend_w16, int16_t, -32767, 32767)
DEFINE_DESCEND(fxp_descend_b32, int32_t, INT32_MIN, INT32_MAX)
