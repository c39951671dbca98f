/* Moving elements by index: transpose, slice, pad, broadcast, gather. See contract.md. */
#include "fxpgrad_kernels.h"

enum { GREATEST_RANK = 8 };

/* A box of `extents` from one sample to another; strides are in elements, those of the input any. */
#define DEFINE_MOVE_BOX(name, type)                                                                          \
    static void name(                                                                                        \
        const type *source, const int32_t *extents, const int32_t *input_strides,                            \
        const int32_t *output_strides, type *target, int32_t R) {                                            \
        int32_t index[GREATEST_RANK] = {0}, axis = 0;                                                        \
        const int32_t columns = extents[R - 1];                                                              \
        const int32_t input_column = input_strides[R - 1], output_column = output_strides[R - 1];            \
        while (axis >= 0) {                                                                                  \
            for (int32_t i = 0; i < columns; i++) {                                                          \
                target[i * output_column] = source[i * input_column];                                        \
            }                                                                                                \
            /* The next index of the outer axes; past the last of one, its first and the axis before it. */  \
            for (axis = R - 2; axis >= 0 && index[axis] == extents[axis] - 1; axis--) {                      \
                source -= index[axis] * input_strides[axis];                                                 \
                target -= index[axis] * output_strides[axis];                                                \
                index[axis] = 0;                                                                             \
            }                                                                                                \
            if (axis >= 0) {                                                                                 \
                source += input_strides[axis];                                                               \
                target += output_strides[axis];                                                              \
                index[axis]++;                                                                               \
            }                                                                                                \
        }                                                                                                    \
    }

#define DEFINE_REARRANGE(name, type, move_box)                                                               \
    void name(                                                                                               \
        const type *input, const int32_t *extents, const int32_t *input_strides,                             \
        const int32_t *output_strides, type *output, int32_t N, int32_t R, int32_t M,                        \
        int32_t input_elements, int32_t output_elements, int32_t input_offset, int32_t output_offset,        \
        int32_t fill) {                                                                                      \
        const int32_t samples = N / input_elements;                                                          \
        (void)M;                                                                                             \
        for (int32_t sample = 0; sample < samples; sample++) {                                               \
            type *target = output + sample * output_elements;                                                \
            for (int32_t i = 0; i < output_elements; i++) {                                                  \
                target[i] = (type)fill;                                                                      \
            }                                                                                                \
            move_box(                                                                                        \
                input + sample * input_elements + input_offset, extents, input_strides, output_strides,      \
                target + output_offset, R);                                                                  \
        }                                                                                                    \
    }

/* [outer, extent, inner] to [outer, J, inner]: entries of the middle axis, picked by a list. */
#define DEFINE_GATHER(name, type)                                                                            \
    void name(                                                                                               \
        const type *input, const int32_t *indices, type *output, int32_t N, int32_t J, int32_t M,            \
        int32_t extent, int32_t inner) {                                                                     \
        const int32_t outer = N / extent / inner;                                                            \
        (void)M;                                                                                             \
        for (int32_t block = 0; block < outer; block++) {                                                    \
            for (int32_t j = 0; j < J; j++) {                                                                \
                const type *source = input + (block * extent + indices[j]) * inner;                          \
                type *target = output + (block * J + j) * inner;                                             \
                for (int32_t i = 0; i < inner; i++) {                                                        \
                    target[i] = source[i];                                                                   \
                }                                                                                            \
            }                                                                                                \
        }                                                                                                    \
    }

DEFINE_MOVE_BOX(move_box_a8, int8_t)
DEFINE_MOVE_BOX(move_box_a16, int16_t)
DEFINE_MOVE_BOX(move_box_a32, int32_t)

DEFINE_REARRANGE(fxp_rearrange_a8, int8_t, move_box_a8)
DEFINE_REARRANGE(fxp_rearrange_a16, int16_t, move_box_a16)
DEFINE_REARRANGE(fxp_rearrange_a32, int32_t, move_box_a32)

DEFINE_GATHER(fxp_gather_a8, int8_t)
DEFINE_GATHER(fxp_gather_a16, int16_t)
DEFINE_GATHER(fxp_gather_a32, int32_t)
