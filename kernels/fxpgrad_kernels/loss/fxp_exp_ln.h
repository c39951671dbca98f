/* exp, ln, and the loss of a sample in integers, as all losses take them. See contract.md. */
#ifndef FXP_EXP_LN_H
#define FXP_EXP_LN_H

#include <stdint.h>

#define FXP_LOGIT_LIMIT ((int64_t)1 << 36) /* 4096 nats in Q24 */

/* exp(-x / 2^24) in Q40, for x >= 0. */
int64_t fxp_exp_negative_q40(int64_t x);

/* ln(value / 2^40) in Q32, for a value in [2^40, 2^62). */
int64_t fxp_ln_q32(int64_t value);

/* accumulator * multiplier * 2^(shift - 31), nearest, ties up, clamped: a logit in Q24. */
int64_t fxp_scaled_logit(int32_t accumulator, int32_t multiplier, int32_t shift);

/* The sum of exp(largest - logit) in Q40 over the logits of a sample, and the largest of them. */
int64_t fxp_sum_of_exp(
    const int32_t *accumulators, const int32_t *multiplier, const int32_t *shift, int32_t N, int64_t *largest);

/* The loss in Q24, from the sum of exp(largest - logit) in Q40, the largest logit and the label's own. */
int64_t fxp_loss_of(int64_t total, int64_t largest, int64_t own);

#endif
