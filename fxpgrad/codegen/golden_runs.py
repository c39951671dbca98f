"""Inputs for a self-test, and what the Program makes of them, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.codegen.model_source import watched_tensors
from fxpgrad.codegen.model_text import ModelText
from fxpgrad.program.execute import Executor, to_outer
from fxpgrad.program.program import Program, TensorInfo

CHECKSUM_FACTOR = 16777619  # odd, so that every value counts
_GOLDEN_RATIO = 0x9E3779B97F4A7C15


@dataclass(frozen=True, slots=True, eq=False)
class GoldenRuns:
    """A few samples and their results.

    Attributes
    ----------
    inputs, outputs : mapping of arrays by tensor name, batch first
        In the types that users see.
    checksums : uint32 [samples, watched]
        `checksum` of every tensor that a layer has finished, in the order of `watched_tensors`.
    """

    inputs: Mapping[str, NDArray[Any]]
    outputs: Mapping[str, NDArray[Any]]
    checksums: NDArray[np.uint32]


def checksum(values: NDArray[Any]) -> int:
    """Return h of h = h * CHECKSUM_FACTOR + value over all values in C order, from 0, modulo 2^32."""
    words = values.astype(np.int64).ravel().astype(np.uint32)
    factors = np.full(words.size, CHECKSUM_FACTOR, np.uint32)
    factors[:1] = 1
    powers = np.multiply.accumulate(factors, dtype=np.uint32)[::-1]
    return int(np.multiply(words, powers, dtype=np.uint32).sum(dtype=np.uint32))


def sample_inputs(program: Program, samples: int) -> dict[str, NDArray[Any]]:
    """Return inputs over the whole range: by turns uniform, and of lowest and highest values alone.

    They depend on nothing but the shapes, the types and the number of the sample.
    """
    return {
        name: np.stack([_sample(program.tensors[name], number, row) for row in range(samples)])
        for number, name in enumerate(program.inputs)
    }


def _sample(info: TensorInfo, number: int, row: int) -> NDArray[Any]:
    words = _mixed(np.arange(info.elements, dtype=np.uint64) + np.uint64((number << 48) + (row << 32)))
    limits = np.iinfo(info.dtype)
    if row % 2:
        values = np.where(words >> np.uint64(63), limits.max, limits.min)
    else:
        values = (words >> np.uint64(64 - limits.bits)).astype(np.int64) + limits.min
    return to_outer(info, values.astype(info.dtype).reshape(info.shape))


def _mixed(counter: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return 64 mixed bits of each counter (the finalizer of SplitMix64)."""
    with np.errstate(over="ignore"):
        word = (counter + np.uint64(1)) * np.uint64(_GOLDEN_RATIO)
        word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


def golden_runs(text: ModelText, samples: int) -> GoldenRuns:
    """Run the Program on `sample_inputs`; a stateful Program starts fresh and runs them in order."""
    program = text.program
    inputs = sample_inputs(program, samples)
    executor = Executor(program)
    outputs: dict[str, list[NDArray[Any]]] = {name: [] for name in program.outputs}
    rows = []
    for row in range(samples):
        executor.load_all({name: x[row : row + 1] for name, x in inputs.items()})
        sums = []
        for index, bound in enumerate(executor.calls):
            bound.run()
            sums += [checksum(executor.view(name)) for name in watched_tensors(text, index)]
        rows.append(sums)
        for name, found in outputs.items():
            found.append(executor.value(name))
    return GoldenRuns(
        inputs,
        {name: np.concatenate(found) for name, found in outputs.items()},
        np.array(rows, np.uint32),
    )
