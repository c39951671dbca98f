/* Layers whose accumulator has 8 to 32 bits, and wraps or saturates at each addition. See contract.md.
 *
 * Additions are made one after the other, in the contract's order. The statistics are not part of the ports.
 */
#include "fxp_arithmetic.h"
#include "fxp_window.h"
#include "fxpgrad_kernels.h"

/* The accumulator's width, and whether it saturates; else it wraps. */
typedef struct {
    int32_t bits, saturate;
} narrow;

/* accumulator + term, brought back into the accumulator's width. */
static int64_t add_narrow(int64_t accumulator, int64_t term, narrow kind) {
    const int64_t exact = accumulator + term, half = (int64_t)1 << (kind.bits - 1);
    return kind.saturate ? fxp_clamp(exact, -half, half - 1) : fxp_wrap(exact, kind.bits);
}

/* add_run adds the products of `length` neighbours to sum. */
#define DEFINE_RUN(WEIGHT) \
    static int64_t add_run_##WEIGHT( \
        int64_t sum, const int8_t *x, const WEIGHT *w, int32_t length, int32_t zero_point, narrow kind) { \
        for (int32_t k = 0; k < length; k++) { \
            sum = add_narrow(sum, (x[k] - zero_point) * w[k], kind); \
        } \
        return sum; \
    }

DEFINE_RUN(int8_t)
DEFINE_RUN(int16_t)

/* Both convolutions: a depthwise one has as many groups as channels. Element (o, ky, kx, c) of the filters is
 * at o * filter_step + (ky * kernel_w + kx) * tap_step + c. */
#define DEFINE_CONVOLVE(WEIGHT) \
    static void convolve_##WEIGHT( \
        const int8_t *input, const WEIGHT *weights, const int32_t *bias, const int32_t *multiplier, \
        const int32_t *shift, int8_t *output, const fxp_window_layer *layer, int32_t filter_step, \
        int32_t tap_step, narrow kind) { \
        const int32_t depth = layer->channels / layer->groups; \
        const int32_t group_filters = layer->filters / layer->groups; \
        fxp_window at; \
        for (int32_t b = 0; b < layer->batch; b++) { \
            for (int32_t oy = 0; oy < layer->output_h; oy++) { \
                fxp_window_to_line(&at, layer, oy); \
                for (int32_t ox = 0; ox < layer->output_w; ox++) { \
                    fxp_window_to_column(&at, layer, ox); \
                    for (int32_t o = 0; o < layer->filters; o++) { \
                        const int8_t *image = input + o / group_filters * depth; \
                        const WEIGHT *filter = weights + o * filter_step; \
                        int64_t sum = 0; \
                        for (int32_t ky = at.top; ky < at.bottom; ky++) { \
                            for (int32_t kx = at.left; kx < at.right; kx++) { \
                                sum = add_run_##WEIGHT( \
                                    sum, image + fxp_window_pixel(&at, layer, ky, kx), \
                                    filter + (ky * layer->kernel_w + kx) * tap_step, depth, \
                                    layer->input_zero_point, kind); \
                            } \
                        } \
                        sum = add_narrow(sum, bias[o], kind); \
                        const int32_t value = fxp_requantize(sum, multiplier[o], shift[o], layer->rounding); \
                        output[o] = (int8_t)fxp_add_zero_point( \
                            value, layer->output_zero_point, layer->clamp_low, layer->clamp_high); \
                    } \
                    output += layer->filters; \
                } \
            } \
            input += layer->height * layer->width * layer->channels; \
        } \
    }

DEFINE_CONVOLVE(int8_t)
DEFINE_CONVOLVE(int16_t)

#define DEFINE_CONV2D(NAME, WEIGHT) \
    void NAME( \
        const int8_t *input, const WEIGHT *weights, const int32_t *bias, const int32_t *multiplier, \
        const int32_t *shift, int8_t *output, int32_t B, int32_t H, int32_t W, int32_t C, int32_t O, \
        int32_t KH, int32_t KW, int32_t OH, int32_t OW, int32_t stride_h, int32_t stride_w, int32_t pad_top, \
        int32_t pad_left, int32_t dilation_h, int32_t dilation_w, int32_t groups, int32_t input_zero_point, \
        int32_t output_zero_point, int32_t clamp_low, int32_t clamp_high, int32_t rounding, \
        int32_t accumulator_bits, int32_t saturate) { \
        const fxp_window_layer layer = { \
            B, H, W, C, O, KH, KW, OH, OW, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, \
            groups, input_zero_point, output_zero_point, clamp_low, clamp_high, rounding}; \
        const int32_t depth = C / groups; \
        const narrow kind = {accumulator_bits, saturate}; \
        convolve_##WEIGHT( \
            input, weights, bias, multiplier, shift, output, &layer, KH * KW * depth, depth, kind); \
    }

DEFINE_CONV2D(fxp_conv2d_narrow_a8w8, int8_t)
DEFINE_CONV2D(fxp_conv2d_narrow_a8w16, int16_t)

#define DEFINE_DEPTHWISE(NAME, WEIGHT) \
    void NAME( \
        const int8_t *input, const WEIGHT *weights, const int32_t *bias, const int32_t *multiplier, \
        const int32_t *shift, int8_t *output, int32_t B, int32_t H, int32_t W, int32_t C, int32_t KH, \
        int32_t KW, int32_t O, int32_t OH, int32_t OW, int32_t stride_h, int32_t stride_w, int32_t pad_top, \
        int32_t pad_left, int32_t dilation_h, int32_t dilation_w, int32_t input_zero_point, \
        int32_t output_zero_point, int32_t clamp_low, int32_t clamp_high, int32_t rounding, \
        int32_t accumulator_bits, int32_t saturate) { \
        const fxp_window_layer layer = { \
            B, H, W, C, O, KH, KW, OH, OW, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, C, \
            input_zero_point, output_zero_point, clamp_low, clamp_high, rounding}; \
        const narrow kind = {accumulator_bits, saturate}; \
        convolve_##WEIGHT(input, weights, bias, multiplier, shift, output, &layer, 1, O, kind); \
    }

DEFINE_DEPTHWISE(fxp_depthwise_conv2d_narrow_a8w8, int8_t)
DEFINE_DEPTHWISE(fxp_depthwise_conv2d_narrow_a8w16, int16_t)

#define DEFINE_FULLY_CONNECTED(NAME, WEIGHT) \
    void NAME( \
        const int8_t *input, const WEIGHT *weights, const int32_t *bias, const int32_t *multiplier, \
        const int32_t *shift, int8_t *output, int32_t B, int32_t I, int32_t O, int32_t input_zero_point, \
        int32_t output_zero_point, int32_t clamp_low, int32_t clamp_high, int32_t rounding, \
        int32_t accumulator_bits, int32_t saturate) { \
        const narrow kind = {accumulator_bits, saturate}; \
        for (int32_t b = 0; b < B; b++) { \
            for (int32_t o = 0; o < O; o++) { \
                const int8_t *row = input + b * I; \
                int64_t sum = add_run_##WEIGHT(0, row, weights + o * I, I, input_zero_point, kind); \
                sum = add_narrow(sum, bias[o], kind); \
                const int32_t value = fxp_requantize(sum, multiplier[o], shift[o], rounding); \
                output[b * O + o] = \
                    (int8_t)fxp_add_zero_point(value, output_zero_point, clamp_low, clamp_high); \
            } \
        } \
    }

DEFINE_FULLY_CONNECTED(fxp_fully_connected_narrow_a8w8, int8_t)
DEFINE_FULLY_CONNECTED(fxp_fully_connected_narrow_a8w16, int16_t)
