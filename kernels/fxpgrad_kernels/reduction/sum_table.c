/* A function of the sum along one axis of [outer, reduced, inner], read off a table. See contract.md. */
#include "fxp_columns.h"
#include "fxpgrad_kernels.h"

void fxp_sum_table_a8(
    const int8_t *input, const int8_t *table, int8_t *output, int32_t N, int32_t T, int32_t M,
    int32_t reduced, int32_t inner) {
    const int32_t outer = M / inner;
    (void)N;
    (void)T;
    for (int32_t block = 0; block < outer; block++) {
        for (int32_t first = 0; first < inner; first += FXP_COLUMNS) {
            const int32_t width = inner - first < FXP_COLUMNS ? inner - first : FXP_COLUMNS;
            int32_t sums[FXP_COLUMNS] = {0};
            fxp_add_columns_a8(input + block * reduced * inner + first, reduced, inner, width, sums);
            for (int32_t c = 0; c < width; c++) {
                output[block * inner + first + c] = table[sums[c] + 128 * reduced];
            }
        }
    }
}
