/* Transposed 2-D convolution: every output pixel gathers what the contract scatters. See contract.md. */
#include "fxp_arithmetic.h"
#include "fxp_dot_product.h"
#include "fxp_window.h"
#include "fxpgrad_kernels.h"

/* The taps that reach an output `position` pixels behind the padded corner from inputs in [0, extent):
 * *first, *first + stride, ... below *end. Tap t reads input (position - t) / stride. */
static void taps_reaching(
    int64_t position, int32_t taps, int32_t stride, int32_t extent, int32_t *first, int32_t *end) {
    const int64_t of_last_input = position - ((int64_t)extent - 1) * stride;
    *first = (int32_t)fxp_min(of_last_input > 0 ? of_last_input : position % stride, taps);
    *end = (int32_t)fxp_min(position + 1, taps);
}

#define DEFINE_TRANSPOSED(SUFFIX, INPUT, WEIGHT, BIAS) \
    /* Add to totals the sums of `count` neighbouring filters, 1 or 4, at the output (y, x) of an image. */ \
    static void gather_##SUFFIX( \
        const INPUT *image, const WEIGHT *filters, const fxp_window_layer *layer, int64_t y, int64_t x, \
        int32_t count, int64_t *totals) { \
        const int32_t channels = layer->channels, size = layer->kernel_h * layer->kernel_w * channels; \
        int32_t top, bottom, left, right; \
        taps_reaching(y, layer->kernel_h, layer->stride_h, layer->height, &top, &bottom); \
        taps_reaching(x, layer->kernel_w, layer->stride_w, layer->width, &left, &right); \
        for (int32_t ky = top; ky < bottom; ky += layer->stride_h) { \
            const int32_t line = (int32_t)((y - ky) / layer->stride_h) * layer->width; \
            for (int32_t kx = left; kx < right; kx += layer->stride_w) { \
                const INPUT *pixel = image + (line + (int32_t)((x - kx) / layer->stride_w)) * channels; \
                const WEIGHT *taps = filters + (ky * layer->kernel_w + kx) * channels; \
                fxp_add_dots_##SUFFIX(pixel, taps, size, channels, layer->input_zero_point, count, totals); \
            } \
        } \
    } \
\
    static void convolve_##SUFFIX( \
        const INPUT *input, const WEIGHT *weights, const BIAS *bias, const int32_t *multiplier, \
        const int32_t *shift, INPUT *output, const fxp_window_layer *layer) { \
        const int32_t size = layer->kernel_h * layer->kernel_w * layer->channels; \
        for (int32_t b = 0; b < layer->batch; b++) { \
            for (int32_t oy = 0; oy < layer->output_h; oy++) { \
                for (int32_t ox = 0; ox < layer->output_w; ox++) { \
                    const int64_t y = (int64_t)oy + layer->pad_top, x = (int64_t)ox + layer->pad_left; \
                    int32_t count; /* filters at a time */ \
                    for (int32_t o = 0; o < layer->filters; o += count) { \
                        int64_t totals[4] = {0, 0, 0, 0}; \
                        count = fxp_filters_at_once(layer->filters - o); \
                        gather_##SUFFIX(input, weights + o * size, layer, y, x, count, totals); \
                        for (int32_t i = o; i < o + count; i++) { \
                            const int64_t sum = bias[i] + totals[i - o]; \
                            const int32_t value = \
                                fxp_requantize(sum, multiplier[i], shift[i], layer->rounding); \
                            output[i] = (INPUT)fxp_add_zero_point( \
                                value, layer->output_zero_point, layer->clamp_low, layer->clamp_high); \
                        } \
                    } \
                    output += layer->filters; \
                } \
            } \
            input += layer->height * layer->width * layer->channels; \
        } \
    }

#define DEFINE_TRANSPOSE_CONV2D(NAME, SUFFIX, WEIGHT) \
    DEFINE_TRANSPOSED(SUFFIX, int8_t, WEIGHT, int32_t) \
\
    void NAME( \
        const int8_t *input, const WEIGHT *weights, const int32_t *bias, const int32_t *multiplier, \
        const int32_t *shift, int8_t *output, int32_t B, int32_t H, int32_t W, int32_t C, int32_t O, \
        int32_t KH, int32_t KW, int32_t OH, int32_t OW, int32_t stride_h, int32_t stride_w, int32_t pad_top, \
        int32_t pad_left, int32_t input_zero_point, int32_t output_zero_point, int32_t clamp_low, \
        int32_t clamp_high, int32_t rounding) { \
        const fxp_window_layer layer = { \
            B, H, W, C, O, KH, KW, OH, OW, stride_h, stride_w, pad_top, pad_left, 1, 1, 1, input_zero_point, \
            output_zero_point, clamp_low, clamp_high, rounding}; \
        convolve_##SUFFIX(input, weights, bias, multiplier, shift, output, &layer); \
    }

DEFINE_TRANSPOSE_CONV2D(fxp_transpose_conv2d_a8w8, a8w8, int8_t)
DEFINE_TRANSPOSE_CONV2D(fxp_transpose_conv2d_a8w16, a8w16, int16_t)

DEFINE_TRANSPOSED(a16w8, int16_t, int8_t, int64_t)

void fxp_transpose_conv2d_a16w8(
    const int16_t *input, const int8_t *weights, const int64_t *bias, const int32_t *multiplier,
    const int32_t *shift, int16_t *output, int32_t B, int32_t H, int32_t W, int32_t C, int32_t O, int32_t KH,
    int32_t KW, int32_t OH, int32_t OW, int32_t stride_h, int32_t stride_w, int32_t pad_top, int32_t pad_left,
    int32_t clamp_low, int32_t clamp_high, int32_t rounding) {
    const fxp_window_layer layer = {
        B, H, W, C, O, KH, KW, OH, OW, stride_h, stride_w, pad_top, pad_left, 1, 1, 1, 0, 0, clamp_low,
        clamp_high, rounding};
    convolve_a16w8(input, weights, bias, multiplier, shift, output, &layer);
}
