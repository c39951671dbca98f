/* Functions with the signatures of CMSIS-NN's, written for the tests of the adaptor: plain loops, double rounding.
 *
 * The structs are those of its public interface. Built with -DFAULT=n the functions are wrong in one way.
 */
#include <stddef.h>
#include <stdint.h>

#ifndef FAULT
#define FAULT 0
#endif
enum { NO_FAULT, DILATION_SWAPPED, OFFSET_SIGN, RETURNS_ERROR, SCRATCH_TOO_SMALL, ROUNDS_UP };

typedef struct { void *buf; int32_t size; } cmsis_nn_context;
typedef struct { int32_t n, h, w, c; } cmsis_nn_dims;
typedef struct { int32_t w, h; } cmsis_nn_tile;
typedef struct { int32_t min, max; } cmsis_nn_activation;
typedef struct {
    int32_t input_offset, output_offset;
    cmsis_nn_tile stride, padding, dilation;
    cmsis_nn_activation activation;
} cmsis_nn_conv_params;
typedef struct {
    int32_t input_offset, output_offset, ch_mult;
    cmsis_nn_tile stride, padding, dilation;
    cmsis_nn_activation activation;
} cmsis_nn_dw_conv_params;
typedef struct {
    int32_t input_offset, filter_offset, output_offset;
    cmsis_nn_activation activation;
} cmsis_nn_fc_params;
typedef struct { int32_t *multiplier, *shift; } cmsis_nn_per_channel_quant_params;
typedef struct { int32_t multiplier, shift; } cmsis_nn_per_tensor_quant_params;

static int8_t finish(
    int32_t sum, int32_t multiplier, int32_t shift, int32_t offset, cmsis_nn_activation activation) {
    const int64_t left = shift > 0 ? shift : 0;
    const int32_t right = shift < 0 ? -shift : 0;
    int64_t value = ((sum * ((int64_t)1 << left)) * multiplier + ((int64_t)1 << 30)) >> 31;
    if (right > 0) {
        const int64_t half = (int64_t)1 << (right - 1);
        value = (value + half - (FAULT != ROUNDS_UP && value < 0)) >> right;
    }
    value += FAULT == OFFSET_SIGN ? -offset : offset;
    return (int8_t)(value < activation.min ? activation.min : value > activation.max ? activation.max : value);
}

static int64_t at(const cmsis_nn_dims *dims, int32_t n, int32_t y, int32_t x, int32_t c) {
    return (((int64_t)n * dims->h + y) * dims->w + x) * dims->c + c;
}

/* One window of one filter; `filter` is indexed [ky][kx][c], its channels `step` apart. */
static int32_t window_sum(
    const cmsis_nn_dims *image, const int8_t *input, int32_t offset, const cmsis_nn_dims *filters,
    const int8_t *filter, int32_t channels, int32_t step, int32_t n, int32_t top, int32_t left, int32_t channel,
    cmsis_nn_tile dilation) {
    int32_t sum = 0;
    for (int32_t ky = 0; ky < filters->h; ky++) {
        for (int32_t kx = 0; kx < filters->w; kx++) {
            const int32_t y = top + ky * (FAULT == DILATION_SWAPPED ? dilation.w : dilation.h);
            const int32_t x = left + kx * (FAULT == DILATION_SWAPPED ? dilation.h : dilation.w);
            for (int32_t c = 0; c < channels && y >= 0 && y < image->h && x >= 0 && x < image->w; c++) {
                const int32_t value = input[at(image, n, y, x, channel + c)] + offset;
                sum += value * filter[(ky * filters->w + kx) * channels * step + c * step];
            }
        }
    }
    return sum;
}

int32_t arm_convolve_s8_get_buffer_size(const cmsis_nn_dims *input_dims, const cmsis_nn_dims *filter_dims) {
    (void)input_dims;
    return filter_dims->h * filter_dims->w * filter_dims->c * 2;
}

int32_t arm_convolve_s8(
    const cmsis_nn_context *ctx, const cmsis_nn_conv_params *params,
    const cmsis_nn_per_channel_quant_params *quant, const cmsis_nn_dims *input_dims, const int8_t *input,
    const cmsis_nn_dims *filter_dims, const int8_t *filter, const cmsis_nn_dims *bias_dims, const int32_t *bias,
    const cmsis_nn_dims *upscale_dims, const cmsis_nn_dims *output_dims, int8_t *output) {
    int8_t *scratch = ctx->buf;
    const int32_t needed = arm_convolve_s8_get_buffer_size(input_dims, filter_dims);
    if (upscale_dims != NULL || bias_dims->c != output_dims->c || ctx->size < needed || FAULT == RETURNS_ERROR) {
        return -1;
    }
    for (int32_t i = 0; i < needed + (FAULT == SCRATCH_TOO_SMALL); i++) {
        scratch[i] = 0;
    }
    for (int32_t n = 0; n < output_dims->n; n++) {
        for (int32_t y = 0; y < output_dims->h; y++) {
            for (int32_t x = 0; x < output_dims->w; x++) {
                for (int32_t o = 0; o < output_dims->c; o++) {
                    const int32_t size = filter_dims->h * filter_dims->w * filter_dims->c;
                    const int32_t sum = bias[o]
                        + window_sum(
                            input_dims, input, params->input_offset, filter_dims, filter + o * size,
                            filter_dims->c, 1, n, y * params->stride.h - params->padding.h,
                            x * params->stride.w - params->padding.w, 0, params->dilation);
                    output[at(output_dims, n, y, x, o)] = finish(
                        sum, quant->multiplier[o], quant->shift[o], params->output_offset, params->activation);
                }
            }
        }
    }
    return 0;
}

/* As a wrapper: without the dimensions of an upscaling. */
int32_t arm_convolve_wrapper_s8(
    const cmsis_nn_context *ctx, const cmsis_nn_conv_params *params,
    const cmsis_nn_per_channel_quant_params *quant, const cmsis_nn_dims *input_dims, const int8_t *input,
    const cmsis_nn_dims *filter_dims, const int8_t *filter, const cmsis_nn_dims *bias_dims, const int32_t *bias,
    const cmsis_nn_dims *output_dims, int8_t *output) {
    return arm_convolve_s8(
        ctx, params, quant, input_dims, input, filter_dims, filter, bias_dims, bias, NULL, output_dims, output);
}

int32_t arm_depthwise_conv_s8(
    const cmsis_nn_context *ctx, const cmsis_nn_dw_conv_params *params,
    const cmsis_nn_per_channel_quant_params *quant, const cmsis_nn_dims *input_dims, const int8_t *input,
    const cmsis_nn_dims *filter_dims, const int8_t *filter, const cmsis_nn_dims *bias_dims, const int32_t *bias,
    const cmsis_nn_dims *output_dims, int8_t *output) {
    (void)ctx;
    if (filter_dims->n != 1 || bias_dims->c != output_dims->c) {
        return -1;
    }
    for (int32_t n = 0; n < output_dims->n; n++) {
        for (int32_t y = 0; y < output_dims->h; y++) {
            for (int32_t x = 0; x < output_dims->w; x++) {
                for (int32_t o = 0; o < output_dims->c; o++) {
                    const int32_t sum = bias[o]
                        + window_sum(
                            input_dims, input, params->input_offset, filter_dims, filter + o, 1, filter_dims->c,
                            n, y * params->stride.h - params->padding.h,
                            x * params->stride.w - params->padding.w, o / params->ch_mult, params->dilation);
                    output[at(output_dims, n, y, x, o)] = finish(
                        sum, quant->multiplier[o], quant->shift[o], params->output_offset, params->activation);
                }
            }
        }
    }
    return 0;
}

int32_t arm_fully_connected_s8(
    const cmsis_nn_context *ctx, const cmsis_nn_fc_params *params, const cmsis_nn_per_tensor_quant_params *quant,
    const cmsis_nn_dims *input_dims, const int8_t *input, const cmsis_nn_dims *filter_dims, const int8_t *filter,
    const cmsis_nn_dims *bias_dims, const int32_t *bias, const cmsis_nn_dims *output_dims, int8_t *output) {
    const int32_t depth = filter_dims->n;
    (void)ctx;
    if (bias_dims->c != output_dims->c || input_dims->h * input_dims->w * input_dims->c != depth) {
        return -1;
    }
    for (int32_t n = 0; n < output_dims->n; n++) {
        for (int32_t o = 0; o < output_dims->c; o++) {
            int32_t sum = bias[o];
            for (int32_t k = 0; k < depth; k++) {
                sum += (input[n * depth + k] + params->input_offset)
                    * (filter[o * depth + k] + params->filter_offset);
            }
            output[n * output_dims->c + o] =
                finish(sum, quant->multiplier, quant->shift, params->output_offset, params->activation);
        }
    }
    return 0;
}
