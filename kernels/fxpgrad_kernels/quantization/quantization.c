/* From one quantization to another. See contract.md. */
#include "fxp_arithmetic.h"
#include "fxpgrad_kernels.h"

#define DEFINE_QUANTIZE(name, from, to, saturate)                                                            \
    void name(                                                                                               \
        const from *input, const int32_t *multiplier, const int32_t *shift, to *output, int32_t N,           \
        int32_t input_zero_point, int32_t output_zero_point, int32_t rounding) {                             \
        for (int32_t i = 0; i < N; i++) {                                                                    \
            const int64_t centred = (int64_t)input[i] - input_zero_point;                                    \
            const int64_t value = fxp_requantize(centred, multiplier[0], shift[0], rounding);                \
            output[i] = saturate(value + output_zero_point);                                                 \
        }                                                                                                    \
    }

DEFINE_QUANTIZE(fxp_quantize_a8, int8_t, int8_t, fxp_saturate_int8)
DEFINE_QUANTIZE(fxp_quantize_a8_a16, int8_t, int16_t, fxp_saturate_int16)
DEFINE_QUANTIZE(fxp_quantize_a8_a32, int8_t, int32_t, fxp_saturate_int32)
DEFINE_QUANTIZE(fxp_quantize_a16_a8, int16_t, int8_t, fxp_saturate_int8)
DEFINE_QUANTIZE(fxp_quantize_a16, int16_t, int16_t, fxp_saturate_int16)
DEFINE_QUANTIZE(fxp_quantize_a16_a32, int16_t, int32_t, fxp_saturate_int32)
DEFINE_QUANTIZE(fxp_quantize_a32_a8, int32_t, int8_t, fxp_saturate_int8)
DEFINE_QUANTIZE(fxp_quantize_a32_a16, int32_t, int16_t, fxp_saturate_int16)
