/* Sums and differences of activations of two scales. See contract.md. */
#include "fxp_arithmetic.h"
#include "fxpgrad_kernels.h"

/* input_a + sign * input_b: both operands in a common scale, their sum in the output's. */
#define DEFINE_LINEAR_SUM(name, type)                                                                        \
    static void name(                                                                                        \
        const type *input_a, const type *input_b, const int32_t *multiplier, const int32_t *shift,           \
        type *output, int32_t N, int32_t input_a_zero_point, int32_t input_b_zero_point,                     \
        int32_t output_zero_point, int32_t left_shift, int32_t clamp_low, int32_t clamp_high, int32_t sign,  \
        int32_t operand_rounding, int32_t rounding) {                                                        \
        const int32_t unit = (int32_t)1 << left_shift;                                                       \
        for (int32_t i = 0; i < N; i++) {                                                                    \
            const int32_t a = (input_a[i] - input_a_zero_point) * unit; /* below 2^30 in size */             \
            const int32_t b = (input_b[i] - input_b_zero_point) * unit;                                      \
            const int64_t scaled_a = fxp_requantize(a, multiplier[0], shift[0], operand_rounding);           \
            const int64_t scaled_b = fxp_requantize(b, multiplier[1], shift[1], operand_rounding);           \
            const int64_t sum = scaled_a + sign * scaled_b;                                                  \
            const int64_t value = fxp_requantize(sum, multiplier[2], shift[2], rounding);                    \
            output[i] = (type)fxp_clamp(value + output_zero_point, clamp_low, clamp_high);                   \
        }                                                                                                    \
    }

DEFINE_LINEAR_SUM(linear_sum_a8, int8_t)
DEFINE_LINEAR_SUM(linear_sum_a16, int16_t)

void fxp_add_a8(
    const int8_t *input_a, const int8_t *input_b, const int32_t *multiplier, const int32_t *shift,
    int8_t *output, int32_t N, int32_t input_a_zero_point, int32_t input_b_zero_point,
    int32_t output_zero_point, int32_t left_shift, int32_t clamp_low, int32_t clamp_high, int32_t rounding) {
    linear_sum_a8(
        input_a, input_b, multiplier, shift, output, N, input_a_zero_point, input_b_zero_point,
        output_zero_point, left_shift, clamp_low, clamp_high, 1, rounding, rounding);
}

void fxp_sub_a8(
    const int8_t *input_a, const int8_t *input_b, const int32_t *multiplier, const int32_t *shift,
    int8_t *output, int32_t N, int32_t input_a_zero_point, int32_t input_b_zero_point,
    int32_t output_zero_point, int32_t left_shift, int32_t clamp_low, int32_t clamp_high, int32_t rounding) {
    linear_sum_a8(
        input_a, input_b, multiplier, shift, output, N, input_a_zero_point, input_b_zero_point,
        output_zero_point, left_shift, clamp_low, clamp_high, -1, rounding, rounding);
}

void fxp_add_mixed_a8(
    const int8_t *input_a, const int8_t *input_b, const int32_t *multiplier, const int32_t *shift,
    int8_t *output, int32_t N, int32_t input_a_zero_point, int32_t input_b_zero_point,
    int32_t output_zero_point, int32_t left_shift, int32_t clamp_low, int32_t clamp_high,
    int32_t operand_rounding, int32_t rounding) {
    linear_sum_a8(
        input_a, input_b, multiplier, shift, output, N, input_a_zero_point, input_b_zero_point,
        output_zero_point, left_shift, clamp_low, clamp_high, 1, operand_rounding, rounding);
}

void fxp_add_a16(
    const int16_t *input_a, const int16_t *input_b, const int32_t *multiplier, const int32_t *shift,
    int16_t *output, int32_t N, int32_t left_shift, int32_t clamp_low, int32_t clamp_high, int32_t rounding) {
    linear_sum_a16(
        input_a, input_b, multiplier, shift, output, N, 0, 0, 0, left_shift, clamp_low, clamp_high, 1,
        rounding, rounding);
}

void fxp_sub_a16(
    const int16_t *input_a, const int16_t *input_b, const int32_t *multiplier, const int32_t *shift,
    int16_t *output, int32_t N, int32_t left_shift, int32_t clamp_low, int32_t clamp_high, int32_t rounding) {
    linear_sum_a16(
        input_a, input_b, multiplier, shift, output, N, 0, 0, 0, left_shift, clamp_low, clamp_high, -1,
        rounding, rounding);
}

void fxp_add_mixed_a16(
    const int16_t *input_a, const int16_t *input_b, const int32_t *multiplier, const int32_t *shift,
    int16_t *output, int32_t N, int32_t left_shift, int32_t clamp_low, int32_t clamp_high,
    int32_t operand_rounding, int32_t rounding) {
    linear_sum_a16(
        input_a, input_b, multiplier, shift, output, N, 0, 0, 0, left_shift, clamp_low, clamp_high, 1,
        operand_rounding, rounding);
}
