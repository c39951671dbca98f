/* Fixed-point arithmetic of all ports: saturation, rounding shifts, requantization. See contract.md beside
 * this file for the formulas; arithmetic/requantize_ref.py and rounding_shift_ref.py define them.
 */
#ifndef FXP_ARITHMETIC_H
#define FXP_ARITHMETIC_H

#include <stdint.h>

/* Codes of a requantization's rounding, as in arithmetic/profiles.py. */
enum {
    FXP_DOUBLE_AWAY = 0,
    FXP_DOUBLE_UP = 1,
    FXP_SINGLE = 2,
    FXP_TOSA_DOUBLE = 3,
    FXP_WIDE_16 = 4,
    FXP_FLOAT32_EVEN = 5
};

/* Codes of a rounding shift. */
enum { FXP_FLOOR = 0, FXP_TRUNCATE = 1, FXP_NEAREST_UP = 2, FXP_NEAREST_AWAY = 3 };

static inline int64_t fxp_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t fxp_max(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t fxp_clamp(int64_t value, int64_t low, int64_t high) {
    return value < low ? low : value > high ? high : value;
}
static inline int64_t fxp_abs(int64_t value) { return value < 0 ? -value : value; }
static inline int8_t fxp_saturate_int8(int64_t value) { return (int8_t)fxp_clamp(value, INT8_MIN, INT8_MAX); }
static inline int16_t fxp_saturate_int16(int64_t value) {
    return (int16_t)fxp_clamp(value, INT16_MIN, INT16_MAX);
}
static inline int32_t fxp_saturate_int32(int64_t value) {
    return (int32_t)fxp_clamp(value, INT32_MIN, INT32_MAX);
}

/* value modulo 2^bits, in [-2^(bits - 1), 2^(bits - 1) - 1]; bits in [1, 62]. */
static inline int64_t fxp_wrap(int64_t value, int32_t bits) {
    const int64_t half = (int64_t)1 << (bits - 1);
    return ((value + half) & (2 * half - 1)) - half;
}

/* value + zero_point, clamped; clamped first, so that 32 bits are enough. All but the value lie in int16. */
static inline int32_t fxp_add_zero_point(int32_t value, int32_t zero_point, int32_t low, int32_t high) {
    const int32_t least = low - zero_point, most = high - zero_point;
    return (value < least ? least : value > most ? most : value) + zero_point;
}

/* value * 2^amount: C leaves the left shift of a negative number undefined. The product must fit int64. The power has
 * a name because gcc makes a shift of value * (1 << amount), whose overflow no sanitizer sees. */
static inline int64_t fxp_shift_left(int64_t value, int64_t amount) {
    const int64_t power = (int64_t)1 << amount;
    return value * power;
}

/* value / 2^amount for any value and an amount in [0, 62]; nothing is added to the value, so nothing overflows. */
static inline int64_t fxp_rounding_shift(int64_t value, int64_t amount, int32_t mode) {
    const int64_t mask = ((int64_t)1 << amount) - 1;
    const int64_t quotient = value >> amount, rest = value & mask;
    switch (mode) {
    case FXP_FLOOR:
        return quotient;
    case FXP_TRUNCATE:
        return quotient + (value < 0 && rest != 0);
    case FXP_NEAREST_UP:
        return quotient + (rest > (mask >> 1));
    default:
        return quotient + (rest > (mask >> 1) + (value < 0));
    }
}

static inline int64_t fxp_shift_right_nearest_away(int64_t value, int64_t amount) {
    return fxp_rounding_shift(value, amount, FXP_NEAREST_AWAY);
}

/* A magnitude below 2^62 rounded to 24 significant bits, half to even. */
static inline int64_t fxp_round_to_24_bits(int64_t magnitude) {
    int64_t dropped = 0;
    while ((magnitude >> dropped) >= ((int64_t)1 << 24)) {
        dropped++;
    }
    const int64_t mask = ((int64_t)1 << dropped) - 1;
    return (magnitude + (mask >> 1) + ((magnitude >> dropped) & 1 & mask)) & ~mask;
}

/* float32(x) * float32(multiplier * 2^(shift - 31)), rounded half to even, in integers. x lies in int32. */
static inline int32_t fxp_requantize_float32_even(int64_t x, int64_t multiplier, int64_t shift) {
    const int64_t mantissa = (multiplier + 63 + ((multiplier >> 7) & 1)) >> 7;
    const int64_t product = fxp_round_to_24_bits(fxp_round_to_24_bits(fxp_abs(x)) * mantissa);
    const int64_t power = shift - 24, right = fxp_max(-power, 0);
    const int64_t value = fxp_shift_left(product, fxp_max(power, 0));
    const int64_t mask = ((int64_t)1 << right) - 1;
    const int64_t nearest = (value + (mask >> 1) + ((value >> right) & 1 & mask)) >> right;
    return fxp_saturate_int32(x < 0 ? -nearest : nearest);
}

/* accumulator * multiplier * 2^(shift - 31), rounded as `rounding` says. The accumulator is saturated to int32 first,
 * but for WIDE_16, which takes 48 bits. */
static inline int32_t fxp_requantize(int64_t accumulator, int32_t multiplier, int32_t shift, int32_t rounding) {
    const int64_t m = multiplier, s = shift, one = 1;
    if (rounding == FXP_WIDE_16) { /* a 16-bit multiplier, one rounding, ties up */
        const int64_t reduced = fxp_min((m + (one << 15)) >> 16, 0x7FFF);
        return fxp_saturate_int32((accumulator * reduced + (one << (14 - s))) >> (15 - s));
    }
    const int32_t x = fxp_saturate_int32(accumulator);
    const int64_t product = (int64_t)x * multiplier;
    if (rounding == FXP_FLOAT32_EVEN) {
        return fxp_requantize_float32_even(x, m, s);
    }
    if (rounding == FXP_SINGLE) { /* one rounding, ties up */
        return fxp_saturate_int32((product + (one << (30 - s))) >> (31 - s));
    }
    if (rounding == FXP_TOSA_DOUBLE) { /* as DOUBLE_AWAY, both roundings folded into one bias */
        const int64_t away = s < 0 ? (x >= 0 ? one << 30 : -(one << 30)) : 0;
        return fxp_saturate_int32((product + (one << (30 - s)) + away) >> (31 - s));
    }
    /* DOUBLE_AWAY and DOUBLE_UP: 32 bits are enough but for the product. */
    const int32_t left = shift > 0 ? fxp_saturate_int32(fxp_shift_left(x, s)) : x;
    const int32_t high = (int32_t)(((int64_t)left * multiplier + (one << 30)) >> 31); /* nearest, ties up */
    const int32_t right = shift > 0 ? 0 : -shift, mask = (int32_t)((UINT32_C(1) << right) - 1);
    const int32_t tie = (mask >> 1) + (rounding == FXP_DOUBLE_AWAY && high < 0);
    return (high >> right) + ((high & mask) > tie);
}

#endif
