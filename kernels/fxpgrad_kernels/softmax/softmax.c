/* Softmax and log-softmax of rows of `depth` elements, in fixed point. See contract.md. */
#include "fxp_exp_log.h"
#include "fxpgrad_kernels.h"

static int32_t largest_a8(const int8_t *row, int32_t depth) {
    int32_t largest = row[0];
    for (int32_t i = 1; i < depth; i++) {
        largest = row[i] > largest ? row[i] : largest;
    }
    return largest;
}

static int32_t largest_a16(const int16_t *row, int32_t depth) {
    int32_t largest = row[0];
    for (int32_t i = 1; i < depth; i++) {
        largest = row[i] > largest ? row[i] : largest;
    }
    return largest;
}

/* A difference of two elements, in [-255, 0], with five integer bits. */
static int32_t exponent(int32_t difference, int32_t multiplier, int32_t left_shift) {
    return fxp_product(fxp_shift_left_saturated(difference, left_shift), multiplier);
}

/* The exponential of a difference, no integer bits; nothing below diff_min. */
static int32_t exponential(int32_t difference, int32_t multiplier, int32_t left_shift, int32_t diff_min) {
    return difference < diff_min ? 0 : fxp_exp_on_negative(exponent(difference, multiplier, left_shift));
}

/* The sum of a row's exponentials, twelve integer bits, without a sign. */
static uint32_t sum_of_exponentials(
    const int8_t *row, int32_t depth, int32_t largest, int32_t multiplier, int32_t left_shift,
    int32_t diff_min) {
    uint32_t sum = 0;
    for (int32_t i = 0; i < depth; i++) {
        const int32_t share = exponential(row[i] - largest, multiplier, left_shift, diff_min);
        sum += (uint32_t)fxp_shift_right_away(share, 12);
    }
    return sum;
}

/* Exponentials are computed twice, for the sum and for their shares of it: a row of them is not kept. */
#define DEFINE_SOFTMAX(name, type, bits)                                                                     \
    void name(                                                                                               \
        const int8_t *input, type *output, int32_t N, int32_t depth, int32_t multiplier, int32_t left_shift, \
        int32_t diff_min) {                                                                                  \
        const int32_t lowest = -((int32_t)1 << (bits - 1));                                                  \
        for (int32_t first = 0; first < N; first += depth) {                                                 \
            const int8_t *row = input + first;                                                               \
            const int32_t largest = largest_a8(row, depth);                                                  \
            const uint32_t sum = sum_of_exponentials(row, depth, largest, multiplier, left_shift, diff_min); \
            const int32_t zeros = fxp_leading_zeros(sum);                                                    \
            const uint32_t fraction = (sum << zeros) - ((uint32_t)1 << 31);                                  \
            const int32_t reciprocal = fxp_one_over_one_plus((int32_t)fraction);                             \
            for (int32_t i = 0; i < depth; i++) {                                                            \
                const int32_t part = exponential(row[i] - largest, multiplier, left_shift, diff_min);        \
                const int32_t share = fxp_product(reciprocal, part);                                         \
                const int64_t value = fxp_shift_right_nearest_away(share, 12 - zeros + 31 - bits);           \
                output[first + i] = (type)fxp_min(value + lowest, -1 - lowest);                              \
            }                                                                                                \
        }                                                                                                    \
    }

DEFINE_SOFTMAX(fxp_softmax_a8, int8_t, 8)
DEFINE_SOFTMAX(fxp_softmax_a8_a16, int16_t, 16)

void fxp_log_softmax_a8(
    const int8_t *input, int8_t *output, int32_t N, int32_t depth, int32_t multiplier, int32_t left_shift,
    int32_t diff_min, int32_t reverse_multiplier, int32_t reverse_shift, int32_t rounding) {
    for (int32_t first = 0; first < N; first += depth) {
        const int8_t *row = input + first;
        const int32_t largest = largest_a8(row, depth);
        const uint32_t sum = sum_of_exponentials(row, depth, largest, multiplier, left_shift, diff_min);
        const int32_t log_sum = fxp_log_from_one((int32_t)sum);
        const int64_t rest = (int64_t)log_sum + INT32_MIN;
        const int32_t least = fxp_requantize(rest, reverse_multiplier, reverse_shift, rounding);
        const int32_t bound = least > diff_min - 1 ? least : diff_min - 1;
        for (int32_t i = 0; i < depth; i++) {
            const int32_t difference = row[i] - largest;
            int64_t value = INT8_MIN;
            if (difference > bound) {
                const int64_t log_share = (int64_t)exponent(difference, multiplier, left_shift) - log_sum;
                value = 127 + fxp_shift_right_nearest_away(log_share, 22);
            }
            output[first + i] = fxp_saturate_int8(value);
        }
    }
}

/* A table of 513 entries at a 16-bit place: 512 intervals of 128, linear in between. */
static int32_t interpolated(const int16_t *table, int64_t place) {
    const int32_t value = fxp_saturate_int16(place), index = (value >> 7) + 256, offset = value & 127;
    return table[index] + (((table[index + 1] - table[index]) * offset + 64) >> 7);
}

void fxp_softmax_a16(
    const int16_t *input, const int16_t *exp_table, const int16_t *reciprocal_table, int16_t *output,
    int32_t N, int32_t T, int32_t depth, int32_t multiplier, int32_t shift) {
    (void)T;
    for (int32_t first = 0; first < N; first += depth) {
        const int16_t *row = input + first;
        int16_t *target = output + first; /* holds the exponentials until their sum is known */
        const int32_t largest = largest_a16(row, depth);
        int32_t sum = 0;
        for (int32_t i = 0; i < depth; i++) {
            const int64_t scaled = fxp_requantize(row[i] - largest, multiplier, shift, FXP_DOUBLE_AWAY);
            target[i] = (int16_t)interpolated(exp_table, scaled + 32767);
            sum += target[i];
        }
        const int32_t zeros = fxp_leading_zeros((uint32_t)sum);
        /* Of 17 bits: [1, 2] is [65536, 131072]. */
        const int64_t significand = (fxp_shift_left(sum, zeros - 1) + 8192) >> 14;
        const int32_t reciprocal = interpolated(reciprocal_table, significand - 65536 - 32768);
        for (int32_t i = 0; i < depth; i++) {
            const int32_t value = (target[i] * reciprocal + ((int32_t)1 << (30 - zeros))) >> (31 - zeros);
            target[i] = (int16_t)fxp_clamp(value, 0, INT16_MAX);
        }
    }
}
