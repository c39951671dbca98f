/* A function of two int8 values, read off a table. See contract.md. */
#include "fxpgrad_kernels.h"

void fxp_lookup_pair_a8(
    const int8_t *input_a, const int8_t *input_b, const int8_t *table, int8_t *output, int32_t N) {
    for (int32_t i = 0; i < N; i++) {
        const int32_t row = input_a[i] + 128, column = input_b[i] + 128;
        output[i] = table[256 * row + column];
    }
}
