"""A sum of two scaled int8 values as one straight line, where that gives the same bits: see `contract.md`.

Rounded as they are, both operands and their sum lie so near to a * slope_a + b * slope_b + offset that
some choice of these numbers nearly always rounds to the same result for all 65,536 pairs of values.
`find_line` looks for one and tries every pair: what it says is proved for this very layer.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.arithmetic.requantize import requantize
from fxpgrad_kernels.elementwise.linear_blocks import BLOCK, HALF_BITS, linear_blocks
from fxpgrad_kernels.jit import device

__all__ = ["LINE", "SCALED", "find_line", "linear_sum"]

LINE = 8  # numbers of a line: usable, slopes of a and b and offset in halves, shift
_VALUES = 256
SCALED = 2 * _VALUES + 6  # what the values of a and b come to, slopes, the tightest pairs
_TRIALS = 12
_GREATEST_FRACTION = 37  # the offset's upper half is below 2**30
_SLOPE_BITS = 30


@device
def _bits(value):
    """Return the number of bits of a value that is not negative."""
    count = np.int64(0)
    while value >> count > np.int64(0):
        count += np.int64(1)
    return count


@device
def _scaled_by(value, exponent):
    """Return value * 2**exponent to nearest; at most 62 bits come out."""
    if exponent >= np.int64(0):
        return value << exponent
    if exponent < np.int64(-62):
        return np.int64(0)
    return (value + (np.int64(1) << (-exponent - np.int64(1)))) >> -exponent


@device
def _effective(multiplier, rounding):
    """Return the multiplier that a formula really takes: WIDE_16 drops its lower half."""
    m = np.int64(multiplier)
    if rounding == np.int64(4):
        m = min((m + np.int64(1 << 15)) >> np.int64(16), np.int64(0x7FFF)) << np.int64(16)
    return m


@device
def _room(slope, offset, fraction, scaled, multiplier, shift, zero_point, low, high, rounding, tight):
    """Try all pairs of values; return by how much the offset must and may grow (least, most).

    tight: int64 [4], written: the pair of values that asks for the least, then the one for the most.
    """
    least, most = -(np.int64(1) << np.int64(60)), np.int64(1) << np.int64(60)
    for i in range(_VALUES):
        value = np.int64(i - 128) * slope[0] + np.int64(-128) * slope[1] + offset
        for j in range(_VALUES):
            total = requantize(scaled[i] + scaled[_VALUES + j], multiplier, shift, rounding)
            wanted = min(max(total + zero_point, low), high)
            under = (wanted << fraction) - value
            over = under + (np.int64(1) << fraction) - np.int64(1)
            if wanted > low and under > least:
                least, tight[0], tight[1] = under, np.int64(i), np.int64(j)
            if wanted < high and over < most:
                most, tight[2], tight[3] = over, np.int64(i), np.int64(j)
            value += slope[1]
    return least, most


@device
def _away(numerator, denominator):
    """Return the quotient rounded away from zero; the denominator is above zero."""
    size = (abs(numerator) + denominator - np.int64(1)) // denominator
    return size if numerator >= np.int64(0) else -size


@device
def _turn(slope, tight, gap):
    """Change the slopes a little, so that the two tightest pairs of values come apart by `gap`."""
    a, b = tight[0] - tight[2], tight[1] - tight[3]
    length = a * a + b * b
    if length > np.int64(0):
        slope[0] += _away(gap * a, length)
        slope[1] += _away(gap * b, length)


@device
def find_line(
    multiplier, shift, scaled, line, zero_point_a, zero_point_b, zero_point, left_shift, low, high, sign,
    operand_rounding, rounding,
):  # fmt: skip
    """Look for slopes and an offset that give the bits of the sum for every pair of values.

    multiplier, shift: int32 [3]; scaled: int64 [SCALED], its first 512 entries what each value of a and of
    b comes to (b with its `sign`), the rest scratch; line: int32 [8], written, its first entry 0 if
    nothing was found.
    """
    slope, tight = scaled[2 * _VALUES : 2 * _VALUES + 2], scaled[2 * _VALUES + 2 : SCALED]
    line[:] = np.int32(0)
    last = _effective(multiplier[2], rounding)
    product_a = _effective(multiplier[0], operand_rounding) * last
    product_b = _effective(multiplier[1], operand_rounding) * last
    exponent = np.int64(left_shift) + np.int64(shift[2]) - np.int64(62)
    exponent_a, exponent_b = exponent + np.int64(shift[0]), exponent + np.int64(shift[1])
    size = max(_bits(product_a) + exponent_a, _bits(product_b) + exponent_b)
    fraction = min(np.int64(_SLOPE_BITS) - size, np.int64(_GREATEST_FRACTION))
    if fraction <= np.int64(HALF_BITS):
        return
    slope[0] = _scaled_by(product_a, exponent_a + fraction)
    slope[1] = sign * _scaled_by(product_b, exponent_b + fraction)
    offset = (np.int64(zero_point) << fraction) + (np.int64(1) << (fraction - np.int64(1)))
    offset -= slope[0] * np.int64(zero_point_a) + slope[1] * np.int64(zero_point_b)
    for _ in range(_TRIALS):
        least, most = _room(
            slope, offset, fraction, scaled, multiplier[2], shift[2], np.int64(zero_point), np.int64(low),
            np.int64(high), rounding, tight,
        )  # fmt: skip
        if least <= most:
            offset += min(max(np.int64(0), least), most)
            _write(line, slope, offset, fraction)
            return
        _turn(slope, tight, least - most)


@device
def _write(line, slope, offset, fraction):
    """Write a line in halves, unless one of them does not fit."""
    mask = np.int64((1 << HALF_BITS) - 1)
    limit = np.int64(1 << _SLOPE_BITS)
    if max(abs(slope[0]), abs(slope[1])) >= limit or abs(offset) >= limit << np.int64(HALF_BITS):
        return
    for k in range(2):
        line[1 + 2 * k] = np.int32(slope[k] >> np.int64(HALF_BITS))
        line[2 + 2 * k] = np.int32(slope[k] & mask)
    line[5] = np.int32(offset >> np.int64(HALF_BITS))
    line[6] = np.int32(offset & mask)
    line[7] = np.int32(fraction - np.int64(HALF_BITS))
    line[0] = np.int32(1)


@device
def linear_sum(input_a, input_b, line, output, low, high):
    """Write every output along `line`."""
    size = np.int64(output.size)
    blocks = size // np.int64(BLOCK)
    linear_blocks(input_a, input_b, line, output, blocks, np.int64(low), np.int64(high))
    done = blocks * np.int64(BLOCK)
    if done < size and blocks > np.int64(0):  # the last block once more, moved to the end
        start = size - np.int64(BLOCK)
        linear_blocks(
            input_a[start:], input_b[start:], line, output[start:], np.int64(1), np.int64(low), np.int64(high)
        )
        return
    slope_a = (np.int64(line[1]) << np.int64(HALF_BITS)) + np.int64(line[2])
    slope_b = (np.int64(line[3]) << np.int64(HALF_BITS)) + np.int64(line[4])
    offset = (np.int64(line[5]) << np.int64(HALF_BITS)) + np.int64(line[6])
    fraction = np.int64(line[7]) + np.int64(HALF_BITS)
    for i in range(done, size):
        value = (np.int64(input_a[i]) * slope_a + np.int64(input_b[i]) * slope_b + offset) >> fraction
        output[i] = np.int8(min(max(value, np.int64(low)), np.int64(high)))
