/* Residuals: softmax minus the label's one. See contract.md. */
#include "fxp_arithmetic.h"
#include "fxp_exp_ln.h"
#include "fxpgrad_kernels.h"

void fxp_residuals_linear(
    const int32_t *accumulators, const int32_t *multiplier, const int32_t *shift, const int32_t *labels,
    int32_t *residuals, int32_t B, int32_t N) {
    for (int32_t b = 0; b < B; b++, accumulators += N, residuals += N) {
        int64_t largest;
        const int64_t total = fxp_sum_of_exp(accumulators, multiplier, shift, N, &largest);
        for (int32_t n = 0; n < N; n++) {
            const int64_t logit = fxp_scaled_logit(accumulators[n], multiplier[n], shift[n]);
            const int64_t share = fxp_exp_negative_q40(largest - logit) << 15;
            residuals[n] = (int32_t)((share + (total >> 1)) / total);
        }
        residuals[labels[b]] -= (int32_t)1 << 15;
    }
}
