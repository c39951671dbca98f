/* Philox4x32-10 and what is drawn from its bits. See contract.md. */
#include "fxp_random.h"

fxp_stream fxp_stream_of(int32_t purpose, int64_t seed, int64_t step, int32_t direction, int64_t tensor) {
    const uint64_t pattern = (uint64_t)seed;
    const fxp_stream stream = {
        (uint32_t)pattern, (uint32_t)(pattern >> 32), (uint32_t)tensor,
        ((uint32_t)purpose << 24) | (uint32_t)direction, (uint32_t)step};
    return stream;
}

void fxp_draw_block(uint32_t words[4], const fxp_stream *stream, int64_t block) {
    uint32_t a = (uint32_t)block, b = stream->tensor, c = stream->number, d = stream->step;
    uint32_t key_low = stream->key_low, key_high = stream->key_high;
    for (int32_t round = 0; round < 10; round++) {
        const uint64_t first = (uint64_t)a * 0xD2511F53u;
        const uint64_t second = (uint64_t)c * 0xCD9E8D57u;
        a = (uint32_t)(second >> 32) ^ b ^ key_low;
        b = (uint32_t)second;
        c = (uint32_t)(first >> 32) ^ d ^ key_high;
        d = (uint32_t)first;
        key_low += 0x9E3779B9u;
        key_high += 0xBB67AE85u;
    }
    words[0] = a;
    words[1] = b;
    words[2] = c;
    words[3] = d;
}

/* z for a 16-bit uniform; the table goes by the distance from the nearer end of the uniform's range. */
static int8_t gaussian(const int16_t *table, int32_t uniform) {
    const int32_t upper = uniform >> 15;
    const int32_t distance = upper ? 65535 - uniform : uniform;
    const int32_t shared = (distance >> 4) + 240;
    const int32_t entry = table[distance < shared ? distance : shared];
    const int32_t negative = (entry + (distance & 15)) >> 8;
    return (int8_t)(upper ? -negative : negative);
}

void fxp_fill_directions(
    const int16_t *table, int8_t *z, int32_t count, int64_t first, const fxp_stream *stream,
    int32_t distribution) {
    uint32_t words[4];
    if (distribution == FXP_RADEMACHER) {
        int32_t place = (int32_t)(first & 127);
        fxp_draw_block(words, stream, first >> 7);
        for (int32_t i = 0; i < count; i++, place++) {
            if (place == 128) {
                place = 0;
                fxp_draw_block(words, stream, (first + i) >> 7);
            }
            z[i] = (words[place >> 5] >> (place & 31)) & 1 ? 32 : -32;
        }
        return;
    }
    int32_t place = (int32_t)(first & 7);
    fxp_draw_block(words, stream, first >> 3);
    for (int32_t i = 0; i < count; i++, place++) {
        if (place == 8) {
            place = 0;
            fxp_draw_block(words, stream, (first + i) >> 3);
        }
        z[i] = gaussian(table, (int32_t)((words[place >> 1] >> (16 * (place & 1))) & 0xFFFF));
    }
}
