"""Golden vectors of a whole model: inputs, and every layer's output."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.conformance.vectors import (
    Arrays,
    OnCase,
    VectorCase,
    Vectors,
    provenance_of,
    require_counts,
)
from fxpgrad.errors import FxpgradError
from fxpgrad.importers.model_file import program_from, read_model
from fxpgrad.program.execute import Executor, check_feed, named_inputs, run_reference
from fxpgrad.program.program import Program, TensorInfo
from fxpgrad.program.work import multiply_accumulates

_PAID_FOR = 200_000_000  # multiplications that the reference may make, in the order of a minute


def model_vectors(
    path: str | Path,
    *,
    cases: int = 20,
    seed: int = 0,
    profile: str | None = None,
    data: Mapping[str, NDArray[Any]] | NDArray[Any] | None = None,
    command: str = "",
    on_case: OnCase | None = None,
) -> Vectors:
    """Return inputs of a model with every layer's output.

    The first rows, as many as 200 million multiplications pay for and at least one, are checked against the
    kernels' definitions; "rows_checked" in the provenance says how many. A model with state sees the rows as
    one stream, of which the first is checked.

    Parameters
    ----------
    path : path
        An .fxp, .tflite or .onnx file.
    cases : int
        Random inputs over the whole range, beside the directed ones: each end, both ends, the zero point.
    seed : int
        Equal seeds give equal vectors.
    profile : str, optional
        As `load_program`.
    data : array or mapping of arrays by input name, optional
        Rows to take instead, in the model's integer type; the first `cases` of them.
    command : str
        What is said to have made them.
    on_case : callable, optional
        Called with the name of each case when it is done.

    Raises
    ------
    ModelFileError, StoreError, LoweringError
        As `load_program`.
    InputError
        `cases` or `seed` is out of range, or the data do not fit the model.
    FxpgradError
        A kernel as compiled here does not give what its definition says.
    """
    require_counts(cases, seed)
    content = read_model(path)
    program = program_from(content, path, profile)
    rows = list(_drawn_rows(program, cases, seed) if data is None else _given_rows(program, data, cases))
    checked = _rows_to_check(program, len(rows))
    executor, found = Executor(program, 1), list[VectorCase]()
    for number, (name, aim, feed) in enumerate(rows):
        layers = {key: values[0] for key, values in dict(executor.layers(feed)).items()}
        expected = {key: values for key, values in layers.items() if key not in feed}
        if number < checked:
            _check(program, feed, expected, name)
        found.append(VectorCase(name, aim, {key: x[0] for key, x in feed.items()}, expected))
        if on_case is not None:
            on_case(name)
    digests = {"model_sha256": hashlib.sha256(content).hexdigest(), "rows_checked": checked}
    origin = provenance_of(command, program.profile, None if data is not None else seed, **digests)
    return Vectors("model", program.name, origin, tuple(found))


def _rows_to_check(program: Program, rows: int) -> int:
    if program.variables:
        return 1
    work = sum(multiply_accumulates(program, call) for call in program.calls)
    return min(rows, max(1, _PAID_FOR // max(work, 1)))


def _check(program: Program, feed: Arrays, expected: Arrays, name: str) -> None:
    reference = run_reference(program, feed)
    for tensor, values in expected.items():
        if not np.array_equal(reference[tensor][0], values):
            raise FxpgradError(
                f"{tensor} of case {name} differs from the definition of its kernel as compiled here: "
                "nothing is written; please report this with the command"
            )


def _given_rows(
    program: Program, data: Mapping[str, NDArray[Any]] | NDArray[Any], cases: int
) -> Iterator[tuple[str, str, Arrays]]:
    total = check_feed(program, data)
    arrays = named_inputs(program, data)
    for number in range(min(cases, total)):
        row = {name: x[number : number + 1] for name, x in arrays.items()}
        yield f"row_{number:04d}", f"row {number} of the data", row


def _drawn_rows(program: Program, cases: int, seed: int) -> Iterator[tuple[str, str, Arrays]]:
    rng = np.random.default_rng([seed, *program.name.encode()])
    inputs = [program.tensors[name] for name in program.inputs]

    def row(fill: Any) -> Arrays:
        return {info.name: fill(info, *_range(info)).astype(info.outer_dtype) for info in inputs}

    def full(info: TensorInfo, value: int) -> NDArray[Any]:
        return np.full((1, *info.shape), value)

    yield "lowest", "every input the lowest of its type", row(lambda info, low, high: full(info, low))
    yield "highest", "every input the highest of its type", row(lambda info, low, high: full(info, high))
    yield "zero", "every input its zero point", row(lambda info, low, high: full(info, _zero_point(info)))
    yield (
        "ends",
        "every element at one of its ends",
        row(lambda info, low, high: rng.choice([low, high], (1, *info.shape))),
    )
    for number in range(cases):
        yield (
            f"random_{number:04d}",
            "uniform over the whole range",
            row(lambda info, low, high: rng.integers(low, high + 1, (1, *info.shape))),
        )


def _range(info: TensorInfo) -> tuple[int, int]:
    limits = np.iinfo(info.outer_dtype)
    return int(limits.min), int(limits.max)


def _zero_point(info: TensorInfo) -> int:
    return info.zero_point + (128 if info.unsigned else 0)
