/* The fixed-point exponential and logarithm of softmax. See contract.md; exp_log_ref.py defines them. */
#ifndef FXP_EXP_LOG_H
#define FXP_EXP_LOG_H

#include "fxp_fixed_point.h"

/* exp(x) for x in [-1/4, 0), no integer bits: Taylor's polynomial around -1/8. */
static inline int32_t fxp_exp_near_zero(int32_t x) {
    const int32_t exp_minus_eighth = 1895147668, third = 715827883;
    const int32_t t = x + ((int32_t)1 << 28);
    const int32_t t2 = fxp_product(t, t), t3 = fxp_product(t2, t), t4 = fxp_product(t2, t2);
    const int32_t inner = fxp_product(fxp_shift_right_away(t4, 2) + t3, third) + t2;
    return exp_minus_eighth + fxp_product(exp_minus_eighth, t + fxp_shift_right_away(inner, 1));
}

/* exp(x), no integer bits, for x <= 0 with five. */
static inline int32_t fxp_exp_on_negative(int32_t x) {
    /* exp(-1/4), exp(-1/2), exp(-1), ... exp(-16) */
    static const int32_t factors[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    if (x == 0) {
        return INT32_MAX;
    }
    const int32_t quarter = (int32_t)1 << 24;
    const int32_t remainder = (x & (quarter - 1)) - quarter; /* in [-1/4, 0) */
    const int64_t whole = (int64_t)remainder - x;            /* a multiple of a quarter, taken off below */
    int32_t result = fxp_exp_near_zero(remainder * 32);
    for (int32_t k = 0; k < 7; k++) {
        if ((whole >> (24 + k)) & 1) {
            result = fxp_product(result, factors[k]);
        }
    }
    return result;
}

/* ln(x), five integer bits, for x in [1, 4096) with twelve. */
static inline int32_t fxp_log_from_one(int32_t x) {
    const int32_t half_root = 1518500250, fourth_root = 1805811301; /* sqrt(1/2) and its square root */
    const int32_t quarter = (int32_t)1 << 23;                       /* six integer bits */

    const int32_t a_zeros = fxp_leading_zeros((uint32_t)x);
    const int32_t a_half = fxp_product(fxp_shift_left_saturated(x, a_zeros - 1), half_root);
    const int32_t a = fxp_shift_left_saturated(a_half, 1);
    const int32_t a_power = (12 - a_zeros) * (4 * quarter) + quarter;

    const int32_t b_headroom = fxp_leading_zeros((uint32_t)fxp_product(x, half_root)) - 1;
    const int32_t b = fxp_shift_left_saturated(x, b_headroom);
    const int32_t b_power = (12 - b_headroom) * (4 * quarter) - quarter;

    const int32_t r = a < b ? a : b, power = a_power > b_power ? a_power : b_power;
    const int32_t p = fxp_half_sum(r, fourth_root), q = 2 * (r - fourth_root), q2 = fxp_product(q, q);
    const int32_t numerator = fxp_product(q, r) + fxp_product(fxp_product(q, q2), 117049297);
    const int32_t slope = 1057819769 + q + fxp_product(127690142, q2);
    const int32_t denominator = fxp_product(p, slope) + fxp_product(638450708, q);
    const int32_t quotient =
        fxp_product(fxp_shift_right_away(numerator, 6), fxp_one_over_one_plus(denominator));
    return fxp_shift_left_saturated(fxp_product(power, 1488522236) + quotient, 1);
}

#endif
