/* A function of one int8 value, read off a table. See contract.md. */
#include "fxpgrad_kernels.h"

void fxp_lookup_a8(const int8_t *input, const int8_t *table, int8_t *output, int32_t N) {
    for (int32_t i = 0; i < N; i++) {
        output[i] = table[input[i] + 128];
    }
}
