/* Products of two matrices of activations, one for each batch element. See contract.md.
 *
 * A row of A is multiplied with some columns of B at a time, in the order in which B lies: line after line,
 * or column after column where B is stored with its depth last.
 */
#include "fxp_arithmetic.h"
#include "fxpgrad_kernels.h"

enum { COLUMNS = 16 }; /* at a time */

/* The matrices of one batch element: neighbours in a row of A lie a_step apart, element (k, j) of B lies at
 * k * b_line + j * b_column, and one of the last two is 1. */
typedef struct {
    int32_t rows, depth, columns, a_row, a_step, b_line, b_column, a_zero_point, b_zero_point;
} matrices;

static matrices matrices_of(
    int32_t rows, int32_t depth, int32_t columns, int32_t adjoint_a, int32_t adjoint_b) {
    matrices of = {rows, depth, columns, depth, 1, columns, 1, 0, 0};
    if (adjoint_a) {
        of.a_row = 1;
        of.a_step = rows;
    }
    if (adjoint_b) {
        of.b_line = 1;
        of.b_column = depth;
    }
    return of;
}

/* Centred elements fit int16; the sum of any BLOCK of their products fits SUM. */
#define DEFINE_BATCH_MATMUL(SUFFIX, TYPE, SUM, BLOCK) \
    /* Write to totals the sums of one row of A with `count` neighbouring columns of B. */ \
    static void multiply_##SUFFIX( \
        const TYPE *a, const TYPE *b, const matrices *of, int32_t count, int64_t totals[COLUMNS]) { \
        for (int32_t j = 0; j < count; j++) { \
            totals[j] = 0; \
        } \
        for (int32_t start = 0; start < of->depth; start += (BLOCK)) { \
            const int32_t end = of->depth - start < (BLOCK) ? of->depth : start + (BLOCK); \
            SUM sums[COLUMNS] = {0}; \
            if (of->b_line == 1) { \
                for (int32_t j = 0; j < count; j++) { \
                    SUM sum = 0; \
                    for (int32_t k = start; k < end; k++) { \
                        const int16_t left = (int16_t)(a[k * of->a_step] - of->a_zero_point); \
                        const int16_t right = (int16_t)(b[j * of->b_column + k] - of->b_zero_point); \
                        sum += left * right; \
                    } \
                    sums[j] = sum; \
                } \
            } else { \
                for (int32_t k = start; k < end; k++) { \
                    const TYPE *line = b + k * of->b_line; \
                    const int16_t left = (int16_t)(a[k * of->a_step] - of->a_zero_point); \
                    for (int32_t j = 0; j < count; j++) { \
                        const int16_t right = (int16_t)(line[j] - of->b_zero_point); \
                        sums[j] += left * right; \
                    } \
                } \
            } \
            for (int32_t j = 0; j < count; j++) { \
                totals[j] += sums[j]; \
            } \
        } \
    } \
\
    static void multiply_all_##SUFFIX( \
        const TYPE *a, const TYPE *b, int32_t multiplier, int32_t shift, TYPE *output, int32_t elements, \
        const matrices *of, int32_t zero_point, int32_t low, int32_t high, int32_t rounding) { \
        const TYPE *const end = output + elements; \
        while (output < end) { \
            for (int32_t i = 0; i < of->rows; i++) { \
                for (int32_t first = 0; first < of->columns; first += COLUMNS) { \
                    const int32_t left = of->columns - first, count = left < COLUMNS ? left : COLUMNS; \
                    int64_t totals[COLUMNS]; \
                    multiply_##SUFFIX(a + i * of->a_row, b + first * of->b_column, of, count, totals); \
                    for (int32_t j = 0; j < count; j++) { \
                        const int32_t value = fxp_requantize(totals[j], multiplier, shift, rounding); \
                        output[first + j] = (TYPE)fxp_add_zero_point(value, zero_point, low, high); \
                    } \
                } \
                output += of->columns; \
            } \
            a += of->rows * of->depth; \
            b += of->depth * of->columns; \
        } \
    }

DEFINE_BATCH_MATMUL(a8, int8_t, int32_t, 16384)    /* 255 * 255 * 2^14 < 2^31 */
DEFINE_BATCH_MATMUL(a16, int16_t, int64_t, 65536)  /* depth at most 2^16 */

void fxp_batch_matmul_a8(
    const int8_t *input_a, const int8_t *input_b, const int32_t *multiplier, const int32_t *shift,
    int8_t *output, int32_t N, int32_t M, int32_t P, int32_t rows, int32_t depth, int32_t columns,
    int32_t adjoint_a, int32_t adjoint_b, int32_t input_a_zero_point, int32_t input_b_zero_point,
    int32_t output_zero_point, int32_t clamp_low, int32_t clamp_high, int32_t rounding) {
    matrices of = matrices_of(rows, depth, columns, adjoint_a, adjoint_b);
    of.a_zero_point = input_a_zero_point;
    of.b_zero_point = input_b_zero_point;
    (void)N;
    (void)M;
    multiply_all_a8(
        input_a, input_b, multiplier[0], shift[0], output, P, &of, output_zero_point, clamp_low, clamp_high,
        rounding);
}

void fxp_batch_matmul_a16(
    const int16_t *input_a, const int16_t *input_b, const int32_t *multiplier, const int32_t *shift,
    int16_t *output, int32_t N, int32_t M, int32_t P, int32_t rows, int32_t depth, int32_t columns,
    int32_t adjoint_a, int32_t adjoint_b, int32_t clamp_low, int32_t clamp_high, int32_t rounding) {
    const matrices of = matrices_of(rows, depth, columns, adjoint_a, adjoint_b);
    (void)N;
    (void)M;
    multiply_all_a16(
        input_a, input_b, multiplier[0], shift[0], output, P, &of, 0, clamp_low, clamp_high, rounding);
}
