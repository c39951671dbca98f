/* What all pooling windows share: which pixels of the image they hold. */
#ifndef FXP_SPAN_H
#define FXP_SPAN_H

#include "fxp_arithmetic.h"

/* The valid pixels of a window on one axis. */
typedef struct {
    int32_t first, count;
} fxp_span;

/* The valid pixels of the window of output `index`. */
static inline fxp_span fxp_span_of(
    int32_t index, int32_t stride, int32_t padding, int32_t size, int32_t extent) {
    const int64_t start = (int64_t)index * stride - padding;
    const int64_t first = fxp_max(start, 0), end = fxp_min(start + size, extent);
    const fxp_span span = {(int32_t)first, (int32_t)(end - first)};
    return span;
}

#endif
