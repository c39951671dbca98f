/* Average pooling as TOSA defines it, by a reciprocal of the window's size. See contract.md. */
#include "fxp_columns.h"
#include "fxp_span.h"
#include "fxpgrad_kernels.h"

/* The means of all channels of one window. */
static void average_window(
    const int8_t *image, int8_t *output, int32_t W, int32_t C, fxp_span rows, fxp_span columns,
    int32_t clamp_low, int32_t clamp_high, int32_t input_zero_point, int32_t output_zero_point) {
    const int32_t pixels = rows.count * columns.count;
    int32_t k = 0;
    while (((int32_t)1 << k) < pixels) {
        k++;
    }
    const int64_t reciprocal = ((((int64_t)1 << 30) + 1) << k) / pixels, half = (int64_t)1 << (29 + k);
    for (int32_t first = 0; first < C; first += FXP_COLUMNS) {
        const int32_t width = C - first < FXP_COLUMNS ? C - first : FXP_COLUMNS;
        int32_t sums[FXP_COLUMNS] = {0};
        for (int32_t y = rows.first; y < rows.first + rows.count; y++) {
            fxp_add_columns_a8(image + (y * W + columns.first) * C + first, columns.count, C, width, sums);
        }
        for (int32_t c = 0; c < width; c++) {
            const int64_t centred = sums[c] - pixels * input_zero_point;
            const int64_t mean = ((centred * reciprocal + half) >> (30 + k)) + output_zero_point;
            output[first + c] = (int8_t)fxp_clamp(mean, clamp_low, clamp_high);
        }
    }
}

void fxp_average_pool2d_tosa_a8(
    const int8_t *input, int8_t *output, int32_t B, int32_t H, int32_t W, int32_t C, int32_t OH, int32_t OW,
    int32_t size_h, int32_t size_w, int32_t stride_h, int32_t stride_w, int32_t pad_top, int32_t pad_left,
    int32_t clamp_low, int32_t clamp_high, int32_t input_zero_point, int32_t output_zero_point) {
    for (int32_t b = 0; b < B; b++) {
        const int8_t *image = input + b * H * W * C;
        for (int32_t oh = 0; oh < OH; oh++) {
            const fxp_span rows = fxp_span_of(oh, stride_h, pad_top, size_h, H);
            for (int32_t ow = 0; ow < OW; ow++) {
                const fxp_span columns = fxp_span_of(ow, stride_w, pad_left, size_w, W);
                average_window(
                    image, output + ((b * OH + oh) * OW + ow) * C, W, C, rows, columns, clamp_low, clamp_high,
                    input_zero_point, output_zero_point);
            }
        }
    }
}
