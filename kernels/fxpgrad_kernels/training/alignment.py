"""Alignment: moments of a layer's output by channel, and the gain and bias that give it other ones.

See `contract.md`, and `alignment_ref.py` for the definition.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.spec import KernelSpec, array, parameter
from fxpgrad_kernels.training.alignment_ref import (
    GREATEST_GAIN,
    LEAST_ACTIVE,
    LEAST_DEVIATION,
    LEAST_GAIN,
    align_channels_ref,
    channel_moments_ref,
)
from fxpgrad_kernels.training.gain_ref import ONE

_ONE, _LEAST, _GREATEST = np.int64(ONE), np.int64(LEAST_GAIN), np.int64(GREATEST_GAIN)
_FLAT, _FEW = np.int64(LEAST_DEVIATION), np.int64(LEAST_ACTIVE)
_LIMIT = np.int64(2**31 - 1)


@kernel
def channel_moments(values, moments, zero_point, clamp_low):
    """Write by channel the sum of q - zero_point, of its square, and how many q lie above clamp_low."""
    moments[:] = np.int64(0)
    for row in range(values.shape[0]):
        for c in range(values.shape[1]):
            q = np.int64(values[row, c])
            centred = q - zero_point
            moments[0, c] += centred
            moments[1, c] += centred * centred
            moments[2, c] += np.int64(q > clamp_low)


@device
def _root(value):
    """Return the whole square root of an int64 in [0, 2**34)."""
    root = np.int64(0)
    for place in range(17):
        tried = root | (np.int64(1) << np.int64(16 - place))
        if tried * tried <= value:
            root = tried
    return root


@device
def _mean(moments, c, count):
    return (moments[0, c] << np.int64(8)) // count


@device
def _deviation(moments, c, count):
    mean = _mean(moments, c, count)
    return _root(max((moments[1, c] << np.int64(16)) // count - mean * mean, np.int64(0)))


@kernel
def align_channels(moments, target, bias, multiplier, shift, gain, new_bias, count, target_count):
    """Write the gains and biases with which a layer's output has the mean and deviation of the target."""
    gain[:] = np.int32(_ONE)
    for c in range(bias.size):
        new_bias[c] = bias[c]
        factor, left = np.int64(multiplier[c]), np.int64(shift[c])
        if factor >> max(np.int64(1) - left, np.int64(0)) < np.int64(255) or left > np.int64(29):
            continue
        wanted, found = _deviation(target, c, target_count), _deviation(moments, c, count)
        g = _ONE
        if gain.size > 1 and wanted >= _FLAT and found >= _FLAT:
            g = min(max((wanted << np.int64(30)) // found, _LEAST), _GREATEST)
            gain[c] = np.int32(g)
        active = max((moments[2, c] << np.int64(8)) // count, _FEW)
        off = _mean(target, c, target_count) - ((_mean(moments, c, count) * g) >> np.int64(30))
        off = (off << np.int64(8)) // active
        moved = ((((off << np.int64(31)) // factor) << np.int64(30)) // g) << np.int64(8)
        right = left + np.int64(16)
        moved = moved >> right if right >= np.int64(0) else moved << -right
        new_bias[c] = np.int32(min(max(np.int64(bias[c]) + moved, -_LIMIT), _LIMIT))


_MOMENTS = array("moments", "input", "int64", "3 C", -(2**47), 2**47)

SPECS = (
    KernelSpec(
        "channel_moments",
        "training",
        channel_moments,
        channel_moments_ref,
        (
            array("values", "input", "int8", "B C"),
            array("moments", "output", "int64", "3 C", -(2**47), 2**47),
            parameter("zero_point", -128, 127),
            parameter("clamp_low", -128, 127),
        ),
    ),
    KernelSpec(
        "align_channels",
        "training",
        align_channels,
        align_channels_ref,
        (
            _MOMENTS,
            array("target", "input", "int64", "3 C", -(2**47), 2**47),
            array("bias", "input", "int32", "C", -(2**31) + 1),
            array("multiplier", "input", "int32", "C", 0, least=2**30),
            array("shift", "input", "int32", "C", -31, 30),
            array("gain", "output", "int32", "G", 0),
            array("new_bias", "output", "int32", "C", -(2**31) + 1),
            parameter("count", 1, 2**31),
            parameter("target_count", 1, 2**31),
        ),
    ),
)
