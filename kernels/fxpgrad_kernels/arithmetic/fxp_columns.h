/* Sums down neighbouring columns, of pixels or of a matrix: a few at a time, so that they need no workspace
 * and values are read in the order in which they lie.
 */
#ifndef FXP_COLUMNS_H
#define FXP_COLUMNS_H

#include <stdint.h>

enum { FXP_COLUMNS = 16 }; /* summed at a time */

/* sums[c] += values[i * step + c] for 0 <= i < count and 0 <= c < width. */
static inline void fxp_add_columns_a8(
    const int8_t *values, int32_t count, int32_t step, int32_t width, int32_t *sums) {
    for (int32_t i = 0; i < count; i++) {
        for (int32_t c = 0; c < width; c++) {
            sums[c] += values[i * step + c];
        }
    }
}

static inline void fxp_add_columns_a16(
    const int16_t *values, int32_t count, int32_t step, int32_t width, int32_t *sums) {
    for (int32_t i = 0; i < count; i++) {
        for (int32_t c = 0; c < width; c++) {
            sums[c] += values[i * step + c];
        }
    }
}

#endif
