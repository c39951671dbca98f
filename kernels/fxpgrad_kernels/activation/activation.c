/* Clamps, element by element. See contract.md. */
#include "fxp_arithmetic.h"
#include "fxpgrad_kernels.h"

void fxp_clamp_a8(const int8_t *input, int8_t *output, int32_t N, int32_t clamp_low, int32_t clamp_high) {
    for (int32_t i = 0; i < N; i++) {
        output[i] = (int8_t)fxp_clamp(input[i], clamp_low, clamp_high);
    }
}

void fxp_clamp_a16(const int16_t *input, int16_t *output, int32_t N, int32_t clamp_low, int32_t clamp_high) {
    for (int32_t i = 0; i < N; i++) {
        output[i] = (int16_t)fxp_clamp(input[i], clamp_low, clamp_high);
    }
}
