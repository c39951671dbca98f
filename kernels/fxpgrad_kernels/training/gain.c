/* Multipliers times gains, normalized anew. See contract.md. */
#include "fxp_arithmetic.h"
#include "fxpgrad_kernels.h"

int64_t fxp_scale_multipliers(
    const int32_t *multiplier, const int32_t *shift, const int32_t *gain, int32_t *new_multiplier,
    int32_t *new_shift, int32_t C, int32_t G) {
    int64_t cut = 0;
    for (int32_t c = 0; c < C; c++) {
        const int64_t wanted = gain[G > 1 ? c : 0];
        const int64_t kept = fxp_clamp(wanted, (int64_t)1 << 27, INT32_MAX);
        const int64_t product = multiplier[c] * kept;
        int32_t excess = 0; /* bits of the product beyond 31 */
        cut += kept != wanted;
        while (product >> excess > INT32_MAX) {
            excess++;
        }
        if (product == 0) {
            new_multiplier[c] = new_shift[c] = 0;
            continue;
        }
        int64_t value = fxp_rounding_shift(product, excess, FXP_NEAREST_UP);
        if (value > INT32_MAX) { /* rounded up to 2^31 */
            value >>= 1;
            excess++;
        }
        new_multiplier[c] = (int32_t)value;
        new_shift[c] = shift[c] + excess - 30;
    }
    return cut;
}
