"""Gains: what a layer's requantization multipliers are trained by, one integer a channel, 2**30 for 1.

A perturbed or trained gain becomes an ordinary (multiplier, shift) just before its layer is prepared.
See `contract.md`, and `gain_ref.py` for the definition.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.spec import KernelSpec, array
from fxpgrad_kernels.training.gain_ref import HIGHEST, LOWEST, ONE, scale_multipliers_ref

__all__ = ["HIGHEST", "LOWEST", "ONE", "scale_multipliers"]

_LOWEST, _HIGHEST = np.int64(LOWEST), np.int64(HIGHEST)
_FULL = np.int64(1 << 31)


@device
def _bits_above_31(product):
    """Return bit_length(product) - 31 of an int64 in [2**57, 2**62)."""
    excess = np.int64(26)
    while product >> (excess + np.int64(31)) > np.int64(0):
        excess += np.int64(1)
    return excess


@kernel
def scale_multipliers(multiplier, shift, gain, new_multiplier, new_shift):
    """Write multiplier * gain / 2**30 with its shift, normalized anew; return how many gains were cut."""
    cut = np.int64(0)
    for c in range(multiplier.size):
        wanted = np.int64(gain[c if gain.size > 1 else 0])
        kept = min(max(wanted, _LOWEST), _HIGHEST)
        cut += np.int64(kept != wanted)
        product = np.int64(multiplier[c]) * kept
        if product == np.int64(0):
            new_multiplier[c] = np.int32(0)
            new_shift[c] = np.int32(0)
            continue
        excess = _bits_above_31(product)
        value = (product + (np.int64(1) << (excess - np.int64(1)))) >> excess
        if value == _FULL:
            value >>= np.int64(1)
            excess += np.int64(1)
        new_multiplier[c] = np.int32(value)
        new_shift[c] = np.int32(np.int64(shift[c]) + excess - np.int64(30))
    return cut


SPECS = (
    KernelSpec(
        "scale_multipliers",
        "training",
        scale_multipliers,
        scale_multipliers_ref,
        (
            array("multiplier", "input", "int32", "C", 0, least=2**30),
            array("shift", "input", "int32", "C", -28, 29),
            array("gain", "input", "int32", "G"),
            array("new_multiplier", "output", "int32", "C", 0),
            array("new_shift", "output", "int32", "C", -31, 30),
        ),
        returned="how many channels' gains were cut to their range",
    ),
)
