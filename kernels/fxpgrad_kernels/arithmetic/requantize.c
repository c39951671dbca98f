/* Requantization and rounding shifts, element by element. See contract.md. */
#include "fxp_arithmetic.h"
#include "fxpgrad_kernels.h"

void fxp_requantize_a32(
    const int32_t *accumulator, const int32_t *multiplier, const int32_t *shift, int32_t *output, int32_t N,
    int32_t rounding) {
    for (int32_t i = 0; i < N; i++) {
        output[i] = fxp_requantize(accumulator[i], multiplier[i], shift[i], rounding);
    }
}

void fxp_requantize_a32_even(
    const int32_t *accumulator, const int32_t *multiplier, const int32_t *shift, int32_t *output, int32_t N,
    int32_t rounding) {
    fxp_requantize_a32(accumulator, multiplier, shift, output, N, rounding);
}

void fxp_requantize_a48(
    const int64_t *accumulator, const int32_t *multiplier, const int32_t *shift, int32_t *output, int32_t N,
    int32_t rounding) {
    for (int32_t i = 0; i < N; i++) {
        output[i] = fxp_requantize(accumulator[i], multiplier[i], shift[i], rounding);
    }
}
