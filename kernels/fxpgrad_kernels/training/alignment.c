/* Moments of a layer's output by channel, and the gain and bias that give it other ones. See contract.md. */
#include "fxp_arithmetic.h"
#include "fxpgrad_kernels.h"

void fxp_channel_moments(
    const int8_t *values, int64_t *moments, int32_t B, int32_t C, int32_t zero_point, int32_t clamp_low) {
    for (int32_t i = 0; i < 3 * C; i++) {
        moments[i] = 0;
    }
    for (int32_t b = 0; b < B; b++, values += C) {
        for (int32_t c = 0; c < C; c++) {
            const int32_t centred = values[c] - zero_point;
            moments[c] += centred;
            moments[C + c] += centred * centred;
            moments[2 * C + c] += values[c] > clamp_low;
        }
    }
}

/* divisor > 0 */
static int64_t floor_divide(int64_t value, int64_t divisor) {
    return value / divisor - (value % divisor < 0);
}

/* The whole square root of a value in [0, 2^34). */
static int64_t whole_root(int64_t value) {
    int64_t root = 0;
    for (int64_t bit = (int64_t)1 << 16; bit > 0; bit >>= 1) {
        if ((root | bit) * (root | bit) <= value) {
            root |= bit;
        }
    }
    return root;
}

/* Mean and deviation in 1/256 steps, from one channel's sum and sum of squares. */
static int64_t mean_of(int64_t sum, int64_t count) { return floor_divide(sum * 256, count); }

static int64_t deviation_of(int64_t sum, int64_t squares, int64_t count) {
    const int64_t mean = mean_of(sum, count);
    return whole_root(fxp_max(floor_divide(squares * 65536, count) - mean * mean, 0));
}

void fxp_align_channels(
    const int64_t *moments, const int64_t *target, const int32_t *bias, const int32_t *multiplier,
    const int32_t *shift, int32_t *gain, int32_t *new_bias, int32_t C, int32_t G, int64_t count,
    int64_t target_count) {
    const int32_t one = (int32_t)1 << 30, flat = 128, few = 26;
    for (int32_t i = 0; i < G; i++) {
        gain[i] = one;
    }
    for (int32_t c = 0; c < C; c++) {
        const int64_t factor = multiplier[c], left = shift[c], right = left + 16;
        new_bias[c] = bias[c];
        if (factor >> fxp_max(1 - left, 0) < 255 || left > 29) {
            continue;
        }
        const int64_t wanted = deviation_of(target[c], target[C + c], target_count);
        const int64_t found = deviation_of(moments[c], moments[C + c], count);
        int64_t g = one;
        if (G > 1 && wanted >= flat && found >= flat) {
            g = fxp_clamp((wanted << 30) / found, one / 4, one + 966367641); /* a quarter; 1.9 */
            gain[c] = (int32_t)g;
        }
        const int64_t active = fxp_max(floor_divide(moments[2 * C + c] * 256, count), few);
        const int64_t mean = (mean_of(moments[c], count) * g) >> 30;
        const int64_t off = floor_divide((mean_of(target[c], target_count) - mean) * 256, active);
        const int64_t steps = floor_divide(fxp_shift_left(off, 31), factor);
        const int64_t fine = floor_divide(fxp_shift_left(steps, 30), g) * 256;
        const int64_t moved = right >= 0 ? fine >> right : fxp_shift_left(fine, -right);
        new_bias[c] = (int32_t)fxp_clamp(bias[c] + moved, -INT32_MAX, INT32_MAX);
    }
}
