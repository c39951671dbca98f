/* Sums of weights and of their magnitudes, and what an accumulator cannot exceed. See contract.md. */
#include "fxp_arithmetic.h"
#include "fxpgrad_kernels.h"

enum { RUN = 1 << 15 }; /* so many magnitudes of at most 2^15 fit 32 bits */

#define DEFINE_ROW_SUMS(NAME, TYPE)                                                                          \
    static void NAME(const TYPE *row, int32_t K, int64_t *magnitudes, int64_t *totals) {                     \
        *magnitudes = *totals = 0;                                                                           \
        for (int32_t start = 0, count; start < K; start += count) {                                          \
            int32_t magnitude = 0, total = 0;                                                                \
            count = K - start < RUN ? K - start : RUN;                                                       \
            for (int32_t k = start; k < start + count; k++) {                                                \
                magnitude += row[k] < 0 ? -row[k] : row[k];                                                  \
                total += row[k];                                                                             \
            }                                                                                                \
            *magnitudes += magnitude;                                                                        \
            *totals += total;                                                                                \
        }                                                                                                    \
    }

DEFINE_ROW_SUMS(row_sums_w8, int8_t)
DEFINE_ROW_SUMS(row_sums_w16, int16_t)

#define DEFINE_CHANNEL_SUMS(NAME, TYPE, ROW_SUMS)                                                            \
    void NAME(const TYPE *weights, int64_t *magnitudes, int64_t *totals, int32_t O, int32_t K) {             \
        for (int32_t o = 0; o < O; o++) {                                                                    \
            ROW_SUMS(weights + o * K, K, magnitudes + o, totals + o);                                        \
        }                                                                                                    \
    }

DEFINE_CHANNEL_SUMS(fxp_channel_sums_w8, int8_t, row_sums_w8)
DEFINE_CHANNEL_SUMS(fxp_channel_sums_w16, int16_t, row_sums_w16)

#define DEFINE_CHANNEL_BOUNDS(NAME, TYPE, ROW_SUMS)                                                          \
    void NAME(                                                                                               \
        const TYPE *weights, const int32_t *bias, int64_t *output, int32_t O, int32_t K,                     \
        int32_t input_zero_point) {                                                                          \
        for (int32_t o = 0; o < O; o++) {                                                                    \
            int64_t magnitude, total;                                                                        \
            ROW_SUMS(weights + o * K, K, &magnitude, &total);                                                \
            output[o] = 128 * magnitude + fxp_abs(bias[o] - input_zero_point * total);                       \
        }                                                                                                    \
    }

DEFINE_CHANNEL_BOUNDS(fxp_channel_bounds_w8, int8_t, row_sums_w8)
DEFINE_CHANNEL_BOUNDS(fxp_channel_bounds_w16, int16_t, row_sums_w16)
