/* Exact dot products of activations, their zero point taken off, with weights: what ports of layers with weights share.
 *
 * Sums are int32 over as many products as are sure to fit, then int64, so that no proof about the weights is needed.
 * Filters are multiplied four at a time where there are as many: an input is then read once for four products.
 */
#ifndef FXP_DOT_PRODUCT_H
#define FXP_DOT_PRODUCT_H

#include <stdint.h>

/* How many of `left` filters are multiplied at a time: 1 or 4. */
static inline int32_t fxp_filters_at_once(int32_t left) { return left < 4 ? 1 : 4; }

/* fxp_dot_SUFFIX returns the sum over k < length of (x[k] - zero_point) * w[k]; fxp_add_dots_SUFFIX adds those of
 * `count` filters, 1 or 4, at w, w + stride, w + 2 * stride, w + 3 * stride to totals.
 * A centred input fits CENTRED; the sum of any BLOCK products fits int32. */
#define FXP_DEFINE_DOT(SUFFIX, INPUT, WEIGHT, CENTRED, BLOCK) \
    static inline int64_t fxp_dot_##SUFFIX(const INPUT *x, const WEIGHT *w, int32_t length, int32_t zero_point) { \
        int64_t total = 0; \
        while (length > 0) { \
            const int32_t block = length < (BLOCK) ? length : (BLOCK); \
            int32_t sum = 0; \
            for (int32_t k = 0; k < block; k++) { \
                const CENTRED value = (CENTRED)(x[k] - zero_point); \
                sum += value * w[k]; \
            } \
            total += sum; \
            x += block, w += block, length -= block; \
        } \
        return total; \
    } \
\
    static inline void fxp_add_dots_##SUFFIX( \
        const INPUT *x, const WEIGHT *w, int32_t stride, int32_t length, int32_t zero_point, int32_t count, \
        int64_t *totals) { \
        if (count == 1) { \
            totals[0] += fxp_dot_##SUFFIX(x, w, length, zero_point); \
            return; \
        } \
        while (length > 0) { \
            const int32_t block = length < (BLOCK) ? length : (BLOCK); \
            const WEIGHT *const w1 = w + stride, *const w2 = w1 + stride, *const w3 = w2 + stride; \
            int32_t sum = 0, sum1 = 0, sum2 = 0, sum3 = 0; \
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
            x += block, w += block, length -= block; \
        } \
    }

FXP_DEFINE_DOT(a8w8, int8_t, int8_t, int16_t, 65793)         /* 255 * 2^7 * 65793 < 2^31 */
FXP_DEFINE_DOT(a8w16, int8_t, int16_t, int16_t, 257)         /* 255 * 2^15 * 257 < 2^31 */
FXP_DEFINE_DOT(a16w8, int16_t, int8_t, int16_t, 511)         /* zero point 0: 2^15 * 2^7 * 511 < 2^31 */
FXP_DEFINE_DOT(a16w8_centred, int16_t, int8_t, int32_t, 255) /* (2^16 - 1) * 2^7 * 255 < 2^31 */

/* As fxp_dot_a8w16, but multiplies with 8 bits: w = 256 * high + low + 128, high and low in [-128, 127]. */
static inline int64_t fxp_dot_a8w16_split(const int8_t *x, const int16_t *w, int32_t length, int32_t zero_point) {
    int64_t total = 0;
    while (length > 0) {
        const int32_t block = length < 65793 ? length : 65793;
        int32_t high = 0, low = 0, inputs = 0;
        for (int32_t k = 0; k < block; k++) {
            const int16_t value = (int16_t)(x[k] - zero_point);
            high += value * (int8_t)(w[k] >> 8);
            low += value * (int8_t)((w[k] & 255) - 128);
            inputs += value;
        }
        total += (int64_t)high * 256 + low + (int64_t)inputs * 128;
        x += block, w += block, length -= block;
    }
    return total;
}

static inline void fxp_add_dots_a8w16_split(
    const int8_t *x, const int16_t *w, int32_t stride, int32_t length, int32_t zero_point, int32_t count,
    int64_t *totals) {
    for (int32_t i = 0; i < count; i++) {
        totals[i] += fxp_dot_a8w16_split(x, w + i * stride, length, zero_point);
    }
}

#endif
