/* 2-D convolution, int16 activations, 8-bit weights. See contract.md; the loops are in fxp_conv2d.h. */
#include "fxp_conv2d.h"
#include "fxpgrad_kernels.h"

FXP_DEFINE_CONV2D(a16w8, int16_t, int8_t, int64_t, int16_t)

void fxp_conv2d_a16w8(
    const int16_t *input, const int8_t *weights, const int64_t *bias, const int32_t *multiplier,
    const int32_t *shift, int16_t *output, int32_t B, int32_t H, int32_t W, int32_t C, int32_t O, int32_t KH,
    int32_t KW, int32_t OH, int32_t OW, int32_t stride_h, int32_t stride_w, int32_t pad_top, int32_t pad_left,
    int32_t dilation_h, int32_t dilation_w, int32_t groups, int32_t clamp_low, int32_t clamp_high,
    int32_t rounding) {
    const fxp_window_layer layer = {
        B, H, W, C, O, KH, KW, OH, OW, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups,
        0, 0, clamp_low, clamp_high, rounding};
    fxp_convolve_a16w8(input, weights, bias, multiplier, shift, output, &layer);
}
