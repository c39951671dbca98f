"""Which C ports may write their output over an input: those that take one element after the other."""

from __future__ import annotations

import functools

from fxpgrad_kernels.registry import kernels

# Kernels that copy their input as it is: nothing, where the output has the input's place.
COPIES = frozenset(("reshape_a8", "reshape_a16", "reshape_a32"))
# Their ports read element i of every input before they write element i, and nothing before it afterwards.
_OPERATORS = frozenset(("activation", "elementwise", "lookup", "lookup_pair", "quantization"))


@functools.cache
def in_place_kernels() -> frozenset[str]:
    """Return the kernels whose C port may write over an input of the output's type and size."""
    found = {
        name
        for name, spec in kernels().items()
        if spec.operator in _OPERATORS
        and any(a.dtype == spec.of_role("output")[0].dtype for a in spec.of_role("input"))
    }
    return COPIES | found
