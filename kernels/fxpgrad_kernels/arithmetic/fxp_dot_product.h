/* Exact dot products of activations, their zero point taken off, with weights: what ports of layers share. */
#ifndef FXP_DOT_PRODUCT_H
#define FXP_DOT_PRODUCT_H

#include <stdint.h>

/* How many of `left` filters are multiplied at a time: 1 or 4. */
static inline int32_t fxp_filters_at_once(int32_t left) { return left < 4 ? 1 : 4; }

/* Each adds to totals[i], for i < count (1 or 4), the sum over k < length of
 * (x[k] - zero_point) * w[i * stride + k], exactly; any zero point of x's type. */
void fxp_add_dots_a8w8(
    const int8_t *x, const int8_t *w, int32_t stride, int32_t length, int32_t zero_point, int32_t count,
    int64_t *totals);
void fxp_add_dots_a8w16(
    const int8_t *x, const int16_t *w, int32_t stride, int32_t length, int32_t zero_point, int32_t count,
    int64_t *totals);
void fxp_add_dots_a16w8(
    const int16_t *x, const int8_t *w, int32_t stride, int32_t length, int32_t zero_point, int32_t count,
    int64_t *totals);

/* As a8w16, from products with 8-bit weights: w = 256 * high + low + 128. */
void fxp_add_dots_a8w16_split(
    const int8_t *x, const int16_t *w, int32_t stride, int32_t length, int32_t zero_point, int32_t count,
    int64_t *totals);

#endif
