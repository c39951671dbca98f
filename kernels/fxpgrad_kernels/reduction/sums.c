/* Sums and means along one axis of [outer, reduced, inner], into another quantization. See contract.md. */
#include "fxp_arithmetic.h"
#include "fxp_columns.h"
#include "fxpgrad_kernels.h"

#define DEFINE_SUMS(name, type, add_columns, saturate)                                                       \
    static void name(                                                                                        \
        const type *input, int32_t multiplier, int32_t shift, type *output, int32_t outer, int32_t reduced,  \
        int32_t inner, int32_t input_zero_point, int32_t output_zero_point, int32_t rounding) {              \
        const int64_t zero = (int64_t)reduced * input_zero_point;                                            \
        for (int32_t block = 0; block < outer; block++) {                                                    \
            for (int32_t first = 0; first < inner; first += FXP_COLUMNS) {                                   \
                const int32_t width = inner - first < FXP_COLUMNS ? inner - first : FXP_COLUMNS;             \
                int32_t sums[FXP_COLUMNS] = {0};                                                             \
                add_columns(input + block * reduced * inner + first, reduced, inner, width, sums);           \
                for (int32_t c = 0; c < width; c++) {                                                        \
                    const int64_t value = fxp_requantize(sums[c] - zero, multiplier, shift, rounding);       \
                    output[block * inner + first + c] = saturate(value + output_zero_point);                 \
                }                                                                                            \
            }                                                                                                \
        }                                                                                                    \
    }

DEFINE_SUMS(sums_a8, int8_t, fxp_add_columns_a8, fxp_saturate_int8)
DEFINE_SUMS(sums_a16, int16_t, fxp_add_columns_a16, fxp_saturate_int16)

#define DEFINE_SUM(name, type, sums)                                                                         \
    void name(                                                                                               \
        const type *input, const int32_t *multiplier, const int32_t *shift, type *output, int32_t N,         \
        int32_t M, int32_t reduced, int32_t inner, int32_t input_zero_point, int32_t output_zero_point,      \
        int32_t rounding) {                                                                                  \
        (void)N;                                                                                             \
        sums(                                                                                                \
            input, multiplier[0], shift[0], output, M / inner, reduced, inner, input_zero_point,             \
            output_zero_point, rounding);                                                                    \
    }

/* How often 1 / count can be doubled into a multiplier: k of step 2. */
static int32_t doublings(int32_t count, int32_t shift) {
    int32_t k = 0;
    while ((count >> k) > 1 && k < 31 + shift) {
        k++;
    }
    return k;
}

#define DEFINE_MEAN(name, type, sums)                                                                        \
    void name(                                                                                               \
        const type *input, const int32_t *multiplier, const int32_t *shift, type *output, int32_t N,         \
        int32_t M, int32_t reduced, int32_t inner, int32_t input_zero_point, int32_t output_zero_point,      \
        int32_t rounding) {                                                                                  \
        const int32_t k = doublings(reduced, shift[0]);                                                      \
        const int64_t folded = fxp_shift_left(multiplier[0], k) / reduced; /* at most multiplier[0] */       \
        (void)N;                                                                                             \
        sums(                                                                                                \
            input, (int32_t)folded, shift[0] - k, output, M / inner, reduced, inner, input_zero_point,       \
            output_zero_point, rounding);                                                                    \
    }

DEFINE_SUM(fxp_sum_a8, int8_t, sums_a8)
DEFINE_SUM(fxp_sum_a16, int16_t, sums_a16)
DEFINE_MEAN(fxp_mean_a8, int8_t, sums_a8)
DEFINE_MEAN(fxp_mean_a16, int16_t, sums_a16)
