/* Class sums, exact squared distances to class means, and the cross-entropy on them. See contract.md. */
#include "fxp_arithmetic.h"
#include "fxp_exp_ln.h"
#include "fxpgrad_kernels.h"

void fxp_prototype_sums(
    const int8_t *embeddings, const int32_t *labels, int32_t *sums, int32_t *counts, int32_t B, int32_t D,
    int32_t N) {
    for (int32_t i = 0; i < N * D; i++) {
        sums[i] = 0;
    }
    for (int32_t n = 0; n < N; n++) {
        counts[n] = 0;
    }
    for (int32_t b = 0; b < B; b++, embeddings += D) {
        int32_t *row = sums + labels[b] * D;
        counts[labels[b]]++;
        for (int32_t d = 0; d < D; d++) {
            row[d] += embeddings[d];
        }
    }
}

/* ||count * f - sum||^2 / divisor^2 in Q16, nearest, ties up: of quotient and remainder. */
static int64_t distance_q16(
    const int8_t *embedding, const int32_t *row, int32_t D, int32_t count, int32_t divisor) {
    const int64_t square = (int64_t)divisor * divisor;
    int64_t total = 0;
    for (int32_t d = 0; d < D; d++) {
        const int64_t difference = count * embedding[d] - row[d];
        total += difference * difference;
    }
    return ((total / square) << 16) + (((total % square) << 16) + (square >> 1)) / square;
}

void fxp_prototype_distances(
    const int8_t *queries, const int32_t *sums, const int32_t *counts, int64_t *output, int32_t Q, int32_t D,
    int32_t N) {
    for (int32_t q = 0; q < Q; q++, queries += D, output += N) {
        for (int32_t n = 0; n < N; n++) {
            const int32_t count = counts[n];
            output[n] = count > 0 ? distance_q16(queries, sums + n * D, D, count, count) : INT64_MAX;
        }
    }
}

/* -(distance / 2^16) * multiplier * 2^(shift - 31) in Q24, clamped. */
static int64_t negative_logit(int64_t distance, int32_t multiplier, int32_t shift) {
    const int64_t product = (distance >> 16) * multiplier + (((distance & 0xFFFF) * multiplier) >> 16);
    return -fxp_min(fxp_rounding_shift(product, 31 - shift, FXP_NEAREST_UP), FXP_LOGIT_LIMIT);
}

int64_t fxp_cross_entropy_prototypes(
    const int8_t *embeddings, const int32_t *labels, const int32_t *multiplier, const int32_t *shift,
    int32_t *sums, int32_t *counts, int64_t *losses, int32_t B, int32_t D, int32_t N, int32_t leave_one_out) {
    int64_t summed = 0;
    fxp_prototype_sums(embeddings, labels, sums, counts, B, D, N);
    for (int32_t b = 0; b < B; b++, embeddings += D) {
        int64_t largest = -FXP_LOGIT_LIMIT, own = 0, total = 0;
        for (int32_t pass = 0; pass < 2; pass++) { /* first the largest logit, then the sum */
            for (int32_t n = 0; n < N; n++) {
                const int32_t count = counts[n];
                /* (count - 1) * f - (sum - f) = count * f - sum: leaving f out changes the divisor alone */
                const int32_t left_out = leave_one_out && n == labels[b] && count > 1;
                if (count > 0) {
                    const int64_t distance =
                        distance_q16(embeddings, sums + n * D, D, count, count - left_out);
                    const int64_t logit = negative_logit(distance, multiplier[0], shift[0]);
                    if (pass == 1) {
                        total += fxp_exp_negative_q40(largest - logit);
                    } else {
                        largest = fxp_max(largest, logit);
                        own = n == labels[b] ? logit : own;
                    }
                }
            }
        }
        losses[b] = fxp_loss_of(total, largest, own);
        summed += losses[b];
    }
    return summed;
}
