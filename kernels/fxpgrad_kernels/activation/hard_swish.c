/* Hard swish in 16-bit fixed point. See contract.md, whose steps the comments name. */
#include "fxp_arithmetic.h"
#include "fxpgrad_kernels.h"

/* value * multiplier / 2^15 to nearest, ties up; both fit 16 bits. */
static int32_t high(int32_t value, int32_t multiplier) { return (value * multiplier + 16384) >> 15; }

/* min(max(real / 3, -1), 1) with 15 fraction bits, for x in 1/128 steps of the input (step 3). */
static int32_t gate_of(int32_t x, int32_t multiplier, int32_t exponent) {
    if (exponent > 0) {
        const int32_t shifted = fxp_saturate_int16(fxp_shift_left(x, exponent - 1));
        return fxp_saturate_int16(2 * high(shifted, multiplier));
    }
    return (int32_t)fxp_shift_right_nearest_away(high(x, multiplier), -exponent);
}

void fxp_hard_swish_a8(
    const int8_t *input, int8_t *output, int32_t N, int32_t input_zero_point, int32_t output_zero_point,
    int32_t output_multiplier, int32_t output_exponent, int32_t gate_multiplier, int32_t gate_exponent) {
    for (int32_t i = 0; i < N; i++) {
        const int32_t x = (input[i] - input_zero_point) * 128;                             /* 1 */
        const int32_t scaled = high(x, output_multiplier);                                 /* 2 */
        const int32_t gate = (gate_of(x, gate_multiplier, gate_exponent) + 32768) >> 1;    /* 3, 4 */
        const int32_t product = gate * scaled / 32768;                                     /* 5 */
        const int64_t value = fxp_shift_right_nearest_away(product, -output_exponent);     /* 6 */
        output[i] = fxp_saturate_int8(value + output_zero_point);
    }
}
