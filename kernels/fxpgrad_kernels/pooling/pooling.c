/* Max and average pooling over windows of [B, H, W, C]. See contract.md. */
#include "fxp_columns.h"
#include "fxp_span.h"
#include "fxpgrad_kernels.h"

/* The output holds the largest values found so far. */
#define DEFINE_MAX_WINDOW(name, type)                                                                        \
    static void name(                                                                                        \
        const type *image, type *output, int32_t W, int32_t C, fxp_span rows, fxp_span columns,              \
        int32_t clamp_low, int32_t clamp_high) {                                                             \
        for (int32_t c = 0; c < C; c++) {                                                                    \
            output[c] = (type)clamp_low;                                                                     \
        }                                                                                                    \
        for (int32_t y = rows.first; y < rows.first + rows.count; y++) {                                     \
            for (int32_t x = columns.first; x < columns.first + columns.count; x++) {                        \
                const type *pixel = image + (y * W + x) * C;                                                 \
                for (int32_t c = 0; c < C; c++) {                                                            \
                    output[c] = pixel[c] > output[c] ? pixel[c] : output[c];                                 \
                }                                                                                            \
            }                                                                                                \
        }                                                                                                    \
        for (int32_t c = 0; c < C; c++) {                                                                    \
            output[c] = output[c] < clamp_high ? output[c] : (type)clamp_high;                               \
        }                                                                                                    \
    }

/* Means to nearest, ties away from zero: C divides towards zero. Sums and half the count fit int32. */
#define DEFINE_AVERAGE_WINDOW(name, type, add_columns)                                                       \
    static void name(                                                                                        \
        const type *image, type *output, int32_t W, int32_t C, fxp_span rows, fxp_span columns,              \
        int32_t clamp_low, int32_t clamp_high) {                                                             \
        const int32_t pixels = rows.count * columns.count, half = pixels / 2;                                \
        for (int32_t first = 0; first < C; first += FXP_COLUMNS) {                                           \
            const int32_t width = C - first < FXP_COLUMNS ? C - first : FXP_COLUMNS;                         \
            int32_t sums[FXP_COLUMNS] = {0};                                                                 \
            for (int32_t y = rows.first; y < rows.first + rows.count; y++) {                                 \
                add_columns(image + (y * W + columns.first) * C + first, columns.count, C, width, sums);     \
            }                                                                                                \
            for (int32_t c = 0; c < width; c++) {                                                            \
                const int32_t mean = (sums[c] + (sums[c] > 0 ? half : -half)) / pixels;                      \
                output[first + c] = (type)fxp_clamp(mean, clamp_low, clamp_high);                            \
            }                                                                                                \
        }                                                                                                    \
    }

#define DEFINE_POOL(name, type, pool_window)                                                                 \
    void name(                                                                                               \
        const type *input, type *output, int32_t B, int32_t H, int32_t W, int32_t C, int32_t OH, int32_t OW, \
        int32_t size_h, int32_t size_w, int32_t stride_h, int32_t stride_w, int32_t pad_top,                 \
        int32_t pad_left, int32_t clamp_low, int32_t clamp_high) {                                           \
        for (int32_t b = 0; b < B; b++) {                                                                    \
            const type *image = input + b * H * W * C;                                                       \
            for (int32_t oh = 0; oh < OH; oh++) {                                                            \
                const fxp_span rows = fxp_span_of(oh, stride_h, pad_top, size_h, H);                         \
                for (int32_t ow = 0; ow < OW; ow++) {                                                        \
                    const fxp_span columns = fxp_span_of(ow, stride_w, pad_left, size_w, W);                 \
                    type *target = output + ((b * OH + oh) * OW + ow) * C;                                   \
                    pool_window(image, target, W, C, rows, columns, clamp_low, clamp_high);                  \
                }                                                                                            \
            }                                                                                                \
        }                                                                                                    \
    }

DEFINE_MAX_WINDOW(max_window_a8, int8_t)
DEFINE_MAX_WINDOW(max_window_a16, int16_t)
DEFINE_AVERAGE_WINDOW(average_window_a8, int8_t, fxp_add_columns_a8)
DEFINE_AVERAGE_WINDOW(average_window_a16, int16_t, fxp_add_columns_a16)

DEFINE_POOL(fxp_max_pool2d_a8, int8_t, max_window_a8)
DEFINE_POOL(fxp_max_pool2d_a16, int16_t, max_window_a16)
DEFINE_POOL(fxp_average_pool2d_a8, int8_t, average_window_a8)
DEFINE_POOL(fxp_average_pool2d_a16, int16_t, average_window_a16)
