/* Moving whole stretches: concatenate, reshape, constant. See contract.md. */
#include "fxpgrad_kernels.h"

/* Row r of the input goes to columns [column, column + input_row) of row r of the output; others are kept. */
#define DEFINE_CONCATENATE_BLOCK(name, type)                                                                 \
    void name(                                                                                               \
        const type *input, type *output, int32_t N, int32_t M, int32_t input_row, int32_t output_row,        \
        int32_t column) {                                                                                    \
        const int32_t rows = N / input_row;                                                                  \
        (void)M;                                                                                             \
        for (int32_t row = 0; row < rows; row++) {                                                           \
            const type *source = input + row * input_row;                                                    \
            type *target = output + row * output_row + column;                                               \
            for (int32_t i = 0; i < input_row; i++) {                                                        \
                target[i] = source[i];                                                                       \
            }                                                                                                \
        }                                                                                                    \
    }

#define DEFINE_RESHAPE(name, type)                                                                           \
    void name(const type *input, type *output, int32_t N) {                                                  \
        for (int32_t i = 0; i < N; i++) {                                                                    \
            output[i] = input[i];                                                                            \
        }                                                                                                    \
    }

/* The value, once for every sample; N is a multiple of M. */
#define DEFINE_CONSTANT(name, type)                                                                          \
    void name(const type *value, type *output, int32_t M, int32_t N) {                                       \
        for (int32_t first = 0; first < N; first += M) {                                                     \
            for (int32_t i = 0; i < M; i++) {                                                                \
                output[first + i] = value[i];                                                                \
            }                                                                                                \
        }                                                                                                    \
    }

DEFINE_CONCATENATE_BLOCK(fxp_concatenate_block_a8, int8_t)
DEFINE_CONCATENATE_BLOCK(fxp_concatenate_block_a16, int16_t)
DEFINE_CONCATENATE_BLOCK(fxp_concatenate_block_a32, int32_t)

DEFINE_RESHAPE(fxp_reshape_a8, int8_t)
DEFINE_RESHAPE(fxp_reshape_a16, int16_t)
DEFINE_RESHAPE(fxp_reshape_a32, int32_t)

DEFINE_CONSTANT(fxp_constant_a8, int8_t)
DEFINE_CONSTANT(fxp_constant_a16, int16_t)
DEFINE_CONSTANT(fxp_constant_a32, int32_t)
