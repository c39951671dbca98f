"""What is computed once from a layer's constants: its panels, and for each panel a record of channels."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.arithmetic.float32_rounding import float32_mantissa
from fxpgrad_kernels.gemm.ends import (
    COLUMNS,
    FIELDS,
    MAGNITUDE,
    MULTIPLIER,
    NOTES,
    ROUND_AWAY_TWICE,
    ROUND_FLOAT,
    ROUND_ONCE,
    ROUND_UP_TWICE,
    SHIFT,
    START,
    START_HIGH,
    STORE_SUMS,
    SUM,
    SUM_HIGH,
)
from fxpgrad_kernels.gemm.pack import HIGH_BYTE, LOW_BYTE, WHOLE, pack_panel, sum_columns
from fxpgrad_kernels.jit import device

RECORD = FIELDS * COLUMNS
NO_ROUNDING = -1

_CHUNK = 2**15  # int16 weights whose sum of magnitudes fits int32
_BEYOND = np.int64(2**31)
_MOST = np.int64(2**24)  # magnitudes whose products with -128 no longer fit int32
_SAFE_PAIRS_OF_BYTES = 65535  # each at most 2 * 128 * 128


def panel_elements(columns, num_segments, segment_length, groups=1):
    """Return the elements of `panels` and `channels` of a layer of `columns` channels."""
    panels = groups * -(-(columns // groups) // COLUMNS)
    size = num_segments * (segment_length + segment_length % 2) * COLUMNS
    return {"panels": panels * size, "channels": panels * RECORD}


@device
def _sum_weights(row):
    """Return (sum, sum of magnitudes) of one channel's weights."""
    total = np.int64(0)
    magnitude = np.int64(0)
    for start in range(0, row.size, _CHUNK):
        chunk = row[start : min(start + _CHUNK, row.size)]
        part = np.int32(0)
        size = np.int32(0)
        for k in range(chunk.size):
            weight = np.int32(chunk[k])
            part = np.int32(part + weight)
            size = np.int32(size + np.int32(abs(weight)))
        total += np.int64(part)
        magnitude += np.int64(size)
    return total, magnitude


@device
def _sum_channels(weights, num_columns, panel, record):
    """Write the sum and the sum of magnitudes of each channel's weights into the panel's record.

    panel: packed, or empty if it does not hold the weights themselves.
    """
    length = weights.size // num_columns
    packed = panel.size > 0 and panel.size < _CHUNK * COLUMNS
    if packed:
        sum_columns(panel, record[SUM * COLUMNS :], record[MAGNITUDE * COLUMNS :])
    for column in range(COLUMNS):
        total, magnitude = np.int64(0), np.int64(0)
        if packed:
            total = np.int64(record[SUM * COLUMNS + column])
            magnitude = np.int64(record[MAGNITUDE * COLUMNS + column])
        elif column < num_columns:
            total, magnitude = _sum_weights(weights[column * length : (column + 1) * length])
        record[SUM * COLUMNS + column] = np.int32(total)
        record[SUM_HIGH * COLUMNS + column] = np.int32(total >> np.int64(32))
        record[MAGNITUDE * COLUMNS + column] = np.int32(min(magnitude, _MOST))


@device
def _fold_column(bias, input_zero_point, column, record):
    """Write the folded bias of one channel; return a bound on every partial sum's magnitude.

    The bound is exact below 2**31, and at least that where it is not.
    """
    low = np.int64(record[SUM * COLUMNS + column]) & np.int64(0xFFFFFFFF)
    total = (np.int64(record[SUM_HIGH * COLUMNS + column]) << np.int64(32)) | low
    folded = np.int64(bias) - input_zero_point * total
    record[START * COLUMNS + column] = np.int32(folded)
    record[START_HIGH * COLUMNS + column] = np.int32(folded >> np.int64(32))
    return np.int64(128) * np.int64(record[MAGNITUDE * COLUMNS + column]) + abs(folded)


@device
def _may_round_once(bound, multiplier, shift, rounding):
    """Whether one rounded shift of the product gives the result, and the result fits int32."""
    least = min(bound, _BEYOND)
    if rounding == np.int64(4) and bound >= _BEYOND:
        return False
    if rounding == np.int64(2) or rounding == np.int64(4):
        return ((least * multiplier) >> (np.int64(31) - shift)) < _BEYOND - np.int64(1)
    return shift >= np.int64(0) and least < (_BEYOND >> shift)


@device
def _may_round_twice(bound, multiplier, shift):
    """Whether no int32 overflows: the high half of the product plus half of what the shift drops."""
    if shift > np.int64(0):
        return False
    high = (min(bound, _BEYOND) * multiplier + np.int64(1 << 30)) >> np.int64(31)
    return high + ((np.int64(1) << -shift) >> np.int64(1)) < _BEYOND


@device
def _choose_end(twice, once, as_float, rounding):
    """Return how a panel ends, given which ends this rounding and all of its channels allow."""
    if as_float:
        return np.int32(ROUND_FLOAT)
    if twice:
        return np.int32(ROUND_UP_TWICE if rounding == np.int64(1) else ROUND_AWAY_TWICE)
    return np.int32(ROUND_ONCE if once else STORE_SUMS)


@device
def _safe_pairs(weights):
    """Return how many pairs of the largest of these weights, times -128, always fit int32."""
    largest = np.int32(1)
    for k in range(weights.size):
        largest = max(largest, np.int32(abs(np.int32(weights[k]))))
    return np.int32((_BEYOND - np.int64(1)) // (np.int64(256) * np.int64(largest)))


@device
def _finish_column(multiplier, shift, end, rounding, column, record):
    """Write the multiplier and the shift of one channel in the form that `end` takes."""
    m = np.int64(multiplier)
    right = -np.int64(shift)
    if end == ROUND_ONCE:
        right += np.int64(31)
        if rounding == np.int64(4):
            m = min((m + np.int64(1 << 15)) >> np.int64(16), np.int64(0x7FFF)) << np.int64(16)
    elif end == ROUND_FLOAT:
        right += np.int64(24)
        m = float32_mantissa(m)
    record[MULTIPLIER * COLUMNS + column] = np.int32(m)
    record[SHIFT * COLUMNS + column] = np.int32(right)


@device
def _fold_channels(weights, bias, multiplier, shift, input_zero_point, rounding, split, record):
    """Write all of a panel's record that does not lie in its weights' sums, which the record holds."""
    num_columns = bias.size
    for i in range(SUM * COLUMNS):
        record[i] = np.int32(0)
    bound = np.int64(0)
    as_float = rounding == np.int64(5)
    once = rounding != np.int64(NO_ROUNDING) and not as_float
    twice = once and rounding != np.int64(2) and rounding != np.int64(4)
    for column in range(num_columns):
        least = _fold_column(bias[column], input_zero_point, column, record)
        bound = max(bound, least)
        if as_float or once or twice:
            m = np.int64(multiplier[column])
            s = np.int64(shift[column])
            twice = twice and _may_round_twice(least, m, s)
            once = once and _may_round_once(least, m, s, rounding)
            as_float = as_float and s <= np.int64(0) and least <= np.int64(2**24)
    end = _choose_end(twice, once, as_float, rounding)
    for column in range(COLUMNS):
        if column >= num_columns or end == STORE_SUMS:
            record[SHIFT * COLUMNS + column] = np.int32(24)  # a shift that no end minds
        else:
            _finish_column(multiplier[column], shift[column], end, rounding, column, record)
    fits = bound < _BEYOND
    record[NOTES * COLUMNS] = end
    record[NOTES * COLUMNS + 1] = np.int32(fits)
    if split:
        record[NOTES * COLUMNS + 2] = np.int32(_SAFE_PAIRS_OF_BYTES)
    else:
        record[NOTES * COLUMNS + 2] = np.int32(2**30) if fits else _safe_pairs(weights)


@device
def prepare_channels(weights, bias, multiplier, shift, input_zero_point, rounding, split, panel, record):
    """Write the record of a panel: what its weights sum to, folded biases, and how sums become outputs.

    weights, bias, multiplier, shift: of this panel's channels only; panel: packed; split: it holds the
    weights' bytes, not themselves; record: int32 [FIELDS * COLUMNS]; rounding: a code of
    `profiles.Rounding`, or NO_ROUNDING for sums that are stored as they are.
    """
    _sum_channels(weights, bias.size, panel[:0] if split else panel, record)
    _fold_channels(weights, bias, multiplier, shift, input_zero_point, rounding, split, record)


@device
def prepare_layer(
    weights, bias, multiplier, shift, groups, num_segments, segment_length, input_zero_point, rounding,
    panels, channels,
):  # fmt: skip
    """Write all panels and records of a layer. weights: flat [O * num_segments * segment_length].

    Panels narrower than the weights take their high bytes, then their low bytes.
    """
    group_columns = bias.size // groups
    length = num_segments * segment_length
    split = panels.itemsize < weights.itemsize
    size = (2 if split else 1) * num_segments * (segment_length + (segment_length & 1)) * COLUMNS
    number = np.int64(0)
    for group in range(groups):
        for first in range(0, group_columns, COLUMNS):
            column = group * group_columns + first
            count = min(COLUMNS, group_columns - first)
            rows = weights[column * length : (column + count) * length]
            panel = panels[number * size : (number + 1) * size]
            record = channels[number * RECORD : (number + 1) * RECORD]
            number += 1
            if split:
                high, low = panel[: size >> 1], panel[size >> 1 :]
                pack_panel(rows, count, num_segments, segment_length, np.int64(HIGH_BYTE), high)
                pack_panel(rows, count, num_segments, segment_length, np.int64(LOW_BYTE), low)
            else:
                pack_panel(rows, count, num_segments, segment_length, np.int64(WHOLE), panel)
            prepare_channels(
                rows, bias[column : column + count], multiplier[column : column + count],
                shift[column : column + count], input_zero_point, rounding, split, panel, record,
            )  # fmt: skip


@device
def prepare_records(
    weights, bias, multiplier, shift, groups, input_zero_point, rounding, split, channels, new_channels
):
    """Write the records of other biases, multipliers and shifts with the same weights.

    channels: the records that `prepare_layer` has written; split: as its panels are.
    """
    group_columns = bias.size // groups
    length = weights.size // bias.size
    number = np.int64(0)
    for group in range(groups):
        for first in range(0, group_columns, COLUMNS):
            column = group * group_columns + first
            end = column + min(COLUMNS, group_columns - first)
            record = new_channels[number * RECORD : (number + 1) * RECORD]
            kept = channels[number * RECORD : (number + 1) * RECORD]
            number += 1
            for i in range(SUM * COLUMNS, RECORD):
                record[i] = kept[i]
            _fold_channels(
                weights[column * length : end * length], bias[column:end], multiplier[column:end],
                shift[column:end], input_zero_point, rounding, split, record,
            )  # fmt: skip
