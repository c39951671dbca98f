/* Dense layers, int16 activations, 8-bit weights. See contract.md. */
#include "fxp_arithmetic.h"
#include "fxp_dot_product.h"
#include "fxpgrad_kernels.h"

void fxp_fully_connected_a16w8(
    const int16_t *input, const int8_t *weights, const int64_t *bias, const int32_t *multiplier,
    const int32_t *shift, int16_t *output, int32_t B, int32_t I, int32_t O, int32_t input_zero_point,
    int32_t output_zero_point, int32_t clamp_low, int32_t clamp_high, int32_t rounding) {
    int32_t count; /* outputs at a time */
    for (int32_t b = 0; b < B; b++) {
        for (int32_t o = 0; o < O; o += count) {
            int64_t totals[4] = {0, 0, 0, 0};
            count = fxp_filters_at_once(O - o);
            fxp_add_dots_a16w8(input + b * I, weights + o * I, I, I, input_zero_point, count, totals);
            for (int32_t i = o; i < o + count; i++) {
                const int64_t sum = bias[i] + totals[i - o];
                const int32_t value = fxp_requantize(sum, multiplier[i], shift[i], rounding);
                output[b * O + i] =
                    (int16_t)fxp_add_zero_point(value, output_zero_point, clamp_low, clamp_high);
            }
        }
    }
}
