/* Singular value decomposition filter: a dense layer of rank-1 filters that remember their last results.
 * See contract.md: sums wrap modulo 2^32, so they are unsigned here.
 */
#include "fxp_arithmetic.h"
#include "fxpgrad_kernels.h"

/* One filter's sum over the inputs. */
static int32_t feature_of(const int8_t *weights, const int8_t *input, int32_t length, int32_t zero_point) {
    uint32_t sum = 0;
    for (int32_t i = 0; i < length; i++) {
        sum += (uint32_t)(weights[i] * (input[i] - zero_point));
    }
    return (int32_t)fxp_wrap(sum, 32);
}

/* STATE of BITS bits is also the type of the time weights; |centred state * weight| < 2^31. */
#define DEFINE_SVDF(NAME, STATE, BITS) \
    /* Forget the oldest value of a filter's memory, remember the newest; return the sum over time. */ \
    static uint32_t remember_##STATE( \
        STATE *memory, const STATE *weights, int32_t steps, STATE newest, int32_t zero_point) { \
        uint32_t sum = 0; \
        for (int32_t t = 0; t < steps; t++) { \
            memory[t] = t + 1 < steps ? memory[t + 1] : newest; \
            sum += (uint32_t)(weights[t] * (memory[t] - zero_point)); \
        } \
        return sum; \
    } \
\
    void NAME( \
        const int8_t *input, const int8_t *feature_weights, const STATE *time_weights, const int32_t *bias, \
        const int32_t *multiplier, const int32_t *shift, STATE *state, int8_t *output, int32_t B, int32_t I, \
        int32_t F, int32_t T, int32_t O, int32_t S, int32_t rank, int32_t input_zero_point, \
        int32_t state_zero_point, int32_t output_zero_point, int32_t clamp_low, int32_t clamp_high, \
        int32_t rounding) { \
        const int32_t limit = (int32_t)1 << ((BITS)-1); \
        (void)F; \
        for (int32_t b = 0; b < B; b++) { \
            for (int32_t o = 0; o < O; o++) { \
                uint32_t total = (uint32_t)bias[o]; \
                for (int32_t f = o * rank; f < (o + 1) * rank; f++) { \
                    const int32_t feature = \
                        feature_of(feature_weights + f * I, input + b * I, I, input_zero_point); \
                    const int32_t value = fxp_requantize(feature, multiplier[0], shift[0], rounding); \
                    /* The zero point comes after the clamp, and wraps. */ \
                    const int64_t newest = fxp_clamp(value, -limit, limit - 1) + state_zero_point; \
                    total += remember_##STATE( \
                        state + b * S + f * T, time_weights + f * T, T, (STATE)fxp_wrap(newest, BITS), \
                        state_zero_point); \
                } \
                const int32_t sum = (int32_t)fxp_wrap(total, 32); \
                const int32_t value = fxp_requantize(sum, multiplier[1], shift[1], rounding); \
                output[b * O + o] = \
                    (int8_t)fxp_add_zero_point(value, output_zero_point, clamp_low, clamp_high); \
            } \
        } \
    }

DEFINE_SVDF(fxp_svdf_a8, int16_t, 16)
DEFINE_SVDF(fxp_svdf_a8_s8, int8_t, 8)
