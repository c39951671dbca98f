/* Scalars by magnitude, from the differences of a step's losses. See contract.md. */
#include "fxp_arithmetic.h"
#include "fxpgrad_kernels.h"

void fxp_scale_differences(
    const int64_t *differences, int64_t *typical, int32_t *scalars, int32_t M, int32_t places) {
    const int64_t limit = (int64_t)4 << places;
    int64_t total = 0, size = typical[0];
    int32_t exponent = 0; /* of the unit: the bit length of the usual size */
    for (int32_t i = 0; i < M; i++) {
        total += fxp_abs(differences[i]);
    }
    const int64_t mean = total / M;
    size = size == 0 ? mean : size + ((mean - size) >> 3);
    typical[0] = size;
    while (size >> exponent > 0) {
        exponent++;
    }
    for (int32_t i = 0; i < M; i++) {
        const int64_t magnitude = fxp_abs(differences[i]) << places;
        const int64_t scaled = fxp_min(fxp_rounding_shift(magnitude, exponent, FXP_NEAREST_UP), limit);
        scalars[i] = (int32_t)(differences[i] < 0 ? -scaled : scaled);
    }
}
