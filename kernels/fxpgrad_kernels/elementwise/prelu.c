/* Relu with a slope of its own for each element below zero. See contract.md. */
#include "fxp_arithmetic.h"
#include "fxpgrad_kernels.h"

#define DEFINE_PRELU(name, type, saturate)                                                                   \
    void name(                                                                                               \
        const type *input, const int8_t *slope, const int32_t *multiplier, const int32_t *shift,             \
        type *output, int32_t N, int32_t input_zero_point, int32_t slope_zero_point,                         \
        int32_t output_zero_point, int32_t rounding) {                                                       \
        for (int32_t i = 0; i < N; i++) {                                                                    \
            const int32_t x = input[i] - input_zero_point, pair = x < 0;                                     \
            const int32_t scaled = x < 0 ? x * (slope[i] - slope_zero_point) : x; /* below 2^24 in size */   \
            const int64_t value = fxp_requantize(scaled, multiplier[pair], shift[pair], rounding);           \
            output[i] = saturate(value + output_zero_point);                                                 \
        }                                                                                                    \
    }

DEFINE_PRELU(fxp_prelu_a8, int8_t, fxp_saturate_int8)
DEFINE_PRELU(fxp_prelu_a16, int16_t, fxp_saturate_int16)
