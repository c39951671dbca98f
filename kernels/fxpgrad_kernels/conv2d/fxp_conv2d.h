/* The convolution of which the ports in conv2d.c and conv2d_16x8.c are instances. See contract.md. */
#ifndef FXP_CONV2D_H
#define FXP_CONV2D_H

#include "fxp_arithmetic.h"
#include "fxp_dot_product.h"
#include "fxp_window.h"

/* fxp_add_window_SUFFIX adds the sums of `count` neighbouring filters, 1 or 4, on one window to totals;
 * `image` starts at the first channel of their group.
 * fxp_convolve_SUFFIX is the layer: filters outside, pixels inside, so that filters stay near while the image
 * passes. */
#define FXP_DEFINE_CONV2D(SUFFIX, INPUT, WEIGHT, BIAS, OUTPUT) \
    static inline void fxp_add_window_##SUFFIX( \
        const INPUT *image, const WEIGHT *filters, const fxp_window_layer *layer, const fxp_window *window, \
        int32_t count, int64_t *totals) { \
        const int32_t depth = layer->channels / layer->groups; \
        const int32_t size = layer->kernel_h * layer->kernel_w * depth; \
        /* Taps of a line that are neighbours in memory are one run. */ \
        const int joined = layer->dilation_w == 1 && layer->groups == 1 && window->right > window->left; \
        const int32_t run = joined ? window->right - window->left : 1; \
        for (int32_t ky = window->top; ky < window->bottom; ky++) { \
            for (int32_t kx = window->left; kx < window->right; kx += run) { \
                fxp_add_dots_##SUFFIX( \
                    image + fxp_window_pixel(window, layer, ky, kx), \
                    filters + (ky * layer->kernel_w + kx) * depth, size, run * depth, \
                    layer->input_zero_point, count, totals); \
            } \
        } \
    } \
\
    static void fxp_convolve_##SUFFIX( \
        const INPUT *input, const WEIGHT *weights, const BIAS *bias, const int32_t *multiplier, \
        const int32_t *shift, OUTPUT *output, const fxp_window_layer *layer) { \
        const int32_t depth = layer->channels / layer->groups; \
        const int32_t group_filters = layer->filters / layer->groups; \
        const int32_t size = layer->kernel_h * layer->kernel_w * depth; \
        int32_t count; /* filters at a time */ \
        for (int32_t b = 0; b < layer->batch; b++) { \
            for (int32_t o = 0; o < layer->filters; o += count) { \
                const int32_t group = o / group_filters; \
                const INPUT *image = input + group * depth; \
                fxp_window window; \
                count = fxp_filters_at_once((group + 1) * group_filters - o); \
                for (int32_t oy = 0; oy < layer->output_h; oy++) { \
                    fxp_window_to_line(&window, layer, oy); \
                    for (int32_t ox = 0; ox < layer->output_w; ox++) { \
                        OUTPUT *pixel = output + (oy * layer->output_w + ox) * layer->filters; \
                        int64_t totals[4] = {0, 0, 0, 0}; \
                        fxp_window_to_column(&window, layer, ox); \
                        fxp_add_window_##SUFFIX(image, weights + o * size, layer, &window, count, totals); \
                        for (int32_t i = o; i < o + count; i++) { \
                            const int64_t sum = bias[i] + totals[i - o]; \
                            const int32_t value = \
                                fxp_requantize(sum, multiplier[i], shift[i], layer->rounding); \
                            pixel[i] = (OUTPUT)fxp_add_zero_point( \
                                value, layer->output_zero_point, layer->clamp_low, layer->clamp_high); \
                        } \
                    } \
                } \
            } \
            input += layer->height * layer->width * layer->channels; \
            output += layer->output_h * layer->output_w * layer->filters; \
        } \
    }

#endif
