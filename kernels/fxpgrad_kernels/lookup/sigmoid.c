/* Logistic and tanh of int16 values, by interpolation in one table. See contract.md. */
#include "fxp_arithmetic.h"
#include "fxpgrad_kernels.h"

/* The input in steps of 1/12288. */
static int32_t scaled(int16_t input, int32_t multiplier, int32_t shift) {
    return (int32_t)fxp_rounding_shift(input * multiplier, shift, FXP_NEAREST_UP);
}

/* The table at |x| / 2^fraction_bits, times 2^fraction_bits; `beyond` from entry 255 on. Below 2^25. */
static int32_t interpolated(const int32_t *table, int32_t x, int32_t fraction_bits, int32_t beyond) {
    const int32_t steps = x < 0 ? -x : x, entry = steps >> fraction_bits;
    if (entry >= 255) {
        return beyond;
    }
    const int32_t unit = (int32_t)1 << fraction_bits, part = steps & (unit - 1);
    return table[entry] * unit + part * (table[entry + 1] - table[entry]);
}

void fxp_logistic_a16(
    const int16_t *input, const int32_t *table, int16_t *output, int32_t N, int32_t input_multiplier,
    int32_t input_shift) {
    for (int32_t i = 0; i < N; i++) {
        const int32_t x = scaled(input[i], input_multiplier, input_shift);
        const int32_t above = interpolated(table, x, 9, (int32_t)32767 * 1024);
        const int32_t height = x < 0 ? ((int32_t)1 << 25) - 1 - above : above;
        output[i] = fxp_saturate_int16((height + 512) >> 10);
    }
}

void fxp_tanh_a16(
    const int16_t *input, const int32_t *table, int16_t *output, int32_t N, int32_t input_multiplier,
    int32_t input_shift) {
    for (int32_t i = 0; i < N; i++) {
        const int32_t x = scaled(input[i], input_multiplier, input_shift);
        const int32_t above = interpolated(table, x, 8, (int32_t)65535 * 256) - ((int32_t)1 << 23);
        const int32_t height = x < 0 ? -1 - above : above;
        output[i] = fxp_saturate_int16((height + 128) >> 8);
    }
}
