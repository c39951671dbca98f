/* Layers that move a window over images: their parameters, and which taps of a window lie on the image. */
#ifndef FXP_WINDOW_H
#define FXP_WINDOW_H

#include <stdint.h>

/* Lengths and parameters of a layer, by the names of the contracts. */
typedef struct {
    int32_t batch, height, width, channels, filters, kernel_h, kernel_w, output_h, output_w;
    int32_t stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups;
    int32_t input_zero_point, output_zero_point, clamp_low, clamp_high, rounding;
} fxp_window_layer;

/* The window of one output: it starts at (y, x) of the image, and its taps ky in [top, bottom) and kx in
 * [left, right) lie there. */
typedef struct {
    int64_t y, x;
    int32_t top, bottom, left, right;
} fxp_window;

/* The taps with 0 <= origin + tap * dilation < extent: *first to *end - 1; none if both are equal. */
static inline void fxp_taps_inside(
    int64_t origin, int32_t taps, int32_t dilation, int32_t extent, int32_t *first, int32_t *end) {
    int32_t low = 0, high = taps;
    while (low < taps && origin + (int64_t)low * dilation < 0) {
        low++;
    }
    while (high > low && origin + (int64_t)(high - 1) * dilation >= extent) {
        high--;
    }
    *first = low;
    *end = high;
}

/* Move a window to line oy of the output. */
static inline void fxp_window_to_line(fxp_window *window, const fxp_window_layer *layer, int32_t oy) {
    window->y = (int64_t)oy * layer->stride_h - layer->pad_top;
    fxp_taps_inside(
        window->y, layer->kernel_h, layer->dilation_h, layer->height, &window->top, &window->bottom);
}

/* Move a window to column ox of the output. */
static inline void fxp_window_to_column(fxp_window *window, const fxp_window_layer *layer, int32_t ox) {
    window->x = (int64_t)ox * layer->stride_w - layer->pad_left;
    fxp_taps_inside(
        window->x, layer->kernel_w, layer->dilation_w, layer->width, &window->left, &window->right);
}

/* Where in an image [height, width, channels] the pixel under tap (ky, kx) starts; the tap lies there. */
static inline int32_t fxp_window_pixel(
    const fxp_window *window, const fxp_window_layer *layer, int32_t ky, int32_t kx) {
    const int32_t y = (int32_t)(window->y + (int64_t)ky * layer->dilation_h);
    const int32_t x = (int32_t)(window->x + (int64_t)kx * layer->dilation_w);
    return (y * layer->width + x) * layer->channels;
}

#endif
