/* A direction at any run of indices. See contract.md. */
#include "fxp_random.h"
#include "fxpgrad_kernels.h"

void fxp_draw_directions(
    const int16_t *table, int8_t *z, int32_t T, int32_t N, int64_t seed, int64_t step, int32_t direction,
    int64_t tensor, int64_t first_index, int32_t distribution) {
    const fxp_stream stream = fxp_stream_of(FXP_FOR_DIRECTION, seed, step, direction, tensor);
    (void)T;
    fxp_fill_directions(table, z, N, first_index, &stream, distribution);
}
