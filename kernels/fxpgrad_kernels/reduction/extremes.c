/* Extremes along one axis of [outer, reduced, inner], and their places. See contract.md. */
#include "fxpgrad_kernels.h"

/* `result` is an expression of `place`, where the first value of a column lies that no other beats. */
#define DEFINE_EXTREME(name, type, result_type, beats, result)                                               \
    void name(                                                                                               \
        const type *input, result_type *output, int32_t N, int32_t M, int32_t reduced, int32_t inner) {      \
        const int32_t outer = M / inner;                                                                     \
        (void)N;                                                                                             \
        for (int32_t block = 0; block < outer; block++) {                                                    \
            for (int32_t c = 0; c < inner; c++) {                                                            \
                const type *column = input + block * reduced * inner + c;                                    \
                type best = column[0];                                                                       \
                int32_t place = 0;                                                                           \
                for (int32_t i = 1; i < reduced; i++) {                                                      \
                    if (column[i * inner] beats best) {                                                      \
                        best = column[i * inner];                                                            \
                        place = i;                                                                           \
                    }                                                                                        \
                }                                                                                            \
                output[block * inner + c] = result;                                                          \
            }                                                                                                \
        }                                                                                                    \
    }

DEFINE_EXTREME(fxp_reduce_max_a8, int8_t, int8_t, >, column[place * inner])
DEFINE_EXTREME(fxp_reduce_min_a8, int8_t, int8_t, <, column[place * inner])
DEFINE_EXTREME(fxp_arg_max_a8, int8_t, int32_t, >, place)
DEFINE_EXTREME(fxp_arg_min_a8, int8_t, int32_t, <, place)

DEFINE_EXTREME(fxp_reduce_max_a16, int16_t, int16_t, >, column[place * inner])
DEFINE_EXTREME(fxp_reduce_min_a16, int16_t, int16_t, <, column[place * inner])
DEFINE_EXTREME(fxp_arg_max_a16, int16_t, int32_t, >, place)
DEFINE_EXTREME(fxp_arg_min_a16, int16_t, int32_t, <, place)
