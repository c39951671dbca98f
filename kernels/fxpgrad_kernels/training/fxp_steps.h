/* One step of one weight, and where its channel ends: what perturb, update and descend share.
 * See contract.md. */
#ifndef FXP_STEPS_H
#define FXP_STEPS_H

#include <stdint.h>

#include "fxp_arithmetic.h"

enum { FXP_STEP_NEAREST = 0, FXP_STEP_STOCHASTIC = 1, FXP_STEP_FLOOR = 2 };

static inline int32_t fxp_per_channel(int32_t weights, int32_t channels) {
    return channels > 0 ? weights / channels : 0;
}

/* The first weight after `channel`, or `end` if that comes first. */
static inline int32_t fxp_channel_end(int32_t channel, int32_t per_channel, int32_t end) {
    const int32_t next = (channel + 1) * per_channel;
    return next < end ? next : end;
}

/* value / 2^right, rounded by the rule; |value| < 2^63, right in [1, 93], word: 32 random bits. */
static inline int64_t fxp_rounded_step(int64_t value, int32_t right, int32_t rule, uint32_t word) {
    const int64_t magnitude = fxp_abs(value);
    int64_t whole;
    if (rule == FXP_STEP_FLOOR) {
        return value >> (right < 63 ? right : 63);
    }
    if (rule == FXP_STEP_NEAREST) { /* from 2^63 on everything rounds to zero */
        whole = ((magnitude >> ((right < 63 ? right : 63) - 1)) + 1) >> 1;
    } else if (right <= 32) { /* bits of the word below the last bit of the magnitude can never carry */
        whole = (magnitude + (int64_t)(word >> (32 - right))) >> right;
    } else {
        whole = ((magnitude >> (right - 32)) + (int64_t)word) >> 32;
    }
    return value < 0 ? -whole : whole;
}

/* old - step, cut to [low, high]; counts[0] grows if that moves the weight, counts[1] if it was cut. */
static inline int64_t fxp_stepped(int64_t old, int64_t step, int64_t low, int64_t high, int64_t counts[2]) {
    const int64_t wanted = old - step, kept = fxp_clamp(wanted, low, high);
    counts[0] += kept != old;
    counts[1] += kept != wanted;
    return kept;
}

#endif
