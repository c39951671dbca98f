/* gemmlowp's 32-bit fixed-point numbers, for softmax and its like. See contract.md beside this file;
 * arithmetic/fixed_point_ref.py defines them. A number with n integer bits stands for raw / 2^(31 - n).
 */
#ifndef FXP_FIXED_POINT_H
#define FXP_FIXED_POINT_H

#include "fxp_arithmetic.h"

/* a * b / 2^31 to nearest, ties up, saturated: the integer bits of the factors add up. */
static inline int32_t fxp_product(int32_t a, int32_t b) {
    const int64_t value = ((int64_t)a * b + ((int64_t)1 << 30)) >> 31;
    return (int32_t)fxp_min(value, INT32_MAX);
}

/* value * 2^amount, saturated; amount in [0, 31]. */
static inline int32_t fxp_shift_left_saturated(int32_t value, int32_t amount) {
    return fxp_saturate_int32(fxp_shift_left(value, amount));
}

/* value / 2^amount to nearest, ties away from zero; amount in [0, 31]. */
static inline int32_t fxp_shift_right_away(int32_t value, int32_t amount) {
    return (int32_t)fxp_shift_right_nearest_away(value, amount);
}

/* (a + b) / 2, ties away from zero. */
static inline int32_t fxp_half_sum(int32_t a, int32_t b) {
    return (int32_t)fxp_shift_right_nearest_away((int64_t)a + b, 1);
}

/* How many of 32 bits stand before the first 1 of value; 32 for 0. */
static inline int32_t fxp_leading_zeros(uint32_t value) {
    int32_t zeros = 32;
    while (value != 0) {
        value >>= 1;
        zeros--;
    }
    return zeros;
}

/* 1 / (1 + x) by three Newton steps; x in [0, 1) and the result have no integer bits. */
static inline int32_t fxp_one_over_one_plus(int32_t x) {
    const int32_t half_denominator = fxp_half_sum(x, INT32_MAX);
    int32_t guess = 1515870810 + fxp_product(half_denominator, -1010580540); /* 48/17 - 32/17 d */
    for (int32_t i = 0; i < 3; i++) {
        const int32_t error = ((int32_t)1 << 29) - fxp_product(half_denominator, guess);
        guess += fxp_shift_left_saturated(fxp_product(guess, error), 2);
    }
    return fxp_shift_left_saturated(guess, 1);
}

#endif
