/* 2-D convolution, int8 activations, 8- or 16-bit weights. See contract.md; the loops are in fxp_conv2d.h.
 *
 * Sums are exact whatever accumulator_bits says (fxp_dot_product.h).
 */
#include "fxp_conv2d.h"
#include "fxpgrad_kernels.h"

#define DEFINE_CONV2D(NAME, SUFFIX, WEIGHT) \
    FXP_DEFINE_CONV2D(SUFFIX, int8_t, WEIGHT, int32_t, int8_t) \
\
    void NAME( \
        const int8_t *input, const WEIGHT *weights, const int32_t *bias, const int32_t *multiplier, \
        const int32_t *shift, int8_t *output, int32_t B, int32_t H, int32_t W, int32_t C, int32_t O, \
        int32_t KH, int32_t KW, int32_t OH, int32_t OW, int32_t stride_h, int32_t stride_w, int32_t pad_top, \
        int32_t pad_left, int32_t dilation_h, int32_t dilation_w, int32_t groups, int32_t input_zero_point, \
        int32_t output_zero_point, int32_t clamp_low, int32_t clamp_high, int32_t rounding, \
        int32_t accumulator_bits) { \
        const fxp_window_layer layer = { \
            B, H, W, C, O, KH, KW, OH, OW, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, \
            groups, input_zero_point, output_zero_point, clamp_low, clamp_high, rounding}; \
        (void)accumulator_bits; \
        fxp_convolve_##SUFFIX(input, weights, bias, multiplier, shift, output, &layer); \
    }

DEFINE_CONV2D(fxp_conv2d_a8w8, a8w8, int8_t)
DEFINE_CONV2D(fxp_conv2d_a8w16, a8w16, int16_t)
DEFINE_CONV2D(fxp_conv2d_a8w16_split, a8w16_split, int16_t)
