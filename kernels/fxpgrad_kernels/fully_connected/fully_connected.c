/* Dense layers, int8 activations, 8- or 16-bit weights. See contract.md.
 *
 * Sums are exact whatever accumulator_bits says (fxp_dot_product.h).
 */
#include "fxp_arithmetic.h"
#include "fxp_dot_product.h"
#include "fxpgrad_kernels.h"

#define DEFINE_FULLY_CONNECTED(NAME, SUFFIX, WEIGHT) \
    void NAME( \
        const int8_t *input, const WEIGHT *weights, const int32_t *bias, const int32_t *multiplier, \
        const int32_t *shift, int8_t *output, int32_t B, int32_t I, int32_t O, int32_t input_zero_point, \
        int32_t output_zero_point, int32_t clamp_low, int32_t clamp_high, int32_t rounding, \
        int32_t accumulator_bits) { \
        int32_t count; /* outputs at a time */ \
        (void)accumulator_bits; \
        for (int32_t b = 0; b < B; b++) { \
            for (int32_t o = 0; o < O; o += count) { \
                int64_t totals[4] = {0, 0, 0, 0}; \
                count = fxp_filters_at_once(O - o); \
                fxp_add_dots_##SUFFIX( \
                    input + b * I, weights + o * I, I, I, input_zero_point, count, totals); \
                for (int32_t i = o; i < o + count; i++) { \
                    const int64_t sum = bias[i] + totals[i - o]; \
                    const int32_t value = fxp_requantize(sum, multiplier[i], shift[i], rounding); \
                    output[b * O + i] = \
                        (int8_t)fxp_add_zero_point(value, output_zero_point, clamp_low, clamp_high); \
                } \
            } \
        } \
    }

DEFINE_FULLY_CONNECTED(fxp_fully_connected_a8w8, a8w8, int8_t)
DEFINE_FULLY_CONNECTED(fxp_fully_connected_a8w16, a8w16, int16_t)
DEFINE_FULLY_CONNECTED(fxp_fully_connected_a8w16_split, a8w16_split, int16_t)

#define DEFINE_ACCUMULATE(NAME, SUFFIX, WEIGHT) \
    void NAME( \
        const int8_t *input, const WEIGHT *weights, const int32_t *bias, int32_t *output, int32_t B, \
        int32_t I, int32_t O, int32_t input_zero_point, int32_t accumulator_bits) { \
        int32_t count; /* outputs at a time */ \
        (void)accumulator_bits; \
        for (int32_t b = 0; b < B; b++) { \
            for (int32_t o = 0; o < O; o += count) { \
                int64_t totals[4] = {0, 0, 0, 0}; \
                count = fxp_filters_at_once(O - o); \
                fxp_add_dots_##SUFFIX( \
                    input + b * I, weights + o * I, I, I, input_zero_point, count, totals); \
                for (int32_t i = o; i < o + count; i++) { \
                    output[b * O + i] = fxp_saturate_int32(bias[i] + totals[i - o]); \
                } \
            } \
        } \
    }

DEFINE_ACCUMULATE(fxp_fully_connected_accumulate_a8w8, a8w8, int8_t)
DEFINE_ACCUMULATE(fxp_fully_connected_accumulate_a8w16, a8w16, int16_t)
