/* The convolution of which the ports in depthwise_conv2d*.c are instances. See contract.md.
 *
 * Inputs and weights have their channels last, so that sums run over channels: some at a time, tap after tap.
 */
#ifndef FXP_DEPTHWISE_CONV2D_H
#define FXP_DEPTHWISE_CONV2D_H

#include "fxp_arithmetic.h"
#include "fxp_window.h"

enum { FXP_LANES = 16 }; /* output channels at a time */

/* The whole form has one sum for each channel; the split form three, of w = 256 * high + low + 128. */
#define FXP_ADD_WHOLE(sums, i, value, w) ((sums)[0][i] += (value) * (w))
#define FXP_TOTAL_WHOLE(sums, i) ((sums)[0][i])
#define FXP_ADD_SPLIT(sums, i, value, w) \
    ((sums)[0][i] += (value) * (int8_t)((w) >> 8), (sums)[1][i] += (value) * (int8_t)(((w) & 255) - 128), \
     (sums)[2][i] += (value))
#define FXP_TOTAL_SPLIT(sums, i) ((int64_t)(sums)[0][i] * 256 + (sums)[1][i] + (int64_t)(sums)[2][i] * 128)

/* fxp_add_tap_SUFFIX adds the products of one tap: those of output channels o to o + count - 1.
 * fxp_collect_SUFFIX moves sums to totals. fxp_convolve_depthwise_SUFFIX is the layer.
 * A centred input fits int16; the sum of any BLOCK products fits int32. */
#define FXP_DEFINE_DEPTHWISE(SUFFIX, INPUT, WEIGHT, BIAS, OUTPUT, FORM, PARTS, BLOCK) \
    static inline void fxp_add_tap_##SUFFIX( \
        const INPUT *pixel, const WEIGHT *taps, int32_t zero_point, int32_t o, int32_t count, \
        int32_t multiplicity, int32_t sums[PARTS][FXP_LANES]) { \
        if (multiplicity == 1) { \
            for (int32_t i = 0; i < count; i++) { \
                const int16_t value = (int16_t)(pixel[o + i] - zero_point); \
                FXP_ADD_##FORM(sums, i, value, taps[o + i]); \
            } \
            return; \
        } \
        for (int32_t i = 0; i < count;) { \
            const int32_t channel = (o + i) / multiplicity, left = (channel + 1) * multiplicity - o; \
            const int32_t end = left < count ? left : count; \
            const int16_t value = (int16_t)(pixel[channel] - zero_point); \
            for (; i < end; i++) { \
                FXP_ADD_##FORM(sums, i, value, taps[o + i]); \
            } \
        } \
    } \
\
    static inline void fxp_collect_##SUFFIX(int32_t sums[PARTS][FXP_LANES], int64_t totals[FXP_LANES]) { \
        for (int32_t i = 0; i < FXP_LANES; i++) { \
            totals[i] += FXP_TOTAL_##FORM(sums, i); \
        } \
        for (int32_t i = 0; i < (PARTS) * FXP_LANES; i++) { \
            sums[i / FXP_LANES][i % FXP_LANES] = 0; \
        } \
    } \
\
    static inline void fxp_add_channels_##SUFFIX( \
        const INPUT *image, const WEIGHT *weights, const fxp_window_layer *layer, const fxp_window *window, \
        int32_t o, int32_t count, int64_t totals[FXP_LANES]) { \
        const int32_t multiplicity = layer->filters / layer->channels; \
        int32_t sums[PARTS][FXP_LANES] = {{0}}, products = 0; \
        for (int32_t ky = window->top; ky < window->bottom; ky++) { \
            for (int32_t kx = window->left; kx < window->right; kx++) { \
                const INPUT *pixel = image + fxp_window_pixel(window, layer, ky, kx); \
                const WEIGHT *taps = weights + (ky * layer->kernel_w + kx) * layer->filters; \
                fxp_add_tap_##SUFFIX(pixel, taps, layer->input_zero_point, o, count, multiplicity, sums); \
                if (++products == (BLOCK)) { \
                    fxp_collect_##SUFFIX(sums, totals); \
                    products = 0; \
                } \
            } \
        } \
        fxp_collect_##SUFFIX(sums, totals); \
    } \
\
    static void fxp_convolve_depthwise_##SUFFIX( \
        const INPUT *input, const WEIGHT *weights, const BIAS *bias, const int32_t *multiplier, \
        const int32_t *shift, OUTPUT *output, const fxp_window_layer *layer) { \
        fxp_window window; \
        for (int32_t b = 0; b < layer->batch; b++) { \
            for (int32_t oy = 0; oy < layer->output_h; oy++) { \
                fxp_window_to_line(&window, layer, oy); \
                for (int32_t ox = 0; ox < layer->output_w; ox++) { \
                    fxp_window_to_column(&window, layer, ox); \
                    for (int32_t o = 0; o < layer->filters; o += FXP_LANES) { \
                        const int32_t left = layer->filters - o; \
                        const int32_t count = left < FXP_LANES ? left : FXP_LANES; \
                        int64_t totals[FXP_LANES] = {0}; \
                        fxp_add_channels_##SUFFIX(input, weights, layer, &window, o, count, totals); \
                        for (int32_t i = o; i < o + count; i++) { \
                            const int64_t sum = bias[i] + totals[i - o]; \
                            const int32_t value = \
                                fxp_requantize(sum, multiplier[i], shift[i], layer->rounding); \
                            output[i] = (OUTPUT)fxp_add_zero_point( \
                                value, layer->output_zero_point, layer->clamp_low, layer->clamp_high); \
                        } \
                    } \
                    output += layer->filters; \
                } \
            } \
            input += layer->height * layer->width * layer->channels; \
        } \
    }

#endif
