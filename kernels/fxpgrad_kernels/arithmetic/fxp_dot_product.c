/* Exact dot products of activations with weights.
 *
 * Sums are int32 over as many products as are sure to fit, then int64: no proof about the weights is needed.
 * Four filters are multiplied at a time: an input is read, and its zero point taken off, once for four.
 * These are functions of their own, not inline: their loops have the registers of a small core to themselves.
 */
#include "fxp_dot_product.h"

/* A centred input fits CENTRED; the sum of any BLOCK products fits int32. */
#define DEFINE_ADD_DOTS(NAME, INPUT, WEIGHT, CENTRED, BLOCK) \
    void NAME( \
        const INPUT *x, const WEIGHT *w, int32_t stride, int32_t length, int32_t zero_point, int32_t count, \
        int64_t *totals) { \
        while (length > 0) { \
            const int32_t block = length < (BLOCK) ? length : (BLOCK); \
            int32_t sum = 0, sum1 = 0, sum2 = 0, sum3 = 0; \
            if (count == 1) { \
                for (int32_t k = 0; k < block; k++) { \
                    const CENTRED value = (CENTRED)(x[k] - zero_point); \
                    sum += value * w[k]; \
                } \
                totals[0] += sum; \
            } else { \
                const WEIGHT *const w1 = w + stride, *const w2 = w1 + stride, *const w3 = w2 + stride; \
                for (int32_t k = 0; k < block; k++) { \
                    const CENTRED value = (CENTRED)(x[k] - zero_point); \
                    sum += value * w[k]; \
                    sum1 += value * w1[k]; \
                    sum2 += value * w2[k]; \
                    sum3 += value * w3[k]; \
                } \
                totals[0] += sum; \
                totals[1] += sum1; \
                totals[2] += sum2; \
                totals[3] += sum3; \
            } \
            x += block; \
            w += block; \
            length -= block; \
        } \
    }

DEFINE_ADD_DOTS(fxp_add_dots_a8w8, int8_t, int8_t, int16_t, 65793)  /* 255 * 2^7 * 65793 < 2^31 */
DEFINE_ADD_DOTS(fxp_add_dots_a8w16, int8_t, int16_t, int16_t, 257)  /* 255 * 2^15 * 257 < 2^31 */
DEFINE_ADD_DOTS(fxp_add_dots_a16w8, int16_t, int8_t, int32_t, 255)  /* (2^16 - 1) * 2^7 * 255 < 2^31 */

enum { SPLIT_BLOCK = 65793 };

/* The split form of one filter: high and low lie in [-128, 127]. */
static int64_t split_dot(const int8_t *x, const int16_t *w, int32_t length, int32_t zero_point) {
    int64_t total = 0;
    while (length > 0) {
        const int32_t block = length < SPLIT_BLOCK ? length : SPLIT_BLOCK;
        int32_t high = 0, low = 0, inputs = 0;
        for (int32_t k = 0; k < block; k++) {
            const int16_t value = (int16_t)(x[k] - zero_point);
            high += value * (int8_t)(w[k] >> 8);
            low += value * (int8_t)((w[k] & 255) - 128);
            inputs += value;
        }
        total += (int64_t)high * 256 + low + (int64_t)inputs * 128;
        x += block;
        w += block;
        length -= block;
    }
    return total;
}

void fxp_add_dots_a8w16_split(
    const int8_t *x, const int16_t *w, int32_t stride, int32_t length, int32_t zero_point, int32_t count,
    int64_t *totals) {
    for (int32_t i = 0; i < count; i++) {
        totals[i] += split_dot(x, w + i * stride, length, zero_point);
    }
}
