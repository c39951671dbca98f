/* Bilinear resizing of images [B, H, W, C]. Places are in units of 1/1024. See contract.md. */
#include "fxp_arithmetic.h"
#include "fxpgrad_kernels.h"

/* The two pixels next to an output on one axis, and how far beyond the first it lies. */
typedef struct {
    int32_t first, second, beyond;
} neighbours;

static neighbours neighbours_of(
    int32_t index, int32_t extent, int32_t count, int32_t align_corners, int32_t half_pixel_centers) {
    const int32_t aligned = align_corners && count > 1, steps = count - aligned;
    const int64_t step = (1024 * (int64_t)(extent - aligned) + steps / 2) / steps;
    const int64_t place = index * step + (half_pixel_centers ? step / 2 - 512 : 0);
    const int64_t first = fxp_max(place >> 10, 0), second = fxp_min((place + 1023) >> 10, extent - 1);
    const neighbours found = {(int32_t)first, (int32_t)second, (int32_t)(place - 1024 * first)};
    return found;
}

/* All channels of one output, first across, then down; a mean of pixels, so that it fits their type. */
#define DEFINE_INTERPOLATE(name, type, wide)                                                                 \
    static void name(                                                                                        \
        const type *image, type *output, int32_t W, int32_t C, neighbours y, neighbours x, int32_t ties) {   \
        const type *upper_left = image + (y.first * W + x.first) * C;                                        \
        const type *upper_right = image + (y.first * W + x.second) * C;                                      \
        const type *lower_left = image + (y.second * W + x.first) * C;                                       \
        const type *lower_right = image + (y.second * W + x.second) * C;                                     \
        for (int32_t c = 0; c < C; c++) {                                                                    \
            const int32_t upper = upper_left[c] * (1024 - x.beyond) + upper_right[c] * x.beyond;             \
            const int32_t lower = lower_left[c] * (1024 - x.beyond) + lower_right[c] * x.beyond;             \
            const wide total = (wide)upper * (1024 - y.beyond) + (wide)lower * y.beyond;                     \
            output[c] = (type)fxp_rounding_shift(total, 20, ties);                                           \
        }                                                                                                    \
    }

#define DEFINE_RESIZE_BILINEAR(name, type, interpolate)                                                      \
    void name(                                                                                               \
        const type *input, type *output, int32_t B, int32_t H, int32_t W, int32_t C, int32_t OH, int32_t OW, \
        int32_t align_corners, int32_t half_pixel_centers, int32_t ties) {                                   \
        for (int32_t b = 0; b < B; b++) {                                                                    \
            const type *image = input + b * H * W * C;                                                       \
            for (int32_t oh = 0; oh < OH; oh++) {                                                            \
                const neighbours y = neighbours_of(oh, H, OH, align_corners, half_pixel_centers);            \
                for (int32_t ow = 0; ow < OW; ow++) {                                                        \
                    const neighbours x = neighbours_of(ow, W, OW, align_corners, half_pixel_centers);        \
                    interpolate(image, output + ((b * OH + oh) * OW + ow) * C, W, C, y, x, ties);            \
                }                                                                                            \
            }                                                                                                \
        }                                                                                                    \
    }

DEFINE_INTERPOLATE(interpolate_a8, int8_t, int32_t)
DEFINE_INTERPOLATE(interpolate_a16, int16_t, int64_t)

DEFINE_RESIZE_BILINEAR(fxp_resize_bilinear_a8, int8_t, interpolate_a8)
DEFINE_RESIZE_BILINEAR(fxp_resize_bilinear_a16, int16_t, interpolate_a16)
