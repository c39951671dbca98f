/* Leaky relu and the absolute value, from one quantization to another. See contract.md. */
#include "fxp_arithmetic.h"
#include "fxpgrad_kernels.h"

#define DEFINE_LEAKY_RELU(name, type, saturate)                                                              \
    void name(                                                                                               \
        const type *input, const int32_t *multiplier, const int32_t *shift, type *output, int32_t N,         \
        int32_t input_zero_point, int32_t output_zero_point, int32_t rounding) {                             \
        for (int32_t i = 0; i < N; i++) {                                                                    \
            const int32_t x = input[i] - input_zero_point, pair = x < 0;                                     \
            const int64_t value = fxp_requantize(x, multiplier[pair], shift[pair], rounding);                \
            output[i] = saturate(value + output_zero_point);                                                 \
        }                                                                                                    \
    }

#define DEFINE_ABS(name, type, saturate)                                                                     \
    void name(                                                                                               \
        const type *input, const int32_t *multiplier, const int32_t *shift, type *output, int32_t N,         \
        int32_t input_zero_point, int32_t output_zero_point, int32_t rounding) {                             \
        for (int32_t i = 0; i < N; i++) {                                                                    \
            const int64_t distance = fxp_abs(input[i] - input_zero_point);                                   \
            const int64_t value = fxp_requantize(distance, multiplier[0], shift[0], rounding);               \
            output[i] = saturate(value + output_zero_point);                                                 \
        }                                                                                                    \
    }

DEFINE_LEAKY_RELU(fxp_leaky_relu_a8, int8_t, fxp_saturate_int8)
DEFINE_LEAKY_RELU(fxp_leaky_relu_a16, int16_t, fxp_saturate_int16)

DEFINE_ABS(fxp_abs_a8, int8_t, fxp_saturate_int8)
DEFINE_ABS(fxp_abs_a16, int16_t, fxp_saturate_int16)
