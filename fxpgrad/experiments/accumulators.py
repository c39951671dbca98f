"""What an accumulator of fewer bits would do to a model: proofs, exact emulation, counts, accuracy.

The order of additions and what "wrap" and "saturate" mean are in
`kernels/fxpgrad_kernels/narrow_accumulator/contract.md`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError
from fxpgrad.program.execute import BoundCall, Executor, run_batches
from fxpgrad.program.layer_names import short_name
from fxpgrad.program.program import Call, Program
from fxpgrad_kernels.errors import UnknownKernelError
from fxpgrad_kernels.registry import kernel_named

Overflow = Literal["wrap", "saturate"]
ACCUMULATOR_BITS = (32, 24, 20, 16)


@dataclass(frozen=True, slots=True)
class LayerCheck:
    """One layer with weights under an accumulator of some bits.

    Attributes
    ----------
    call, kernel : str
    proved_bits : int
        The signed width that no partial sum can leave, whatever the input.
    fits : bool
        Whether that is within the accumulator: such a layer cannot overflow.
    elements : int
        Output elements that were computed on the data.
    overflowed_elements : int
        How many of them met at least one overflow.
    overflows : int
        Additions that overflowed.
    largest : int
        The largest magnitude that a sum had before it was brought back.
    """

    call: str
    kernel: str
    proved_bits: int
    fits: bool
    elements: int = 0
    overflowed_elements: int = 0
    overflows: int = 0
    largest: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class AccumulatorCheck:
    """A model under narrow accumulators; `outputs` are the first output's, `exact` those without limit."""

    bits: int
    on_overflow: Overflow
    layers: tuple[LayerCheck, ...]
    outputs: NDArray[Any]
    exact: NDArray[Any]

    @property
    def rows(self) -> int:
        """Samples that were run."""
        return len(self.exact)

    @property
    def differing_rows(self) -> int:
        """Samples whose output is not exactly that of an unlimited accumulator."""
        return int((self.outputs != self.exact).reshape(self.rows, -1).any(axis=1).sum()) if self.rows else 0

    def correct(self, labels: NDArray[np.int32]) -> tuple[int, int]:
        """Return how many samples (exact, narrow) classify rightly by the first largest output."""
        exact, narrow = (y.reshape(self.rows, -1).argmax(axis=1) for y in (self.exact, self.outputs))
        return int((exact == labels).sum()), int((narrow == labels).sum())


def prove_layers(program: Program, bits: int) -> tuple[LayerCheck, ...]:
    """Prove from the weights alone which layers cannot overflow an accumulator of `bits` bits.

    Every partial sum of products lies between the sum of each tap's least contribution (or 0) and
    the sum of its greatest; the bias is added last.

    Raises
    ------
    InputError
        The Program has no layer with weights, or one that has no narrow form (named).
    """
    layers = [call for call in program.calls if "weights" in call.constants and "bias" in call.constants]
    if not layers:
        raise InputError(f"program {program.name} has no layer with weights: nothing accumulates")
    checks = []
    for call in layers:
        _narrow_kernel(call)
        proved = _proved_bits(program, call)
        checks.append(LayerCheck(call.name, call.kernel, proved, proved <= bits))
    return tuple(checks)


def uncovered(program: Program) -> tuple[str, ...]:
    """Return the calls that multiply and sum but have no narrow form here: batch_matmul and svdf."""
    return tuple(call.name for call in program.calls if call.spec.operator in ("batch_matmul", "svdf"))


def _narrow_kernel(call: Call) -> str:
    family, _, types = call.kernel.removesuffix("_split").rpartition("_")
    name = f"{family}_narrow_{types}"
    try:
        kernel_named(name)
    except UnknownKernelError:
        raise InputError(
            f"layer {short_name(call.name)} ({call.kernel}) has no form with a narrow accumulator; "
            "those that do: conv2d, depthwise_conv2d and fully_connected with int8 activations"
        ) from None
    return name


def _proved_bits(program: Program, call: Call) -> int:
    weights = program.constants[call.constants["weights"]]
    bias = program.constants[call.constants["bias"]].data.astype(np.int64)
    zero_point = call.parameters["input_zero_point"]
    axes = tuple(axis for axis in range(weights.data.ndim) if axis != weights.axis)
    w = weights.data.astype(np.int64)
    ends = (w * (-128 - zero_point), w * (127 - zero_point))
    greatest = np.maximum(np.maximum(*ends), 0).sum(axis=axes)
    least = np.minimum(np.minimum(*ends), 0).sum(axis=axes)
    highest = int(max(greatest.max(), (greatest + bias).max()))
    lowest = int(min(least.min(), (least + bias).min()))
    return max(highest.bit_length(), (-lowest - 1).bit_length() if lowest < 0 else 0) + 1


def check_accumulators(
    program: Program,
    feed: Any = None,
    bits: int = 16,
    on_overflow: Overflow = "wrap",
    *,
    batch: int = 16,
    progress: Callable[[int], None] | None = None,
) -> AccumulatorCheck:
    """Prove, and emulate on data, an accumulator of `bits` bits in every layer with weights.

    Parameters
    ----------
    program : Program
    feed : array or mapping of arrays by name, optional
        The Program's inputs, batch first; without it only the proofs are made.
    bits : int
        8 to 32.
    on_overflow : {"wrap", "saturate"}
        What happens to a sum that leaves the accumulator, at every single addition.
    batch : int
        Samples per inference; does not change the result.
    progress : callable, optional
        Told the number of samples after each batch.

    Raises
    ------
    InputError
        bits out of range, a layer without a narrow form, or data that does not fit.
    """
    if not 8 <= bits <= 32:
        raise InputError(f"accumulator bits must be in [8, 32]; got {bits}")
    if on_overflow not in ("wrap", "saturate"):
        raise InputError(f"on_overflow must be wrap or saturate; got {on_overflow!r}")
    layers = {check.call: check for check in prove_layers(program, bits)}
    empty = np.zeros((0,), np.int8)
    if feed is None:
        return AccumulatorCheck(bits, on_overflow, tuple(layers.values()), empty, empty)
    exact, narrow = [], []
    for (whole, rows), (executor, _) in zip(
        run_batches(program, feed, batch), run_batches(program, feed, batch), strict=True
    ):  # two executors: each keeps its own variables
        exact.append(whole.run(rows))
        executor.load_all(rows)
        for bound in executor.calls:
            check = layers.get(bound.call.name)
            if check is None:
                bound.run()
            else:
                layers[check.call] = _emulate(executor, bound, check, bits, on_overflow == "saturate")
        narrow.append(executor.value(program.outputs[0]))
        if progress is not None:
            progress(executor.batch)
    return AccumulatorCheck(
        bits, on_overflow, tuple(layers.values()), np.concatenate(narrow), np.concatenate(exact)
    )


def _emulate(
    executor: Executor, bound: BoundCall, check: LayerCheck, bits: int, saturate: bool
) -> LayerCheck:
    """Run one layer by its narrow kernel, in place of its own, and return the counts with these added."""
    call = bound.call
    spec = kernel_named(_narrow_kernel(call))
    own = bound.arguments()
    own |= {"accumulator_bits": bits, "saturate": int(saturate)}
    arrays = {
        argument.name: own[argument.name].shape
        for argument in spec.arguments
        if argument.role in ("input", "constant", "output")
    }
    assert spec.workspace is not None
    for name, size in spec.workspace(arrays, own).items():
        dtype = next(argument.dtype for argument in spec.arguments if argument.name == name)
        own[name] = np.zeros(size, dtype)
    spec.function(*(own[argument.name] for argument in spec.arguments))
    counts = own["statistics"].reshape(-1, 4)
    return replace(
        check,
        elements=check.elements + own["output"].size,
        overflows=check.overflows + int(counts[:, 0].sum()),
        overflowed_elements=check.overflowed_elements + int(counts[:, 1].sum()),
        largest=max(check.largest, int(counts[:, 3].max())),
    )
