/* C99 ports of all kernels: integers only, no allocation, nothing undefined within the
 * ranges given here and what contract.md says of several arguments together.
 *
 * Arrays come first, C-contiguous, in the axes that stand beside them; then the length of every axis that is
 * a letter; then integers. The arithmetic of each is in <operator>/contract.md. Ranges are inclusive; where
 * an array says none, every value of its type is legal. Outputs must not overlap inputs, but for kernels that
 * go element by element: theirs may be in the very place of an input of the same type. Signed integers must
 * shift right arithmetically, as every compiler for every target here does.
 *
 * Written from the table of kernels by fxpgrad/codegen/header.py.
 */
#ifndef FXPGRAD_KERNELS_H
#define FXPGRAD_KERNELS_H

#include <stdint.h>

/* The ports multiply 16-bit values as int: a compiler whose int is smaller than 32 bits stops here. */
typedef char fxp_int_has_32_bits[sizeof(int) >= 4 ? 1 : -1];

#ifdef __cplusplus
extern "C" {
#endif

/* ---- activation ---- */

/* clamp_low in [-128, 127], clamp_high in [-128, 127] */
void fxp_clamp_a8(
    const int8_t *input, /* N */
    int8_t *output, /* N */
    int32_t N, int32_t clamp_low, int32_t clamp_high);

/* clamp_low in [-32768, 32767], clamp_high in [-32768, 32767] */
void fxp_clamp_a16(
    const int16_t *input, /* N */
    int16_t *output, /* N */
    int32_t N, int32_t clamp_low, int32_t clamp_high);

/* input_zero_point in [-128, 127], output_zero_point in [-128, 127], output_multiplier in [0, 32767],
 * output_exponent in [-15, 0], gate_multiplier in [0, 32767], gate_exponent in [-15, 30] */
void fxp_hard_swish_a8(
    const int8_t *input, /* N */
    int8_t *output, /* N */
    int32_t N, int32_t input_zero_point, int32_t output_zero_point, int32_t output_multiplier,
    int32_t output_exponent, int32_t gate_multiplier, int32_t gate_exponent);

/* input_zero_point in [-128, 127], output_zero_point in [-128, 127], rounding in [0, 5] */
void fxp_leaky_relu_a8(
    const int8_t *input, /* N */
    const int32_t *multiplier, /* 2, in [0, 2147483647] */
    const int32_t *shift, /* 2, in [-31, 30] */
    int8_t *output, /* N */
    int32_t N, int32_t input_zero_point, int32_t output_zero_point, int32_t rounding);

/* input_zero_point in [-32768, 32767], output_zero_point in [-32768, 32767], rounding in [0, 5] */
void fxp_leaky_relu_a16(
    const int16_t *input, /* N */
    const int32_t *multiplier, /* 2, in [0, 2147483647] */
    const int32_t *shift, /* 2, in [-31, 30] */
    int16_t *output, /* N */
    int32_t N, int32_t input_zero_point, int32_t output_zero_point, int32_t rounding);

/* input_zero_point in [-128, 127], output_zero_point in [-128, 127], rounding in [0, 5] */
void fxp_abs_a8(
    const int8_t *input, /* N */
    const int32_t *multiplier, /* 1, in [0, 2147483647] */
    const int32_t *shift, /* 1, in [-31, 30] */
    int8_t *output, /* N */
    int32_t N, int32_t input_zero_point, int32_t output_zero_point, int32_t rounding);

/* input_zero_point in [0, 0], output_zero_point in [0, 0], rounding in [0, 5] */
void fxp_abs_a16(
    const int16_t *input, /* N */
    const int32_t *multiplier, /* 1, in [0, 2147483647] */
    const int32_t *shift, /* 1, in [-31, 30] */
    int16_t *output, /* N */
    int32_t N, int32_t input_zero_point, int32_t output_zero_point, int32_t rounding);

/* ---- arithmetic ---- */

/* rounding in [0, 3] */
void fxp_requantize_a32(
    const int32_t *accumulator, /* N */
    const int32_t *multiplier, /* N, in [0, 2147483647] */
    const int32_t *shift, /* N, in [-31, 30] */
    int32_t *output, /* N */
    int32_t N, int32_t rounding);

/* rounding in [5, 5] */
void fxp_requantize_a32_even(
    const int32_t *accumulator, /* N */
    const int32_t *multiplier, /* N, in [0, 2147483647] */
    const int32_t *shift, /* N, in [-31, 30] */
    int32_t *output, /* N */
    int32_t N, int32_t rounding);

/* rounding in [4, 4] */
void fxp_requantize_a48(
    const int64_t *accumulator, /* N, in [-140737488355328, 140737488355327] */
    const int32_t *multiplier, /* N, in [0, 2147483647] */
    const int32_t *shift, /* N, in [-31, 7] */
    int32_t *output, /* N */
    int32_t N, int32_t rounding);

/* mode in [0, 3] */
void fxp_rounding_shift_a64(
    const int64_t *value, /* N */
    const int32_t *amount, /* N, in [0, 62] */
    int32_t *output, /* N */
    int32_t N, int32_t mode);

/* ---- batch_matmul ---- */

/* rows in [1, 2147483647], depth in [1, 65536], columns in [1, 2147483647], adjoint_a in [0, 1],
 * adjoint_b in [0, 1], input_a_zero_point in [-128, 127], input_b_zero_point in [-128, 127],
 * output_zero_point in [-128, 127], clamp_low in [-128, 127], clamp_high in [-128, 127],
 * rounding in [0, 5] */
void fxp_batch_matmul_a8(
    const int8_t *input_a, /* N */
    const int8_t *input_b, /* M */
    const int32_t *multiplier, /* 1, in [0, 2147483647] */
    const int32_t *shift, /* 1, in [-31, 30] */
    int8_t *output, /* P */
    int32_t N, int32_t M, int32_t P, int32_t rows, int32_t depth, int32_t columns, int32_t adjoint_a,
    int32_t adjoint_b, int32_t input_a_zero_point, int32_t input_b_zero_point, int32_t output_zero_point,
    int32_t clamp_low, int32_t clamp_high, int32_t rounding);

/* rows in [1, 2147483647], depth in [1, 65536], columns in [1, 2147483647], adjoint_a in [0, 1],
 * adjoint_b in [0, 1], clamp_low in [-32768, 32767], clamp_high in [-32768, 32767], rounding in [0, 5] */
void fxp_batch_matmul_a16(
    const int16_t *input_a, /* N */
    const int16_t *input_b, /* M */
    const int32_t *multiplier, /* 1, in [0, 2147483647] */
    const int32_t *shift, /* 1, in [-31, 30] */
    int16_t *output, /* P */
    int32_t N, int32_t M, int32_t P, int32_t rows, int32_t depth, int32_t columns, int32_t adjoint_a,
    int32_t adjoint_b, int32_t clamp_low, int32_t clamp_high, int32_t rounding);

/* ---- conv2d ---- */

/* stride_h in [1, 32768], stride_w in [1, 32768], pad_top in [0, 32768], pad_left in [0, 32768],
 * dilation_h in [1, 32768], dilation_w in [1, 32768], groups in [1, 32768],
 * input_zero_point in [-128, 127], output_zero_point in [-128, 127], clamp_low in [-128, 127],
 * clamp_high in [-128, 127], rounding in [0, 5], accumulator_bits in [32, 64] */
void fxp_conv2d_a8w8(
    const int8_t *input, /* B H W C */
    const int8_t *weights, /* O KH KW C/G */
    const int32_t *bias, /* O */
    const int32_t *multiplier, /* O, in [0, 2147483647] */
    const int32_t *shift, /* O, in [-31, 30] */
    int8_t *output, /* B OH OW O */
    int32_t B, int32_t H, int32_t W, int32_t C, int32_t O, int32_t KH, int32_t KW, int32_t OH, int32_t OW,
    int32_t stride_h, int32_t stride_w, int32_t pad_top, int32_t pad_left, int32_t dilation_h,
    int32_t dilation_w, int32_t groups, int32_t input_zero_point, int32_t output_zero_point,
    int32_t clamp_low, int32_t clamp_high, int32_t rounding, int32_t accumulator_bits);

/* stride_h in [1, 32768], stride_w in [1, 32768], pad_top in [0, 32768], pad_left in [0, 32768],
 * dilation_h in [1, 32768], dilation_w in [1, 32768], groups in [1, 32768],
 * input_zero_point in [-128, 127], output_zero_point in [-128, 127], clamp_low in [-128, 127],
 * clamp_high in [-128, 127], rounding in [0, 5], accumulator_bits in [32, 64] */
void fxp_conv2d_a8w16(
    const int8_t *input, /* B H W C */
    const int16_t *weights, /* O KH KW C/G */
    const int32_t *bias, /* O */
    const int32_t *multiplier, /* O, in [0, 2147483647] */
    const int32_t *shift, /* O, in [-31, 30] */
    int8_t *output, /* B OH OW O */
    int32_t B, int32_t H, int32_t W, int32_t C, int32_t O, int32_t KH, int32_t KW, int32_t OH, int32_t OW,
    int32_t stride_h, int32_t stride_w, int32_t pad_top, int32_t pad_left, int32_t dilation_h,
    int32_t dilation_w, int32_t groups, int32_t input_zero_point, int32_t output_zero_point,
    int32_t clamp_low, int32_t clamp_high, int32_t rounding, int32_t accumulator_bits);

/* stride_h in [1, 32768], stride_w in [1, 32768], pad_top in [0, 32768], pad_left in [0, 32768],
 * dilation_h in [1, 32768], dilation_w in [1, 32768], groups in [1, 32768],
 * input_zero_point in [-128, 127], output_zero_point in [-128, 127], clamp_low in [-128, 127],
 * clamp_high in [-128, 127], rounding in [0, 5], accumulator_bits in [32, 64] */
void fxp_conv2d_a8w16_split(
    const int8_t *input, /* B H W C */
    const int16_t *weights, /* O KH KW C/G */
    const int32_t *bias, /* O */
    const int32_t *multiplier, /* O, in [0, 2147483647] */
    const int32_t *shift, /* O, in [-31, 30] */
    int8_t *output, /* B OH OW O */
    int32_t B, int32_t H, int32_t W, int32_t C, int32_t O, int32_t KH, int32_t KW, int32_t OH, int32_t OW,
    int32_t stride_h, int32_t stride_w, int32_t pad_top, int32_t pad_left, int32_t dilation_h,
    int32_t dilation_w, int32_t groups, int32_t input_zero_point, int32_t output_zero_point,
    int32_t clamp_low, int32_t clamp_high, int32_t rounding, int32_t accumulator_bits);

/* stride_h in [1, 32768], stride_w in [1, 32768], pad_top in [0, 32768], pad_left in [0, 32768],
 * dilation_h in [1, 32768], dilation_w in [1, 32768], groups in [1, 32768], clamp_low in [-32768, 32767],
 * clamp_high in [-32768, 32767], rounding in [0, 5] */
void fxp_conv2d_a16w8(
    const int16_t *input, /* B H W C */
    const int8_t *weights, /* O KH KW C/G */
    const int64_t *bias, /* O, in [-70368744177664, 70368744177664] */
    const int32_t *multiplier, /* O, in [0, 2147483647] */
    const int32_t *shift, /* O, in [-31, 30] */
    int16_t *output, /* B OH OW O */
    int32_t B, int32_t H, int32_t W, int32_t C, int32_t O, int32_t KH, int32_t KW, int32_t OH, int32_t OW,
    int32_t stride_h, int32_t stride_w, int32_t pad_top, int32_t pad_left, int32_t dilation_h,
    int32_t dilation_w, int32_t groups, int32_t clamp_low, int32_t clamp_high, int32_t rounding);

/* ---- depthwise_conv2d ---- */

/* stride_h in [1, 32768], stride_w in [1, 32768], pad_top in [0, 32768], pad_left in [0, 32768],
 * dilation_h in [1, 32768], dilation_w in [1, 32768], input_zero_point in [-128, 127],
 * output_zero_point in [-128, 127], clamp_low in [-128, 127], clamp_high in [-128, 127],
 * rounding in [0, 5], accumulator_bits in [32, 64] */
void fxp_depthwise_conv2d_a8w8(
    const int8_t *input, /* B H W C */
    const int8_t *weights, /* 1 KH KW O */
    const int32_t *bias, /* O */
    const int32_t *multiplier, /* O, in [0, 2147483647] */
    const int32_t *shift, /* O, in [-31, 30] */
    int8_t *output, /* B OH OW O */
    int32_t B, int32_t H, int32_t W, int32_t C, int32_t KH, int32_t KW, int32_t O, int32_t OH, int32_t OW,
    int32_t stride_h, int32_t stride_w, int32_t pad_top, int32_t pad_left, int32_t dilation_h,
    int32_t dilation_w, int32_t input_zero_point, int32_t output_zero_point, int32_t clamp_low,
    int32_t clamp_high, int32_t rounding, int32_t accumulator_bits);

/* stride_h in [1, 32768], stride_w in [1, 32768], pad_top in [0, 32768], pad_left in [0, 32768],
 * dilation_h in [1, 32768], dilation_w in [1, 32768], input_zero_point in [-128, 127],
 * output_zero_point in [-128, 127], clamp_low in [-128, 127], clamp_high in [-128, 127],
 * rounding in [0, 5], accumulator_bits in [32, 64] */
void fxp_depthwise_conv2d_a8w16(
    const int8_t *input, /* B H W C */
    const int16_t *weights, /* 1 KH KW O */
    const int32_t *bias, /* O */
    const int32_t *multiplier, /* O, in [0, 2147483647] */
    const int32_t *shift, /* O, in [-31, 30] */
    int8_t *output, /* B OH OW O */
    int32_t B, int32_t H, int32_t W, int32_t C, int32_t KH, int32_t KW, int32_t O, int32_t OH, int32_t OW,
    int32_t stride_h, int32_t stride_w, int32_t pad_top, int32_t pad_left, int32_t dilation_h,
    int32_t dilation_w, int32_t input_zero_point, int32_t output_zero_point, int32_t clamp_low,
    int32_t clamp_high, int32_t rounding, int32_t accumulator_bits);

/* stride_h in [1, 32768], stride_w in [1, 32768], pad_top in [0, 32768], pad_left in [0, 32768],
 * dilation_h in [1, 32768], dilation_w in [1, 32768], input_zero_point in [-128, 127],
 * output_zero_point in [-128, 127], clamp_low in [-128, 127], clamp_high in [-128, 127],
 * rounding in [0, 5], accumulator_bits in [32, 64] */
void fxp_depthwise_conv2d_a8w16_split(
    const int8_t *input, /* B H W C */
    const int16_t *weights, /* 1 KH KW O */
    const int32_t *bias, /* O */
    const int32_t *multiplier, /* O, in [0, 2147483647] */
    const int32_t *shift, /* O, in [-31, 30] */
    int8_t *output, /* B OH OW O */
    int32_t B, int32_t H, int32_t W, int32_t C, int32_t KH, int32_t KW, int32_t O, int32_t OH, int32_t OW,
    int32_t stride_h, int32_t stride_w, int32_t pad_top, int32_t pad_left, int32_t dilation_h,
    int32_t dilation_w, int32_t input_zero_point, int32_t output_zero_point, int32_t clamp_low,
    int32_t clamp_high, int32_t rounding, int32_t accumulator_bits);

/* stride_h in [1, 32768], stride_w in [1, 32768], pad_top in [0, 32768], pad_left in [0, 32768],
 * dilation_h in [1, 32768], dilation_w in [1, 32768], clamp_low in [-32768, 32767],
 * clamp_high in [-32768, 32767], rounding in [0, 5] */
void fxp_depthwise_conv2d_a16w8(
    const int16_t *input, /* B H W C */
    const int8_t *weights, /* 1 KH KW O */
    const int64_t *bias, /* O, in [-70368744177664, 70368744177664] */
    const int32_t *multiplier, /* O, in [0, 2147483647] */
    const int32_t *shift, /* O, in [-31, 30] */
    int16_t *output, /* B OH OW O */
    int32_t B, int32_t H, int32_t W, int32_t C, int32_t KH, int32_t KW, int32_t O, int32_t OH, int32_t OW,
    int32_t stride_h, int32_t stride_w, int32_t pad_top, int32_t pad_left, int32_t dilation_h,
    int32_t dilation_w, int32_t clamp_low, int32_t clamp_high, int32_t rounding);

/* ---- elementwise ---- */

/* input_a_zero_point in [-128, 127], input_b_zero_point in [-128, 127], output_zero_point in [-128, 127],
 * left_shift in [0, 22], clamp_low in [-128, 127], clamp_high in [-128, 127], rounding in [0, 5] */
void fxp_add_a8(
    const int8_t *input_a, /* N */
    const int8_t *input_b, /* N */
    const int32_t *multiplier, /* 3, in [0, 2147483647] */
    const int32_t *shift, /* 3, in [-31, 30] */
    int8_t *output, /* N */
    int32_t N, int32_t input_a_zero_point, int32_t input_b_zero_point, int32_t output_zero_point,
    int32_t left_shift, int32_t clamp_low, int32_t clamp_high, int32_t rounding);

/* input_a_zero_point in [-128, 127], input_b_zero_point in [-128, 127], output_zero_point in [-128, 127],
 * left_shift in [0, 22], clamp_low in [-128, 127], clamp_high in [-128, 127], rounding in [0, 5] */
void fxp_sub_a8(
    const int8_t *input_a, /* N */
    const int8_t *input_b, /* N */
    const int32_t *multiplier, /* 3, in [0, 2147483647] */
    const int32_t *shift, /* 3, in [-31, 30] */
    int8_t *output, /* N */
    int32_t N, int32_t input_a_zero_point, int32_t input_b_zero_point, int32_t output_zero_point,
    int32_t left_shift, int32_t clamp_low, int32_t clamp_high, int32_t rounding);

/* left_shift in [0, 15], clamp_low in [-32768, 32767], clamp_high in [-32768, 32767], rounding in [0, 5] */
void fxp_add_a16(
    const int16_t *input_a, /* N */
    const int16_t *input_b, /* N */
    const int32_t *multiplier, /* 3, in [0, 2147483647] */
    const int32_t *shift, /* 3, in [-31, 30] */
    int16_t *output, /* N */
    int32_t N, int32_t left_shift, int32_t clamp_low, int32_t clamp_high, int32_t rounding);

/* left_shift in [0, 15], clamp_low in [-32768, 32767], clamp_high in [-32768, 32767], rounding in [0, 5] */
void fxp_sub_a16(
    const int16_t *input_a, /* N */
    const int16_t *input_b, /* N */
    const int32_t *multiplier, /* 3, in [0, 2147483647] */
    const int32_t *shift, /* 3, in [-31, 30] */
    int16_t *output, /* N */
    int32_t N, int32_t left_shift, int32_t clamp_low, int32_t clamp_high, int32_t rounding);

/* input_a_zero_point in [-128, 127], input_b_zero_point in [-128, 127], output_zero_point in [-128, 127],
 * left_shift in [0, 22], clamp_low in [-128, 127], clamp_high in [-128, 127], operand_rounding in [0, 5],
 * rounding in [0, 5] */
void fxp_add_mixed_a8(
    const int8_t *input_a, /* N */
    const int8_t *input_b, /* N */
    const int32_t *multiplier, /* 3, in [0, 2147483647] */
    const int32_t *shift, /* 3, in [-31, 30] */
    int8_t *output, /* N */
    int32_t N, int32_t input_a_zero_point, int32_t input_b_zero_point, int32_t output_zero_point,
    int32_t left_shift, int32_t clamp_low, int32_t clamp_high, int32_t operand_rounding, int32_t rounding);

/* left_shift in [0, 15], clamp_low in [-32768, 32767], clamp_high in [-32768, 32767],
 * operand_rounding in [0, 5], rounding in [0, 5] */
void fxp_add_mixed_a16(
    const int16_t *input_a, /* N */
    const int16_t *input_b, /* N */
    const int32_t *multiplier, /* 3, in [0, 2147483647] */
    const int32_t *shift, /* 3, in [-31, 30] */
    int16_t *output, /* N */
    int32_t N, int32_t left_shift, int32_t clamp_low, int32_t clamp_high, int32_t operand_rounding,
    int32_t rounding);

/* input_a_zero_point in [-128, 127], input_b_zero_point in [-128, 127], output_zero_point in [-128, 127],
 * clamp_low in [-128, 127], clamp_high in [-128, 127], rounding in [0, 5] */
void fxp_mul_a8(
    const int8_t *input_a, /* N */
    const int8_t *input_b, /* N */
    const int32_t *multiplier, /* 1, in [0, 2147483647] */
    const int32_t *shift, /* 1, in [-31, 30] */
    int8_t *output, /* N */
    int32_t N, int32_t input_a_zero_point, int32_t input_b_zero_point, int32_t output_zero_point,
    int32_t clamp_low, int32_t clamp_high, int32_t rounding);

/* input_a_zero_point in [0, 0], input_b_zero_point in [0, 0], output_zero_point in [0, 0],
 * clamp_low in [-32768, 32767], clamp_high in [-32768, 32767], rounding in [0, 5] */
void fxp_mul_a16(
    const int16_t *input_a, /* N */
    const int16_t *input_b, /* N */
    const int32_t *multiplier, /* 1, in [0, 2147483647] */
    const int32_t *shift, /* 1, in [-31, 30] */
    int16_t *output, /* N */
    int32_t N, int32_t input_a_zero_point, int32_t input_b_zero_point, int32_t output_zero_point,
    int32_t clamp_low, int32_t clamp_high, int32_t rounding);

/* input_a_zero_point in [-128, 127], input_b_zero_point in [-128, 127], output_zero_point in [-128, 127],
 * left_shift in [0, 15], rounding in [0, 5] */
void fxp_squared_difference_a8(
    const int8_t *input_a, /* N */
    const int8_t *input_b, /* N */
    const int32_t *multiplier, /* 3, in [0, 2147483647] */
    const int32_t *shift, /* 3, in [-31, 30] */
    int8_t *output, /* N */
    int32_t N, int32_t input_a_zero_point, int32_t input_b_zero_point, int32_t output_zero_point,
    int32_t left_shift, int32_t rounding);

/* input_a_zero_point in [0, 0], input_b_zero_point in [0, 0], output_zero_point in [0, 0],
 * left_shift in [0, 15], rounding in [0, 5] */
void fxp_squared_difference_a16(
    const int16_t *input_a, /* N */
    const int16_t *input_b, /* N */
    const int32_t *multiplier, /* 3, in [0, 2147483647] */
    const int32_t *shift, /* 3, in [-31, 30] */
    int16_t *output, /* N */
    int32_t N, int32_t input_a_zero_point, int32_t input_b_zero_point, int32_t output_zero_point,
    int32_t left_shift, int32_t rounding);

/* input_zero_point in [-128, 127], slope_zero_point in [-128, 127], output_zero_point in [-128, 127],
 * rounding in [0, 5] */
void fxp_prelu_a8(
    const int8_t *input, /* N */
    const int8_t *slope, /* N */
    const int32_t *multiplier, /* 2, in [0, 2147483647] */
    const int32_t *shift, /* 2, in [-31, 30] */
    int8_t *output, /* N */
    int32_t N, int32_t input_zero_point, int32_t slope_zero_point, int32_t output_zero_point,
    int32_t rounding);

/* input_zero_point in [-32768, 32767], slope_zero_point in [-128, 127],
 * output_zero_point in [-32768, 32767], rounding in [0, 5] */
void fxp_prelu_a16(
    const int16_t *input, /* N */
    const int8_t *slope, /* N */
    const int32_t *multiplier, /* 2, in [0, 2147483647] */
    const int32_t *shift, /* 2, in [-31, 30] */
    int16_t *output, /* N */
    int32_t N, int32_t input_zero_point, int32_t slope_zero_point, int32_t output_zero_point,
    int32_t rounding);

void fxp_maximum_a8(
    const int8_t *input_a, /* N */
    const int8_t *input_b, /* N */
    int8_t *output, /* N */
    int32_t N);

void fxp_maximum_a16(
    const int16_t *input_a, /* N */
    const int16_t *input_b, /* N */
    int16_t *output, /* N */
    int32_t N);

void fxp_maximum_a32(
    const int32_t *input_a, /* N */
    const int32_t *input_b, /* N */
    int32_t *output, /* N */
    int32_t N);

void fxp_minimum_a8(
    const int8_t *input_a, /* N */
    const int8_t *input_b, /* N */
    int8_t *output, /* N */
    int32_t N);

void fxp_minimum_a16(
    const int16_t *input_a, /* N */
    const int16_t *input_b, /* N */
    int16_t *output, /* N */
    int32_t N);

void fxp_minimum_a32(
    const int32_t *input_a, /* N */
    const int32_t *input_b, /* N */
    int32_t *output, /* N */
    int32_t N);

/* ---- fully_connected ---- */

/* input_zero_point in [-128, 127], output_zero_point in [-128, 127], clamp_low in [-128, 127],
 * clamp_high in [-128, 127], rounding in [0, 5], accumulator_bits in [32, 64] */
void fxp_fully_connected_a8w8(
    const int8_t *input, /* B I */
    const int8_t *weights, /* O I */
    const int32_t *bias, /* O */
    const int32_t *multiplier, /* O, in [0, 2147483647] */
    const int32_t *shift, /* O, in [-31, 30] */
    int8_t *output, /* B O */
    int32_t B, int32_t I, int32_t O, int32_t input_zero_point, int32_t output_zero_point,
    int32_t clamp_low, int32_t clamp_high, int32_t rounding, int32_t accumulator_bits);

/* input_zero_point in [-128, 127], output_zero_point in [-128, 127], clamp_low in [-128, 127],
 * clamp_high in [-128, 127], rounding in [0, 5], accumulator_bits in [32, 64] */
void fxp_fully_connected_a8w16(
    const int8_t *input, /* B I */
    const int16_t *weights, /* O I */
    const int32_t *bias, /* O */
    const int32_t *multiplier, /* O, in [0, 2147483647] */
    const int32_t *shift, /* O, in [-31, 30] */
    int8_t *output, /* B O */
    int32_t B, int32_t I, int32_t O, int32_t input_zero_point, int32_t output_zero_point,
    int32_t clamp_low, int32_t clamp_high, int32_t rounding, int32_t accumulator_bits);

/* input_zero_point in [-128, 127], output_zero_point in [-128, 127], clamp_low in [-128, 127],
 * clamp_high in [-128, 127], rounding in [0, 5], accumulator_bits in [32, 64] */
void fxp_fully_connected_a8w16_split(
    const int8_t *input, /* B I */
    const int16_t *weights, /* O I */
    const int32_t *bias, /* O */
    const int32_t *multiplier, /* O, in [0, 2147483647] */
    const int32_t *shift, /* O, in [-31, 30] */
    int8_t *output, /* B O */
    int32_t B, int32_t I, int32_t O, int32_t input_zero_point, int32_t output_zero_point,
    int32_t clamp_low, int32_t clamp_high, int32_t rounding, int32_t accumulator_bits);

/* input_zero_point in [-128, 127], accumulator_bits in [32, 64] */
void fxp_fully_connected_accumulate_a8w8(
    const int8_t *input, /* B I */
    const int8_t *weights, /* O I */
    const int32_t *bias, /* O */
    int32_t *output, /* B O */
    int32_t B, int32_t I, int32_t O, int32_t input_zero_point, int32_t accumulator_bits);

/* input_zero_point in [-128, 127], accumulator_bits in [32, 64] */
void fxp_fully_connected_accumulate_a8w16(
    const int8_t *input, /* B I */
    const int16_t *weights, /* O I */
    const int32_t *bias, /* O */
    int32_t *output, /* B O */
    int32_t B, int32_t I, int32_t O, int32_t input_zero_point, int32_t accumulator_bits);

/* input_zero_point in [-32768, 32767], output_zero_point in [-32768, 32767],
 * clamp_low in [-32768, 32767], clamp_high in [-32768, 32767], rounding in [0, 5] */
void fxp_fully_connected_a16w8(
    const int16_t *input, /* B I */
    const int8_t *weights, /* O I */
    const int64_t *bias, /* O, in [-70368744177664, 70368744177664] */
    const int32_t *multiplier, /* O, in [0, 2147483647] */
    const int32_t *shift, /* O, in [-31, 30] */
    int16_t *output, /* B O */
    int32_t B, int32_t I, int32_t O, int32_t input_zero_point, int32_t output_zero_point,
    int32_t clamp_low, int32_t clamp_high, int32_t rounding);

/* ---- lookup ---- */

void fxp_lookup_a8(
    const int8_t *input, /* N */
    const int8_t *table, /* 256 */
    int8_t *output, /* N */
    int32_t N);

/* input_multiplier in [0, 32767], input_shift in [0, 31] */
void fxp_logistic_a16(
    const int16_t *input, /* N */
    const int32_t *table, /* 256, in [32768, 65535] */
    int16_t *output, /* N */
    int32_t N, int32_t input_multiplier, int32_t input_shift);

/* input_multiplier in [0, 32767], input_shift in [0, 31] */
void fxp_tanh_a16(
    const int16_t *input, /* N */
    const int32_t *table, /* 256, in [32768, 65535] */
    int16_t *output, /* N */
    int32_t N, int32_t input_multiplier, int32_t input_shift);

/* ---- lookup_pair ---- */

void fxp_lookup_pair_a8(
    const int8_t *input_a, /* N */
    const int8_t *input_b, /* N */
    const int8_t *table, /* 65536 */
    int8_t *output, /* N */
    int32_t N);

/* ---- loss ---- */

/* Returns the sum of all losses. */
int64_t fxp_cross_entropy_logits(
    const int64_t *logits, /* B N */
    const int32_t *labels, /* B, in [0, 2147483647] */
    int64_t *losses, /* B, in [0, 9223372036854775807] */
    int32_t B, int32_t N);

/* Returns the sum of all losses. */
int64_t fxp_cross_entropy_linear(
    const int32_t *accumulators, /* B N */
    const int32_t *multiplier, /* N, in [0, 2147483647] */
    const int32_t *shift, /* N, in [-31, 30] */
    const int32_t *labels, /* B, in [0, 2147483647] */
    int64_t *losses, /* B, in [0, 9223372036854775807] */
    int32_t B, int32_t N);

/* leave_one_out in [0, 1] */
/* Returns the sum of all losses. */
int64_t fxp_cross_entropy_prototypes(
    const int8_t *embeddings, /* B D */
    const int32_t *labels, /* B, in [0, 2147483647] */
    const int32_t *multiplier, /* 1, in [0, 2147483647] */
    const int32_t *shift, /* 1, in [-31, 30] */
    int32_t *sums, /* N D, in [-8388608, 8388608] */
    int32_t *counts, /* N, in [0, 65536] */
    int64_t *losses, /* B, in [0, 9223372036854775807] */
    int32_t B, int32_t D, int32_t N, int32_t leave_one_out);

void fxp_prototype_sums(
    const int8_t *embeddings, /* B D */
    const int32_t *labels, /* B, in [0, 2147483647] */
    int32_t *sums, /* N D, in [-8388608, 8388608] */
    int32_t *counts, /* N, in [0, 65536] */
    int32_t B, int32_t D, int32_t N);

void fxp_prototype_distances(
    const int8_t *queries, /* Q D */
    const int32_t *sums, /* N D, in [-8388608, 8388608] */
    const int32_t *counts, /* N, in [0, 65536] */
    int64_t *output, /* Q N, in [0, 9223372036854775807] */
    int32_t Q, int32_t D, int32_t N);

void fxp_residuals_linear(
    const int32_t *accumulators, /* B N */
    const int32_t *multiplier, /* N, in [0, 2147483647] */
    const int32_t *shift, /* N, in [-31, 30] */
    const int32_t *labels, /* B, in [0, 2147483647] */
    int32_t *residuals, /* B N, in [-32768, 32768] */
    int32_t B, int32_t N);

/* ---- narrow_accumulator ---- */

/* stride_h in [1, 32768], stride_w in [1, 32768], pad_top in [0, 32768], pad_left in [0, 32768],
 * dilation_h in [1, 32768], dilation_w in [1, 32768], groups in [1, 32768],
 * input_zero_point in [-128, 127], output_zero_point in [-128, 127], clamp_low in [-128, 127],
 * clamp_high in [-128, 127], rounding in [0, 5], accumulator_bits in [8, 32], saturate in [0, 1] */
void fxp_conv2d_narrow_a8w8(
    const int8_t *input, /* B H W C */
    const int8_t *weights, /* O KH KW C/G */
    const int32_t *bias, /* O */
    const int32_t *multiplier, /* O, in [0, 2147483647] */
    const int32_t *shift, /* O, in [-31, 30] */
    int8_t *output, /* B OH OW O */
    int32_t B, int32_t H, int32_t W, int32_t C, int32_t O, int32_t KH, int32_t KW, int32_t OH, int32_t OW,
    int32_t stride_h, int32_t stride_w, int32_t pad_top, int32_t pad_left, int32_t dilation_h,
    int32_t dilation_w, int32_t groups, int32_t input_zero_point, int32_t output_zero_point,
    int32_t clamp_low, int32_t clamp_high, int32_t rounding, int32_t accumulator_bits, int32_t saturate);

/* stride_h in [1, 32768], stride_w in [1, 32768], pad_top in [0, 32768], pad_left in [0, 32768],
 * dilation_h in [1, 32768], dilation_w in [1, 32768], input_zero_point in [-128, 127],
 * output_zero_point in [-128, 127], clamp_low in [-128, 127], clamp_high in [-128, 127],
 * rounding in [0, 5], accumulator_bits in [8, 32], saturate in [0, 1] */
void fxp_depthwise_conv2d_narrow_a8w8(
    const int8_t *input, /* B H W C */
    const int8_t *weights, /* 1 KH KW O */
    const int32_t *bias, /* O */
    const int32_t *multiplier, /* O, in [0, 2147483647] */
    const int32_t *shift, /* O, in [-31, 30] */
    int8_t *output, /* B OH OW O */
    int32_t B, int32_t H, int32_t W, int32_t C, int32_t KH, int32_t KW, int32_t O, int32_t OH, int32_t OW,
    int32_t stride_h, int32_t stride_w, int32_t pad_top, int32_t pad_left, int32_t dilation_h,
    int32_t dilation_w, int32_t input_zero_point, int32_t output_zero_point, int32_t clamp_low,
    int32_t clamp_high, int32_t rounding, int32_t accumulator_bits, int32_t saturate);

/* input_zero_point in [-128, 127], output_zero_point in [-128, 127], clamp_low in [-128, 127],
 * clamp_high in [-128, 127], rounding in [0, 5], accumulator_bits in [8, 32], saturate in [0, 1] */
void fxp_fully_connected_narrow_a8w8(
    const int8_t *input, /* B I */
    const int8_t *weights, /* O I */
    const int32_t *bias, /* O */
    const int32_t *multiplier, /* O, in [0, 2147483647] */
    const int32_t *shift, /* O, in [-31, 30] */
    int8_t *output, /* B O */
    int32_t B, int32_t I, int32_t O, int32_t input_zero_point, int32_t output_zero_point,
    int32_t clamp_low, int32_t clamp_high, int32_t rounding, int32_t accumulator_bits, int32_t saturate);

/* stride_h in [1, 32768], stride_w in [1, 32768], pad_top in [0, 32768], pad_left in [0, 32768],
 * dilation_h in [1, 32768], dilation_w in [1, 32768], groups in [1, 32768],
 * input_zero_point in [-128, 127], output_zero_point in [-128, 127], clamp_low in [-128, 127],
 * clamp_high in [-128, 127], rounding in [0, 5], accumulator_bits in [8, 32], saturate in [0, 1] */
void fxp_conv2d_narrow_a8w16(
    const int8_t *input, /* B H W C */
    const int16_t *weights, /* O KH KW C/G */
    const int32_t *bias, /* O */
    const int32_t *multiplier, /* O, in [0, 2147483647] */
    const int32_t *shift, /* O, in [-31, 30] */
    int8_t *output, /* B OH OW O */
    int32_t B, int32_t H, int32_t W, int32_t C, int32_t O, int32_t KH, int32_t KW, int32_t OH, int32_t OW,
    int32_t stride_h, int32_t stride_w, int32_t pad_top, int32_t pad_left, int32_t dilation_h,
    int32_t dilation_w, int32_t groups, int32_t input_zero_point, int32_t output_zero_point,
    int32_t clamp_low, int32_t clamp_high, int32_t rounding, int32_t accumulator_bits, int32_t saturate);

/* stride_h in [1, 32768], stride_w in [1, 32768], pad_top in [0, 32768], pad_left in [0, 32768],
 * dilation_h in [1, 32768], dilation_w in [1, 32768], input_zero_point in [-128, 127],
 * output_zero_point in [-128, 127], clamp_low in [-128, 127], clamp_high in [-128, 127],
 * rounding in [0, 5], accumulator_bits in [8, 32], saturate in [0, 1] */
void fxp_depthwise_conv2d_narrow_a8w16(
    const int8_t *input, /* B H W C */
    const int16_t *weights, /* 1 KH KW O */
    const int32_t *bias, /* O */
    const int32_t *multiplier, /* O, in [0, 2147483647] */
    const int32_t *shift, /* O, in [-31, 30] */
    int8_t *output, /* B OH OW O */
    int32_t B, int32_t H, int32_t W, int32_t C, int32_t KH, int32_t KW, int32_t O, int32_t OH, int32_t OW,
    int32_t stride_h, int32_t stride_w, int32_t pad_top, int32_t pad_left, int32_t dilation_h,
    int32_t dilation_w, int32_t input_zero_point, int32_t output_zero_point, int32_t clamp_low,
    int32_t clamp_high, int32_t rounding, int32_t accumulator_bits, int32_t saturate);

/* input_zero_point in [-128, 127], output_zero_point in [-128, 127], clamp_low in [-128, 127],
 * clamp_high in [-128, 127], rounding in [0, 5], accumulator_bits in [8, 32], saturate in [0, 1] */
void fxp_fully_connected_narrow_a8w16(
    const int8_t *input, /* B I */
    const int16_t *weights, /* O I */
    const int32_t *bias, /* O */
    const int32_t *multiplier, /* O, in [0, 2147483647] */
    const int32_t *shift, /* O, in [-31, 30] */
    int8_t *output, /* B O */
    int32_t B, int32_t I, int32_t O, int32_t input_zero_point, int32_t output_zero_point,
    int32_t clamp_low, int32_t clamp_high, int32_t rounding, int32_t accumulator_bits, int32_t saturate);

/* ---- normalization ---- */

/* depth in [1, 33025], input_zero_point in [-128, 127], rounding in [0, 3] */
void fxp_l2_normalization_a8(
    const int8_t *input, /* N */
    int8_t *output, /* N */
    int32_t N, int32_t depth, int32_t input_zero_point, int32_t rounding);

/* ---- pooling ---- */

/* size_h in [1, 2048], size_w in [1, 2048], stride_h in [1, 32768], stride_w in [1, 32768],
 * pad_top in [0, 2047], pad_left in [0, 2047], clamp_low in [-128, 127], clamp_high in [-128, 127],
 * input_zero_point in [-128, 127], output_zero_point in [-128, 127] */
void fxp_average_pool2d_tosa_a8(
    const int8_t *input, /* B H W C */
    int8_t *output, /* B OH OW C */
    int32_t B, int32_t H, int32_t W, int32_t C, int32_t OH, int32_t OW, int32_t size_h, int32_t size_w,
    int32_t stride_h, int32_t stride_w, int32_t pad_top, int32_t pad_left, int32_t clamp_low,
    int32_t clamp_high, int32_t input_zero_point, int32_t output_zero_point);

/* size_h in [1, 2048], size_w in [1, 2048], stride_h in [1, 32768], stride_w in [1, 32768],
 * pad_top in [0, 2047], pad_left in [0, 2047], clamp_low in [-128, 127], clamp_high in [-128, 127] */
void fxp_max_pool2d_a8(
    const int8_t *input, /* B H W C */
    int8_t *output, /* B OH OW C */
    int32_t B, int32_t H, int32_t W, int32_t C, int32_t OH, int32_t OW, int32_t size_h, int32_t size_w,
    int32_t stride_h, int32_t stride_w, int32_t pad_top, int32_t pad_left, int32_t clamp_low,
    int32_t clamp_high);

/* size_h in [1, 2048], size_w in [1, 2048], stride_h in [1, 32768], stride_w in [1, 32768],
 * pad_top in [0, 2047], pad_left in [0, 2047], clamp_low in [-128, 127], clamp_high in [-128, 127] */
void fxp_average_pool2d_a8(
    const int8_t *input, /* B H W C */
    int8_t *output, /* B OH OW C */
    int32_t B, int32_t H, int32_t W, int32_t C, int32_t OH, int32_t OW, int32_t size_h, int32_t size_w,
    int32_t stride_h, int32_t stride_w, int32_t pad_top, int32_t pad_left, int32_t clamp_low,
    int32_t clamp_high);

/* size_h in [1, 2048], size_w in [1, 2048], stride_h in [1, 32768], stride_w in [1, 32768],
 * pad_top in [0, 2047], pad_left in [0, 2047], clamp_low in [-32768, 32767],
 * clamp_high in [-32768, 32767] */
void fxp_max_pool2d_a16(
    const int16_t *input, /* B H W C */
    int16_t *output, /* B OH OW C */
    int32_t B, int32_t H, int32_t W, int32_t C, int32_t OH, int32_t OW, int32_t size_h, int32_t size_w,
    int32_t stride_h, int32_t stride_w, int32_t pad_top, int32_t pad_left, int32_t clamp_low,
    int32_t clamp_high);

/* size_h in [1, 255], size_w in [1, 255], stride_h in [1, 32768], stride_w in [1, 32768],
 * pad_top in [0, 254], pad_left in [0, 254], clamp_low in [-32768, 32767], clamp_high in [-32768, 32767] */
void fxp_average_pool2d_a16(
    const int16_t *input, /* B H W C */
    int16_t *output, /* B OH OW C */
    int32_t B, int32_t H, int32_t W, int32_t C, int32_t OH, int32_t OW, int32_t size_h, int32_t size_w,
    int32_t stride_h, int32_t stride_w, int32_t pad_top, int32_t pad_left, int32_t clamp_low,
    int32_t clamp_high);

/* ---- quantization ---- */

/* input_zero_point in [-128, 127], output_zero_point in [-128, 127], rounding in [0, 5] */
void fxp_quantize_a8(
    const int8_t *input, /* N */
    const int32_t *multiplier, /* 1, in [0, 2147483647] */
    const int32_t *shift, /* 1, in [-31, 30] */
    int8_t *output, /* N */
    int32_t N, int32_t input_zero_point, int32_t output_zero_point, int32_t rounding);

/* input_zero_point in [-128, 127], output_zero_point in [-32768, 32767], rounding in [0, 5] */
void fxp_quantize_a8_a16(
    const int8_t *input, /* N */
    const int32_t *multiplier, /* 1, in [0, 2147483647] */
    const int32_t *shift, /* 1, in [-31, 30] */
    int16_t *output, /* N */
    int32_t N, int32_t input_zero_point, int32_t output_zero_point, int32_t rounding);

/* input_zero_point in [-128, 127], output_zero_point in [-2147483648, 2147483647], rounding in [0, 5] */
void fxp_quantize_a8_a32(
    const int8_t *input, /* N */
    const int32_t *multiplier, /* 1, in [0, 2147483647] */
    const int32_t *shift, /* 1, in [-31, 30] */
    int32_t *output, /* N */
    int32_t N, int32_t input_zero_point, int32_t output_zero_point, int32_t rounding);

/* input_zero_point in [-32768, 32767], output_zero_point in [-128, 127], rounding in [0, 5] */
void fxp_quantize_a16_a8(
    const int16_t *input, /* N */
    const int32_t *multiplier, /* 1, in [0, 2147483647] */
    const int32_t *shift, /* 1, in [-31, 30] */
    int8_t *output, /* N */
    int32_t N, int32_t input_zero_point, int32_t output_zero_point, int32_t rounding);

/* input_zero_point in [-32768, 32767], output_zero_point in [-32768, 32767], rounding in [0, 5] */
void fxp_quantize_a16(
    const int16_t *input, /* N */
    const int32_t *multiplier, /* 1, in [0, 2147483647] */
    const int32_t *shift, /* 1, in [-31, 30] */
    int16_t *output, /* N */
    int32_t N, int32_t input_zero_point, int32_t output_zero_point, int32_t rounding);

/* input_zero_point in [-32768, 32767], output_zero_point in [-2147483648, 2147483647], rounding in [0, 5] */
void fxp_quantize_a16_a32(
    const int16_t *input, /* N */
    const int32_t *multiplier, /* 1, in [0, 2147483647] */
    const int32_t *shift, /* 1, in [-31, 30] */
    int32_t *output, /* N */
    int32_t N, int32_t input_zero_point, int32_t output_zero_point, int32_t rounding);

/* input_zero_point in [-2147483648, 2147483647], output_zero_point in [-128, 127], rounding in [0, 5] */
void fxp_quantize_a32_a8(
    const int32_t *input, /* N */
    const int32_t *multiplier, /* 1, in [0, 2147483647] */
    const int32_t *shift, /* 1, in [-31, 30] */
    int8_t *output, /* N */
    int32_t N, int32_t input_zero_point, int32_t output_zero_point, int32_t rounding);

/* input_zero_point in [-2147483648, 2147483647], output_zero_point in [-32768, 32767], rounding in [0, 5] */
void fxp_quantize_a32_a16(
    const int32_t *input, /* N */
    const int32_t *multiplier, /* 1, in [0, 2147483647] */
    const int32_t *shift, /* 1, in [-31, 30] */
    int16_t *output, /* N */
    int32_t N, int32_t input_zero_point, int32_t output_zero_point, int32_t rounding);

/* ---- random ---- */

/* seed in [-9223372036854775808, 9223372036854775807], step in [0, 4294967295],
 * direction in [0, 16777215], tensor in [0, 4294967295], first_index in [0, 34359738367],
 * distribution in [0, 2] */
void fxp_draw_directions(
    const int16_t *table, /* T */
    int8_t *z, /* N, in [-127, 127] */
    int32_t T, int32_t N, int64_t seed, int64_t step, int32_t direction, int64_t tensor,
    int64_t first_index, int32_t distribution);

/* ---- reduction ---- */

/* reduced in [1, 2147483647], inner in [1, 2147483647] */
void fxp_reduce_max_a8(
    const int8_t *input, /* N */
    int8_t *output, /* M */
    int32_t N, int32_t M, int32_t reduced, int32_t inner);

/* reduced in [1, 2147483647], inner in [1, 2147483647] */
void fxp_reduce_min_a8(
    const int8_t *input, /* N */
    int8_t *output, /* M */
    int32_t N, int32_t M, int32_t reduced, int32_t inner);

/* reduced in [1, 2147483647], inner in [1, 2147483647] */
void fxp_arg_max_a8(
    const int8_t *input, /* N */
    int32_t *output, /* M */
    int32_t N, int32_t M, int32_t reduced, int32_t inner);

/* reduced in [1, 2147483647], inner in [1, 2147483647] */
void fxp_arg_min_a8(
    const int8_t *input, /* N */
    int32_t *output, /* M */
    int32_t N, int32_t M, int32_t reduced, int32_t inner);

/* reduced in [1, 2147483647], inner in [1, 2147483647] */
void fxp_reduce_max_a16(
    const int16_t *input, /* N */
    int16_t *output, /* M */
    int32_t N, int32_t M, int32_t reduced, int32_t inner);

/* reduced in [1, 2147483647], inner in [1, 2147483647] */
void fxp_reduce_min_a16(
    const int16_t *input, /* N */
    int16_t *output, /* M */
    int32_t N, int32_t M, int32_t reduced, int32_t inner);

/* reduced in [1, 2147483647], inner in [1, 2147483647] */
void fxp_arg_max_a16(
    const int16_t *input, /* N */
    int32_t *output, /* M */
    int32_t N, int32_t M, int32_t reduced, int32_t inner);

/* reduced in [1, 2147483647], inner in [1, 2147483647] */
void fxp_arg_min_a16(
    const int16_t *input, /* N */
    int32_t *output, /* M */
    int32_t N, int32_t M, int32_t reduced, int32_t inner);

/* reduced in [1, 16384], inner in [1, 2147483647] */
void fxp_sum_table_a8(
    const int8_t *input, /* N */
    const int8_t *table, /* T */
    int8_t *output, /* M */
    int32_t N, int32_t T, int32_t M, int32_t reduced, int32_t inner);

/* reduced in [1, 8388608], inner in [1, 2147483647], input_zero_point in [-128, 127],
 * output_zero_point in [-128, 127], rounding in [0, 5] */
void fxp_sum_a8(
    const int8_t *input, /* N */
    const int32_t *multiplier, /* 1, in [0, 2147483647] */
    const int32_t *shift, /* 1, in [-31, 30] */
    int8_t *output, /* M */
    int32_t N, int32_t M, int32_t reduced, int32_t inner, int32_t input_zero_point,
    int32_t output_zero_point, int32_t rounding);

/* reduced in [1, 8388608], inner in [1, 2147483647], input_zero_point in [-128, 127],
 * output_zero_point in [-128, 127], rounding in [0, 5] */
void fxp_mean_a8(
    const int8_t *input, /* N */
    const int32_t *multiplier, /* 1, in [0, 2147483647] */
    const int32_t *shift, /* 1, in [-31, 30] */
    int8_t *output, /* M */
    int32_t N, int32_t M, int32_t reduced, int32_t inner, int32_t input_zero_point,
    int32_t output_zero_point, int32_t rounding);

/* reduced in [1, 65535], inner in [1, 2147483647], input_zero_point in [-32768, 32767],
 * output_zero_point in [-32768, 32767], rounding in [0, 5] */
void fxp_sum_a16(
    const int16_t *input, /* N */
    const int32_t *multiplier, /* 1, in [0, 2147483647] */
    const int32_t *shift, /* 1, in [-31, 30] */
    int16_t *output, /* M */
    int32_t N, int32_t M, int32_t reduced, int32_t inner, int32_t input_zero_point,
    int32_t output_zero_point, int32_t rounding);

/* reduced in [1, 65535], inner in [1, 2147483647], input_zero_point in [-32768, 32767],
 * output_zero_point in [-32768, 32767], rounding in [0, 5] */
void fxp_mean_a16(
    const int16_t *input, /* N */
    const int32_t *multiplier, /* 1, in [0, 2147483647] */
    const int32_t *shift, /* 1, in [-31, 30] */
    int16_t *output, /* M */
    int32_t N, int32_t M, int32_t reduced, int32_t inner, int32_t input_zero_point,
    int32_t output_zero_point, int32_t rounding);

/* ---- resize ---- */

/* align_corners in [0, 1], half_pixel_centers in [0, 1], ties in [2, 3] */
void fxp_resize_bilinear_a8(
    const int8_t *input, /* B H W C */
    int8_t *output, /* B OH OW C */
    int32_t B, int32_t H, int32_t W, int32_t C, int32_t OH, int32_t OW, int32_t align_corners,
    int32_t half_pixel_centers, int32_t ties);

/* align_corners in [0, 1], half_pixel_centers in [0, 1], ties in [2, 3] */
void fxp_resize_bilinear_a16(
    const int16_t *input, /* B H W C */
    int16_t *output, /* B OH OW C */
    int32_t B, int32_t H, int32_t W, int32_t C, int32_t OH, int32_t OW, int32_t align_corners,
    int32_t half_pixel_centers, int32_t ties);

/* ---- shape ---- */

/* input_elements in [1, 2147483647], output_elements in [1, 2147483647], input_offset in [0, 2147483647],
 * output_offset in [0, 2147483647], fill in [-128, 127] */
void fxp_rearrange_a8(
    const int8_t *input, /* N */
    const int32_t *extents, /* R, in [1, 2147483647] */
    const int32_t *input_strides, /* R */
    const int32_t *output_strides, /* R, in [1, 2147483647] */
    int8_t *output, /* M */
    int32_t N, int32_t R, int32_t M, int32_t input_elements, int32_t output_elements,
    int32_t input_offset, int32_t output_offset, int32_t fill);

/* extent in [1, 2147483647], inner in [1, 2147483647] */
void fxp_gather_a8(
    const int8_t *input, /* N */
    const int32_t *indices, /* J, in [0, 2147483647] */
    int8_t *output, /* M */
    int32_t N, int32_t J, int32_t M, int32_t extent, int32_t inner);

/* input_elements in [1, 2147483647], output_elements in [1, 2147483647], input_offset in [0, 2147483647],
 * output_offset in [0, 2147483647], fill in [-32768, 32767] */
void fxp_rearrange_a16(
    const int16_t *input, /* N */
    const int32_t *extents, /* R, in [1, 2147483647] */
    const int32_t *input_strides, /* R */
    const int32_t *output_strides, /* R, in [1, 2147483647] */
    int16_t *output, /* M */
    int32_t N, int32_t R, int32_t M, int32_t input_elements, int32_t output_elements,
    int32_t input_offset, int32_t output_offset, int32_t fill);

/* extent in [1, 2147483647], inner in [1, 2147483647] */
void fxp_gather_a16(
    const int16_t *input, /* N */
    const int32_t *indices, /* J, in [0, 2147483647] */
    int16_t *output, /* M */
    int32_t N, int32_t J, int32_t M, int32_t extent, int32_t inner);

/* input_elements in [1, 2147483647], output_elements in [1, 2147483647], input_offset in [0, 2147483647],
 * output_offset in [0, 2147483647], fill in [-2147483648, 2147483647] */
void fxp_rearrange_a32(
    const int32_t *input, /* N */
    const int32_t *extents, /* R, in [1, 2147483647] */
    const int32_t *input_strides, /* R */
    const int32_t *output_strides, /* R, in [1, 2147483647] */
    int32_t *output, /* M */
    int32_t N, int32_t R, int32_t M, int32_t input_elements, int32_t output_elements,
    int32_t input_offset, int32_t output_offset, int32_t fill);

/* extent in [1, 2147483647], inner in [1, 2147483647] */
void fxp_gather_a32(
    const int32_t *input, /* N */
    const int32_t *indices, /* J, in [0, 2147483647] */
    int32_t *output, /* M */
    int32_t N, int32_t J, int32_t M, int32_t extent, int32_t inner);

/* input_row in [1, 2147483647], output_row in [1, 2147483647], column in [0, 2147483647] */
void fxp_concatenate_block_a8(
    const int8_t *input, /* N */
    int8_t *output, /* M */
    int32_t N, int32_t M, int32_t input_row, int32_t output_row, int32_t column);

void fxp_reshape_a8(
    const int8_t *input, /* N */
    int8_t *output, /* N */
    int32_t N);

void fxp_constant_a8(
    const int8_t *value, /* M */
    int8_t *output, /* N */
    int32_t M, int32_t N);

/* input_row in [1, 2147483647], output_row in [1, 2147483647], column in [0, 2147483647] */
void fxp_concatenate_block_a16(
    const int16_t *input, /* N */
    int16_t *output, /* M */
    int32_t N, int32_t M, int32_t input_row, int32_t output_row, int32_t column);

void fxp_reshape_a16(
    const int16_t *input, /* N */
    int16_t *output, /* N */
    int32_t N);

void fxp_constant_a16(
    const int16_t *value, /* M */
    int16_t *output, /* N */
    int32_t M, int32_t N);

/* input_row in [1, 2147483647], output_row in [1, 2147483647], column in [0, 2147483647] */
void fxp_concatenate_block_a32(
    const int32_t *input, /* N */
    int32_t *output, /* M */
    int32_t N, int32_t M, int32_t input_row, int32_t output_row, int32_t column);

void fxp_reshape_a32(
    const int32_t *input, /* N */
    int32_t *output, /* N */
    int32_t N);

void fxp_constant_a32(
    const int32_t *value, /* M */
    int32_t *output, /* N */
    int32_t M, int32_t N);

/* ---- softmax ---- */

/* depth in [1, 8191], multiplier in [1073741824, 2147483647], left_shift in [1, 31],
 * diff_min in [-1040187392, 0] */
void fxp_softmax_a8(
    const int8_t *input, /* N */
    int8_t *output, /* N */
    int32_t N, int32_t depth, int32_t multiplier, int32_t left_shift, int32_t diff_min);

/* depth in [1, 8191], multiplier in [1073741824, 2147483647], left_shift in [1, 31],
 * diff_min in [-1040187392, 0] */
void fxp_softmax_a8_a16(
    const int8_t *input, /* N */
    int16_t *output, /* N */
    int32_t N, int32_t depth, int32_t multiplier, int32_t left_shift, int32_t diff_min);

/* depth in [1, 65535], multiplier in [0, 2147483647], shift in [-31, 15] */
void fxp_softmax_a16(
    const int16_t *input, /* N */
    const int16_t *exp_table, /* T, in [0, 32767] */
    const int16_t *reciprocal_table, /* T, in [0, 32767] */
    int16_t *output, /* N */
    int32_t N, int32_t T, int32_t depth, int32_t multiplier, int32_t shift);

/* depth in [1, 4095], multiplier in [1073741824, 2147483647], left_shift in [1, 31],
 * diff_min in [-1040187392, 0], reverse_multiplier in [1073741824, 2147483647],
 * reverse_shift in [-31, 0], rounding in [0, 3] */
void fxp_log_softmax_a8(
    const int8_t *input, /* N */
    int8_t *output, /* N */
    int32_t N, int32_t depth, int32_t multiplier, int32_t left_shift, int32_t diff_min,
    int32_t reverse_multiplier, int32_t reverse_shift, int32_t rounding);

/* ---- svdf ---- */

/* rank in [1, 32768], input_zero_point in [-128, 127], state_zero_point in [-32768, 32767],
 * output_zero_point in [-128, 127], clamp_low in [-128, 127], clamp_high in [-128, 127],
 * rounding in [0, 5] */
void fxp_svdf_a8(
    const int8_t *input, /* B I */
    const int8_t *feature_weights, /* F I */
    const int16_t *time_weights, /* F T */
    const int32_t *bias, /* O */
    const int32_t *multiplier, /* 2, in [0, 2147483647] */
    const int32_t *shift, /* 2, in [-31, 30] */
    int16_t *state, /* B S */
    int8_t *output, /* B O */
    int32_t B, int32_t I, int32_t F, int32_t T, int32_t O, int32_t S, int32_t rank,
    int32_t input_zero_point, int32_t state_zero_point, int32_t output_zero_point, int32_t clamp_low,
    int32_t clamp_high, int32_t rounding);

/* rank in [1, 32768], input_zero_point in [-128, 127], state_zero_point in [-128, 127],
 * output_zero_point in [-128, 127], clamp_low in [-128, 127], clamp_high in [-128, 127],
 * rounding in [0, 5] */
void fxp_svdf_a8_s8(
    const int8_t *input, /* B I */
    const int8_t *feature_weights, /* F I */
    const int8_t *time_weights, /* F T */
    const int32_t *bias, /* O */
    const int32_t *multiplier, /* 2, in [0, 2147483647] */
    const int32_t *shift, /* 2, in [-31, 30] */
    int8_t *state, /* B S */
    int8_t *output, /* B O */
    int32_t B, int32_t I, int32_t F, int32_t T, int32_t O, int32_t S, int32_t rank,
    int32_t input_zero_point, int32_t state_zero_point, int32_t output_zero_point, int32_t clamp_low,
    int32_t clamp_high, int32_t rounding);

/* ---- training ---- */

/* input_zero_point in [-128, 127] */
void fxp_channel_bounds_w8(
    const int8_t *weights, /* O K */
    const int32_t *bias, /* O */
    int64_t *output, /* O, in [0, 9223372036854775807] */
    int32_t O, int32_t K, int32_t input_zero_point);

/* input_zero_point in [-128, 127] */
void fxp_channel_bounds_w16(
    const int16_t *weights, /* O K */
    const int32_t *bias, /* O */
    int64_t *output, /* O, in [0, 9223372036854775807] */
    int32_t O, int32_t K, int32_t input_zero_point);

void fxp_channel_sums_w8(
    const int8_t *weights, /* O K */
    int64_t *magnitudes, /* O, in [0, 9223372036854775807] */
    int64_t *totals, /* O */
    int32_t O, int32_t K);

void fxp_channel_sums_w16(
    const int16_t *weights, /* O K */
    int64_t *magnitudes, /* O, in [0, 9223372036854775807] */
    int64_t *totals, /* O */
    int32_t O, int32_t K);

/* zero_point in [-128, 127], clamp_low in [-128, 127] */
void fxp_channel_moments(
    const int8_t *values, /* B C */
    int64_t *moments, /* 3 C, in [-140737488355328, 140737488355328] */
    int32_t B, int32_t C, int32_t zero_point, int32_t clamp_low);

/* count in [1, 2147483648], target_count in [1, 2147483648] */
void fxp_align_channels(
    const int64_t *moments, /* 3 C, in [-140737488355328, 140737488355328] */
    const int64_t *target, /* 3 C, in [-140737488355328, 140737488355328] */
    const int32_t *bias, /* C, in [-2147483647, 2147483647] */
    const int32_t *multiplier, /* C, in [0, 2147483647], 0 or from 1073741824 */
    const int32_t *shift, /* C, in [-31, 30] */
    int32_t *gain, /* G, in [0, 2147483647] */
    int32_t *new_bias, /* C, in [-2147483647, 2147483647] */
    int32_t C, int32_t G, int64_t count, int64_t target_count);

/* seed in [-9223372036854775808, 9223372036854775807], step in [0, 4294967295],
 * direction in [0, 16777215], tensor in [0, 4294967295], first_index in [0, 17179869176],
 * distribution in [0, 2] */
void fxp_fill_direction(
    const int16_t *table, /* T */
    int8_t *z, /* N, in [-127, 127] */
    int32_t T, int32_t N, int64_t seed, int64_t step, int32_t direction, int64_t tensor,
    int64_t first_index, int32_t distribution);

/* seed in [-9223372036854775808, 9223372036854775807], step in [0, 4294967295],
 * tensor in [0, 4294967295], first_index in [0, 17179869176], own in [0, 4096], distribution in [0, 2] */
void fxp_guide_direction(
    const int8_t *z, /* N, in [-127, 127] */
    const int32_t *weights, /* K M, in [-4096, 4096] */
    const int16_t *table, /* T */
    int8_t *output, /* N, in [-127, 127] */
    int32_t N, int32_t K, int32_t M, int32_t T, int64_t seed, int64_t step, int64_t tensor,
    int64_t first_index, int32_t own, int32_t distribution);

/* density in [0, 65536], seed in [-9223372036854775808, 9223372036854775807], step in [0, 4294967295],
 * direction in [0, 16777215], tensor in [0, 4294967295], first_index in [0, 17179869176] */
void fxp_thin_direction(
    const int8_t *z, /* N, in [-127, 127] */
    int8_t *output, /* N, in [-127, 127] */
    int32_t N, int32_t density, int64_t seed, int64_t step, int32_t direction, int64_t tensor,
    int64_t first_index);

void fxp_mask_direction_w8(
    const int8_t *z, /* N, in [-127, 127] */
    const int8_t *weights, /* N, in [-127, 127] */
    const int32_t *low, /* C, in [0, 2147483647] */
    const int32_t *high, /* C, in [0, 2147483647] */
    int8_t *output, /* N, in [-127, 127] */
    int32_t N, int32_t C);

void fxp_mask_direction_w16(
    const int8_t *z, /* N, in [-127, 127] */
    const int16_t *weights, /* N, in [-32767, 32767] */
    const int32_t *low, /* C, in [0, 2147483647] */
    const int32_t *high, /* C, in [0, 2147483647] */
    int8_t *output, /* N, in [-127, 127] */
    int32_t N, int32_t C);

/* index in [0, 63] */
void fxp_add_direction(
    const int8_t *z, /* N, in [-127, 127] */
    const int32_t *scalars, /* M, in [-32768, 32768] */
    const int64_t *before, /* N, in [-1073741824, 1073741824] */
    int64_t *gradient, /* N, in [-1073741824, 1073741824] */
    int32_t N, int32_t M, int32_t index);

/* input_zero_point in [-128, 127] */
void fxp_add_outer_products(
    const int8_t *features, /* B D */
    const int32_t *residuals, /* B N, in [-32768, 32768] */
    const int64_t *before, /* N D, in [-70368744177664, 70368744177664] */
    const int64_t *before_bias, /* N, in [-274877906944, 274877906944] */
    int64_t *gradient, /* N D, in [-70368744177664, 70368744177664] */
    int64_t *bias_gradient, /* N, in [-274877906944, 274877906944] */
    int32_t B, int32_t D, int32_t N, int32_t input_zero_point);

/* seed in [-9223372036854775808, 9223372036854775807], step in [0, 4294967295],
 * tensor in [0, 4294967295], rounding_rule in [0, 2], coarse in [0, 15], first_index in [0, 17179869176] */
void fxp_descend_w8(
    int8_t *weights, /* N, in [-127, 127] */
    const int64_t *gradient, /* N, in [-70368744177664, 70368744177664] */
    const int32_t *multiplier, /* C, in [0, 2147483647] */
    const int32_t *shift, /* C, in [-62, 30] */
    const int32_t *decay, /* C, in [0, 2147483647] */
    int64_t *counts, /* 2 */
    int32_t N, int32_t C, int64_t seed, int64_t step, int64_t tensor, int32_t rounding_rule,
    int32_t coarse, int64_t first_index);

/* seed in [-9223372036854775808, 9223372036854775807], step in [0, 4294967295],
 * tensor in [0, 4294967295], rounding_rule in [0, 2], coarse in [0, 15], first_index in [0, 17179869176] */
void fxp_descend_w16(
    int16_t *weights, /* N, in [-32767, 32767] */
    const int64_t *gradient, /* N, in [-70368744177664, 70368744177664] */
    const int32_t *multiplier, /* C, in [0, 2147483647] */
    const int32_t *shift, /* C, in [-62, 30] */
    const int32_t *decay, /* C, in [0, 2147483647] */
    int64_t *counts, /* 2 */
    int32_t N, int32_t C, int64_t seed, int64_t step, int64_t tensor, int32_t rounding_rule,
    int32_t coarse, int64_t first_index);

/* seed in [-9223372036854775808, 9223372036854775807], step in [0, 4294967295],
 * tensor in [0, 4294967295], rounding_rule in [0, 2], coarse in [0, 15], first_index in [0, 17179869176] */
void fxp_descend_b32(
    int32_t *weights, /* N */
    const int64_t *gradient, /* N, in [-70368744177664, 70368744177664] */
    const int32_t *multiplier, /* C, in [0, 2147483647] */
    const int32_t *shift, /* C, in [-62, 30] */
    const int32_t *decay, /* C, in [0, 0] */
    int64_t *counts, /* 2 */
    int32_t N, int32_t C, int64_t seed, int64_t step, int64_t tensor, int32_t rounding_rule,
    int32_t coarse, int64_t first_index);

/* Returns how many channels' gains were cut to their range. */
int64_t fxp_scale_multipliers(
    const int32_t *multiplier, /* C, in [0, 2147483647], 0 or from 1073741824 */
    const int32_t *shift, /* C, in [-28, 29] */
    const int32_t *gain, /* G */
    int32_t *new_multiplier, /* C, in [0, 2147483647] */
    int32_t *new_shift, /* C, in [-31, 30] */
    int32_t C, int32_t G);

/* seed in [-9223372036854775808, 9223372036854775807], step in [0, 4294967295],
 * direction in [0, 16777215], tensor in [0, 4294967295], sign in [-1, 1], form in [0, 1],
 * distribution in [0, 2], first_index in [0, 34359738360] */
/* Returns how many perturbed values saturated. */
int64_t fxp_perturb_w8(
    const int8_t *weights, /* N, in [-127, 127] */
    const int32_t *epsilon, /* C, in [0, 16777216] */
    const int16_t *table, /* T */
    int8_t *output, /* N, in [-127, 127] */
    int32_t N, int32_t C, int32_t T, int64_t seed, int64_t step, int32_t direction, int64_t tensor,
    int32_t sign, int32_t form, int32_t distribution, int64_t first_index);

/* seed in [-9223372036854775808, 9223372036854775807], step in [0, 4294967295],
 * direction in [0, 16777215], tensor in [0, 4294967295], sign in [-1, 1], form in [0, 1],
 * distribution in [0, 2], first_index in [0, 34359738360] */
/* Returns how many perturbed values saturated. */
int64_t fxp_perturb_w16(
    const int16_t *weights, /* N, in [-32767, 32767] */
    const int32_t *epsilon, /* C, in [0, 16777216] */
    const int16_t *table, /* T */
    int16_t *output, /* N, in [-32767, 32767] */
    int32_t N, int32_t C, int32_t T, int64_t seed, int64_t step, int32_t direction, int64_t tensor,
    int32_t sign, int32_t form, int32_t distribution, int64_t first_index);

/* seed in [-9223372036854775808, 9223372036854775807], step in [0, 4294967295],
 * direction in [0, 16777215], tensor in [0, 4294967295], sign in [-1, 1], form in [0, 1],
 * distribution in [0, 2], first_index in [0, 34359738360] */
/* Returns how many perturbed values saturated. */
int64_t fxp_perturb_b32(
    const int32_t *weights, /* N */
    const int32_t *epsilon, /* C, in [0, 2147483647] */
    const int16_t *table, /* T */
    int32_t *output, /* N */
    int32_t N, int32_t C, int32_t T, int64_t seed, int64_t step, int32_t direction, int64_t tensor,
    int32_t sign, int32_t form, int32_t distribution, int64_t first_index);

/* seed in [-9223372036854775808, 9223372036854775807], step in [0, 4294967295],
 * direction in [0, 16777215], tensor in [0, 4294967295], form in [0, 1], distribution in [0, 2],
 * first_index in [0, 34359738360] */
/* Returns how many perturbed values saturated. */
int64_t fxp_perturb_pair_w8(
    const int8_t *weights, /* N, in [-127, 127] */
    const int32_t *epsilon, /* C, in [0, 16777216] */
    const int16_t *table, /* T */
    int8_t *plus, /* N, in [-127, 127] */
    int8_t *minus, /* N, in [-127, 127] */
    int32_t N, int32_t C, int32_t T, int64_t seed, int64_t step, int32_t direction, int64_t tensor,
    int32_t form, int32_t distribution, int64_t first_index);

/* seed in [-9223372036854775808, 9223372036854775807], step in [0, 4294967295],
 * direction in [0, 16777215], tensor in [0, 4294967295], form in [0, 1], distribution in [0, 2],
 * first_index in [0, 34359738360] */
/* Returns how many perturbed values saturated. */
int64_t fxp_perturb_pair_w16(
    const int16_t *weights, /* N, in [-32767, 32767] */
    const int32_t *epsilon, /* C, in [0, 16777216] */
    const int16_t *table, /* T */
    int16_t *plus, /* N, in [-32767, 32767] */
    int16_t *minus, /* N, in [-32767, 32767] */
    int32_t N, int32_t C, int32_t T, int64_t seed, int64_t step, int32_t direction, int64_t tensor,
    int32_t form, int32_t distribution, int64_t first_index);

/* seed in [-9223372036854775808, 9223372036854775807], step in [0, 4294967295],
 * direction in [0, 16777215], tensor in [0, 4294967295], form in [0, 1], distribution in [0, 2],
 * first_index in [0, 34359738360] */
/* Returns how many perturbed values saturated. */
int64_t fxp_perturb_pair_b32(
    const int32_t *weights, /* N */
    const int32_t *epsilon, /* C, in [0, 2147483647] */
    const int16_t *table, /* T */
    int32_t *plus, /* N */
    int32_t *minus, /* N */
    int32_t N, int32_t C, int32_t T, int64_t seed, int64_t step, int32_t direction, int64_t tensor,
    int32_t form, int32_t distribution, int64_t first_index);

/* sign in [-1, 1] */
/* Returns how many perturbed values saturated. */
int64_t fxp_perturb_along_w8(
    const int8_t *weights, /* N, in [-127, 127] */
    const int32_t *epsilon, /* C, in [0, 16777216] */
    const int8_t *z, /* N, in [-127, 127] */
    int8_t *output, /* N, in [-127, 127] */
    int32_t N, int32_t C, int32_t sign);

/* sign in [-1, 1] */
/* Returns how many perturbed values saturated. */
int64_t fxp_perturb_along_w16(
    const int16_t *weights, /* N, in [-32767, 32767] */
    const int32_t *epsilon, /* C, in [0, 16777216] */
    const int8_t *z, /* N, in [-127, 127] */
    int16_t *output, /* N, in [-32767, 32767] */
    int32_t N, int32_t C, int32_t sign);

/* sign in [-1, 1] */
/* Returns how many perturbed values saturated. */
int64_t fxp_perturb_along_b32(
    const int32_t *weights, /* N */
    const int32_t *epsilon, /* C, in [0, 2147483647] */
    const int8_t *z, /* N, in [-127, 127] */
    int32_t *output, /* N */
    int32_t N, int32_t C, int32_t sign);

/* sign in [-1, 1] */
/* Returns how many perturbed values saturated. */
int64_t fxp_perturb_split(
    const int16_t *weights, /* N, in [-32767, 32767] */
    const int32_t *epsilon, /* C, in [0, 16777216] */
    const int8_t *z, /* N, in [-127, 127] */
    int8_t *output, /* N, in [-127, 127] */
    int32_t N, int32_t C, int32_t sign);

/* places in [0, 10] */
void fxp_scale_differences(
    const int64_t *differences, /* M, in [-281474976710656, 281474976710656] */
    int64_t *typical, /* 1, in [0, 281474976710656] */
    int32_t *scalars, /* M, in [-4096, 4096] */
    int32_t M, int32_t places);

/* seed in [-9223372036854775808, 9223372036854775807], step in [0, 4294967295],
 * tensor in [0, 4294967295], rounding_rule in [0, 2], distribution in [0, 2] */
void fxp_update_w8(
    int8_t *weights, /* N, in [-127, 127] */
    const int32_t *signs, /* M, in [-258, 258] */
    const int32_t *multiplier, /* C, in [0, 2147483647] */
    const int32_t *shift, /* C, in [-62, 30] */
    const int16_t *table, /* T */
    int64_t *counts, /* 2 */
    int32_t N, int32_t M, int32_t C, int32_t T, int64_t seed, int64_t step, int64_t tensor,
    int32_t rounding_rule, int32_t distribution);

/* seed in [-9223372036854775808, 9223372036854775807], step in [0, 4294967295],
 * tensor in [0, 4294967295], rounding_rule in [0, 2], distribution in [0, 2] */
void fxp_update_w16(
    int16_t *weights, /* N, in [-32767, 32767] */
    const int32_t *signs, /* M, in [-258, 258] */
    const int32_t *multiplier, /* C, in [0, 2147483647] */
    const int32_t *shift, /* C, in [-62, 30] */
    const int16_t *table, /* T */
    int64_t *counts, /* 2 */
    int32_t N, int32_t M, int32_t C, int32_t T, int64_t seed, int64_t step, int64_t tensor,
    int32_t rounding_rule, int32_t distribution);

/* seed in [-9223372036854775808, 9223372036854775807], step in [0, 4294967295],
 * tensor in [0, 4294967295], rounding_rule in [0, 2], distribution in [0, 2] */
void fxp_update_b32(
    int32_t *weights, /* N */
    const int32_t *signs, /* M, in [-258, 258] */
    const int32_t *multiplier, /* C, in [0, 2147483647] */
    const int32_t *shift, /* C, in [-62, 30] */
    const int16_t *table, /* T */
    int64_t *counts, /* 2 */
    int32_t N, int32_t M, int32_t C, int32_t T, int64_t seed, int64_t step, int64_t tensor,
    int32_t rounding_rule, int32_t distribution);

/* ---- transpose_conv2d ---- */

/* stride_h in [1, 32768], stride_w in [1, 32768], pad_top in [0, 32768], pad_left in [0, 32768],
 * input_zero_point in [-128, 127], output_zero_point in [-128, 127], clamp_low in [-128, 127],
 * clamp_high in [-128, 127], rounding in [0, 5] */
void fxp_transpose_conv2d_a8w8(
    const int8_t *input, /* B H W C */
    const int8_t *weights, /* O KH KW C */
    const int32_t *bias, /* O */
    const int32_t *multiplier, /* O, in [0, 2147483647] */
    const int32_t *shift, /* O, in [-31, 30] */
    int8_t *output, /* B OH OW O */
    int32_t B, int32_t H, int32_t W, int32_t C, int32_t O, int32_t KH, int32_t KW, int32_t OH, int32_t OW,
    int32_t stride_h, int32_t stride_w, int32_t pad_top, int32_t pad_left, int32_t input_zero_point,
    int32_t output_zero_point, int32_t clamp_low, int32_t clamp_high, int32_t rounding);

/* stride_h in [1, 32768], stride_w in [1, 32768], pad_top in [0, 32768], pad_left in [0, 32768],
 * input_zero_point in [-128, 127], output_zero_point in [-128, 127], clamp_low in [-128, 127],
 * clamp_high in [-128, 127], rounding in [0, 5] */
void fxp_transpose_conv2d_a8w16(
    const int8_t *input, /* B H W C */
    const int16_t *weights, /* O KH KW C */
    const int32_t *bias, /* O */
    const int32_t *multiplier, /* O, in [0, 2147483647] */
    const int32_t *shift, /* O, in [-31, 30] */
    int8_t *output, /* B OH OW O */
    int32_t B, int32_t H, int32_t W, int32_t C, int32_t O, int32_t KH, int32_t KW, int32_t OH, int32_t OW,
    int32_t stride_h, int32_t stride_w, int32_t pad_top, int32_t pad_left, int32_t input_zero_point,
    int32_t output_zero_point, int32_t clamp_low, int32_t clamp_high, int32_t rounding);

/* stride_h in [1, 32768], stride_w in [1, 32768], pad_top in [0, 32768], pad_left in [0, 32768],
 * clamp_low in [-32768, 32767], clamp_high in [-32768, 32767], rounding in [0, 5] */
void fxp_transpose_conv2d_a16w8(
    const int16_t *input, /* B H W C */
    const int8_t *weights, /* O KH KW C */
    const int64_t *bias, /* O, in [-70368744177664, 70368744177664] */
    const int32_t *multiplier, /* O, in [0, 2147483647] */
    const int32_t *shift, /* O, in [-31, 30] */
    int16_t *output, /* B OH OW O */
    int32_t B, int32_t H, int32_t W, int32_t C, int32_t O, int32_t KH, int32_t KW, int32_t OH, int32_t OW,
    int32_t stride_h, int32_t stride_w, int32_t pad_top, int32_t pad_left, int32_t clamp_low,
    int32_t clamp_high, int32_t rounding);

#ifdef __cplusplus
}
#endif

#endif
