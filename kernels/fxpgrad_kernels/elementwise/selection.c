/* The greater or the smaller of two activations of one quantization. See contract.md. */
#include "fxpgrad_kernels.h"

#define DEFINE_SELECTION(name, type, comes_before)                                                           \
    void name(const type *input_a, const type *input_b, type *output, int32_t N) {                           \
        for (int32_t i = 0; i < N; i++) {                                                                    \
            output[i] = input_a[i] comes_before input_b[i] ? input_a[i] : input_b[i];                        \
        }                                                                                                    \
    }

DEFINE_SELECTION(fxp_maximum_a8, int8_t, >)
DEFINE_SELECTION(fxp_maximum_a16, int16_t, >)
DEFINE_SELECTION(fxp_maximum_a32, int32_t, >)
DEFINE_SELECTION(fxp_minimum_a8, int8_t, <)
DEFINE_SELECTION(fxp_minimum_a16, int16_t, <)
DEFINE_SELECTION(fxp_minimum_a32, int32_t, <)
