/* Right shifts that round in a named direction, element by element. See contract.md. */
#include "fxp_arithmetic.h"
#include "fxpgrad_kernels.h"

void fxp_rounding_shift_a64(
    const int64_t *value, const int32_t *amount, int32_t *output, int32_t N, int32_t mode) {
    for (int32_t i = 0; i < N; i++) {
        output[i] = fxp_saturate_int32(fxp_rounding_shift(value[i], amount[i], mode));
    }
}
