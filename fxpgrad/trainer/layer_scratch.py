"""Room for one perturbed layer, and how large layers are cut."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.program.execute import Executor
from fxpgrad.program.program import Call
from fxpgrad.trainer.composer import SLAB, slabs_within
from fxpgrad.trainer.trainable import Trainable
from fxpgrad_kernels.spec import Records, aligned_zeros

Trained = Mapping[str, Sequence[Trainable]]
_LINE = 64
_SLAB = 2**15  # weights: with both perturbed copies and panels they stay in a second-level cache


class LayerScratch:
    """Room for one perturbed layer: a slab of its weights, its bias, and what its kernel reads of it.

    Where no weights are trained, the kernel reads the executor's: the room holds a record of the rest.
    """

    def __init__(self, executor: Executor, trained: Trained) -> None:
        self._bytes = aligned_zeros(
            max(
                (
                    _lined(_scratch_bytes(item, slabs_of(call, item)) for item in trained[call.name])
                    + _lined(size for _, size in _scaled_bytes(executor, call, trained[call.name]))
                    + _lined(
                        array.nbytes for array in _new_arrays(executor, call, trained[call.name]).values()
                    )
                    for call in executor.program.calls
                    if call.name in trained
                ),
                default=0,
            ),
            "uint8",
        )

    @property
    def nbytes(self) -> int:
        """Bytes of the room."""
        return self._bytes.nbytes

    def views(
        self, executor: Executor, call: Call, items: Sequence[Trainable]
    ) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
        """Return flat places for one layer's values by role and for its prepared arrays by name.

        Where no weights are among the values, the only prepared array is the record.
        """
        offset = 0

        def take(nbytes: int, dtype: np.dtype[Any]) -> NDArray[Any]:
            nonlocal offset
            start, offset = offset, offset + _lined([nbytes])
            return self._bytes[start : start + nbytes].view(dtype)

        values = {
            item.role: take(_scratch_bytes(item, slabs_of(call, item)), item.read_dtype) for item in items
        }
        for role, size in _scaled_bytes(executor, call, items):
            values[role] = take(size, np.dtype("int32"))
        prepared = _new_arrays(executor, call, items)
        return values, {name: take(array.nbytes, array.dtype) for name, array in prepared.items()}


def _new_arrays(executor: Executor, call: Call, items: Sequence[Trainable]) -> dict[str, NDArray[Any]]:
    """Return those of the executor's prepared arrays that differ in a perturbed layer."""
    prepared, records = executor.prepared[call.name], records_of(call, items)
    return prepared if records is None else {records.array: prepared[records.array]}


def records_of(call: Call, items: Sequence[Trainable]) -> Records | None:
    """Return how the call is prepared without its weights; None where they are trained."""
    weights_stay = all(item.role != "weights" for item in items)
    return call.spec.preparation.records if call.spec.preparation and weights_stay else None


def _scaled_bytes(executor: Executor, call: Call, items: Sequence[Trainable]) -> list[tuple[str, int]]:
    """Return the requantization constants of a call that gains change, with their sizes."""
    constants = executor.program.constants
    roles = ("multiplier", "shift") if any(item.role == "gain" for item in items) else ()
    return [(role, constants[call.constants[role]].data.nbytes) for role in roles]


def _lined(sizes: Iterable[int]) -> int:
    return sum(-(-size // _LINE) * _LINE for size in sizes)


def slabs_of(call: Call, item: Trainable) -> list[slice]:
    """Return the runs of channels that are perturbed and prepared one after the other, still near."""
    channels = item.values.shape[0]
    part = 0 if call.spec.preparation is None else call.spec.preparation.part
    if item.role != "weights" or part == 0 or call.parameters.get("groups", 1) != 1:
        return [slice(0, channels)]
    return slabs_within(item.values.shape, _SLAB if item.parts is None else SLAB, part)


def _scratch_bytes(item: Trainable, slabs: Sequence[slice]) -> int:
    return item.values[slabs[0]].size * item.read_dtype.itemsize
