/* The integer cross-entropy of logits, or of the accumulators of a linear layer. See contract.md. */
#include "fxp_arithmetic.h"
#include "fxp_exp_ln.h"
#include "fxpgrad_kernels.h"

static int64_t clamped(int64_t logit) { return fxp_clamp(logit, -FXP_LOGIT_LIMIT, FXP_LOGIT_LIMIT); }

int64_t fxp_cross_entropy_logits(
    const int64_t *logits, const int32_t *labels, int64_t *losses, int32_t B, int32_t N) {
    int64_t summed = 0;
    for (int32_t b = 0; b < B; b++, logits += N) {
        int64_t largest = -FXP_LOGIT_LIMIT, total = 0;
        for (int32_t n = 0; n < N; n++) {
            largest = fxp_max(largest, clamped(logits[n]));
        }
        for (int32_t n = 0; n < N; n++) {
            total += fxp_exp_negative_q40(largest - clamped(logits[n]));
        }
        losses[b] = fxp_loss_of(total, largest, clamped(logits[labels[b]]));
        summed += losses[b];
    }
    return summed;
}

int64_t fxp_cross_entropy_linear(
    const int32_t *accumulators, const int32_t *multiplier, const int32_t *shift, const int32_t *labels,
    int64_t *losses, int32_t B, int32_t N) {
    int64_t summed = 0;
    for (int32_t b = 0; b < B; b++, accumulators += N) {
        const int32_t label = labels[b];
        int64_t largest;
        const int64_t total = fxp_sum_of_exp(accumulators, multiplier, shift, N, &largest);
        losses[b] = fxp_loss_of(
            total, largest, fxp_scaled_logit(accumulators[label], multiplier[label], shift[label]));
        summed += losses[b];
    }
    return summed;
}
