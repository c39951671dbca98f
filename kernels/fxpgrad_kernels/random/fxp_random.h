/* The counter-based generator: any part of any stream is drawn alone, from its names. See contract.md. */
#ifndef FXP_RANDOM_H
#define FXP_RANDOM_H

#include <stdint.h>

/* What z is drawn from. */
enum { FXP_GAUSSIAN = 0, FXP_RADEMACHER = 1, FXP_GAUSSIAN_PAPER = 2 };

/* What a stream is for. */
enum { FXP_FOR_DIRECTION = 0, FXP_FOR_ROUNDING = 1, FXP_FOR_THINNING = 2 };

/* How many values ports draw at a time, into an array of their own on the stack; a multiple of 8. */
enum { FXP_RUN = 32 };

/* The words of counter and key that all blocks of a stream share. */
typedef struct {
    uint32_t key_low, key_high, tensor, number, step;
} fxp_stream;

fxp_stream fxp_stream_of(int32_t purpose, int64_t seed, int64_t step, int32_t direction, int64_t tensor);

/* The 128 random bits of one block, word 0 first. block in [0, 2^32). */
void fxp_draw_block(uint32_t words[4], const fxp_stream *stream, int64_t block);

/* The values of a direction at the indices first, first + 1, ...; `table` is of the distribution. */
void fxp_fill_directions(
    const int16_t *table, int8_t *z, int32_t count, int64_t first, const fxp_stream *stream,
    int32_t distribution);

#endif
