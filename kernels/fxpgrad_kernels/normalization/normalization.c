/* L2 normalization of rows in fixed point. See contract.md. */
#include "fxp_fixed_point.h"
#include "fxpgrad_kernels.h"

/* Write (multiplier, shift) of 1 / sqrt(sum), sum in [0, 2^31); a positive shift is left. */
static void inverse_root(int32_t sum, int32_t *multiplier, int32_t *shift) {
    *multiplier = INT32_MAX;
    *shift = 0;
    if (sum <= 1) {
        return;
    }
    int32_t right = 11;
    while (sum >= (int32_t)1 << 29) {
        sum >>= 2;
        right++;
    }
    while (sum < (int32_t)1 << 27) {
        sum *= 4;
        right--;
    }
    const int32_t one = (int32_t)1 << 28; /* three integer bits */
    const int32_t half = fxp_shift_right_away(sum >> 1, 1);
    int32_t root = one;
    for (int32_t i = 0; i < 5; i++) { /* Newton: root = 1.5 root - number / 2 root^3 */
        const int32_t square = fxp_product(root, root);
        const int32_t cube = fxp_shift_left_saturated(fxp_product(square, root), 6);
        const int32_t step = fxp_product(one + one / 2, root) - fxp_product(half, cube);
        root = fxp_shift_left_saturated(step, 3);
    }
    root = fxp_product(root, 1518500250); /* sqrt(1/2) */
    *multiplier = right < 0 ? root * ((int32_t)1 << -right) : root;
    *shift = right < 0 ? 0 : -right;
}

void fxp_l2_normalization_a8(
    const int8_t *input, int8_t *output, int32_t N, int32_t depth, int32_t input_zero_point,
    int32_t rounding) {
    for (int32_t first = 0; first < N; first += depth) {
        int32_t sum = 0, multiplier, shift;
        for (int32_t i = 0; i < depth; i++) {
            const int32_t x = input[first + i] - input_zero_point;
            sum += x * x;
        }
        inverse_root(sum, &multiplier, &shift);
        for (int32_t i = 0; i < depth; i++) {
            const int32_t x = input[first + i] - input_zero_point;
            output[first + i] = fxp_saturate_int8(fxp_requantize(x, multiplier, shift + 7, rounding));
        }
    }
}
