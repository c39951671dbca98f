/* Products and squared differences of two activations. See contract.md. */
#include "fxp_arithmetic.h"
#include "fxpgrad_kernels.h"

#define DEFINE_MUL(name, type)                                                                               \
    void name(                                                                                               \
        const type *input_a, const type *input_b, const int32_t *multiplier, const int32_t *shift,           \
        type *output, int32_t N, int32_t input_a_zero_point, int32_t input_b_zero_point,                     \
        int32_t output_zero_point, int32_t clamp_low, int32_t clamp_high, int32_t rounding) {                \
        for (int32_t i = 0; i < N; i++) {                                                                    \
            const int32_t product = (input_a[i] - input_a_zero_point) * (input_b[i] - input_b_zero_point);   \
            const int64_t value = fxp_requantize(product, multiplier[0], shift[0], rounding);                \
            output[i] = (type)fxp_clamp(value + output_zero_point, clamp_low, clamp_high);                   \
        }                                                                                                    \
    }

/* Both operands in a common scale, the square of their difference in the output's. */
#define DEFINE_SQUARED_DIFFERENCE(name, type, saturate)                                                      \
    void name(                                                                                               \
        const type *input_a, const type *input_b, const int32_t *multiplier, const int32_t *shift,           \
        type *output, int32_t N, int32_t input_a_zero_point, int32_t input_b_zero_point,                     \
        int32_t output_zero_point, int32_t left_shift, int32_t rounding) {                                   \
        const int32_t unit = (int32_t)1 << left_shift;                                                       \
        for (int32_t i = 0; i < N; i++) {                                                                    \
            const int32_t a = (input_a[i] - input_a_zero_point) * unit; /* at most 2^30 in size */           \
            const int32_t b = (input_b[i] - input_b_zero_point) * unit;                                      \
            const int64_t scaled_a = fxp_requantize(a, multiplier[0], shift[0], rounding);                   \
            const int64_t scaled_b = fxp_requantize(b, multiplier[1], shift[1], rounding);                   \
            const int64_t difference = fxp_saturate_int32(scaled_a - scaled_b);                              \
            const int64_t square = fxp_min(difference * difference, INT32_MAX);                              \
            const int64_t value = fxp_requantize(square, multiplier[2], shift[2], rounding);                 \
            output[i] = saturate(value + output_zero_point);                                                 \
        }                                                                                                    \
    }

DEFINE_MUL(fxp_mul_a8, int8_t)
DEFINE_MUL(fxp_mul_a16, int16_t)

DEFINE_SQUARED_DIFFERENCE(fxp_squared_difference_a8, int8_t, fxp_saturate_int8)
DEFINE_SQUARED_DIFFERENCE(fxp_squared_difference_a16, int16_t, fxp_saturate_int16)
