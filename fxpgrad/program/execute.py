"""The executor: binds a Program's calls to one arena and runs them. No number here is real."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError
from fxpgrad.program.plan import Plan, plan, workspace_elements
from fxpgrad.program.program import Call, Program, TensorInfo
from fxpgrad.program.validate import check_program
from fxpgrad_kernels.spec import Argument

Overrides = Mapping[str, Any]


class BoundCall:
    """A kernel call with its arrays in place; `run` may replace constants and parameters by name."""

    __slots__ = ("_arguments", "_function", "_position", "call")

    def __init__(self, call: Call, arguments: list[Any]) -> None:
        self.call = call
        self._function: Callable[..., Any] = call.spec.function
        self._arguments = arguments
        self._position = {argument.name: i for i, argument in enumerate(call.spec.arguments)}

    def run(self, overrides: Overrides | None = None) -> None:
        """Run the kernel, with other arrays or integers for the arguments named in `overrides`."""
        if not overrides:
            self._function(*self._arguments)
            return
        arguments = list(self._arguments)
        for name, value in overrides.items():
            arguments[self._position[name]] = value
        self._function(*arguments)


class Executor:
    """Runs a Program for one batch size in one preallocated arena.

    The Program is checked first (`check_program`): constants that outgrew their accumulators, say, are
    refused here. Not safe for use by two threads at once: give each thread its own.
    """

    def __init__(self, program: Program, batch: int = 1) -> None:
        check_program(program)
        self.program = program
        self.batch = batch
        self.plan: Plan = plan(program, batch)
        self._arena = np.zeros(self.plan.peak_bytes, np.uint8)
        self._views = {name: self._tensor_view(info) for name, info in program.tensors.items()}
        self.calls = tuple(BoundCall(call, self._bind(call)) for call in program.calls)

    def _tensor_view(self, info: TensorInfo) -> NDArray[Any]:
        return self._arena_view(info.name, (self.batch, *info.shape), info.dtype)

    def _arena_view(self, owner: str, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
        offset = self.plan.blocks[owner].offset
        nbytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        return self._arena[offset : offset + nbytes].view(dtype).reshape(shape)

    def _bind(self, call: Call) -> list[Any]:
        workspaces = workspace_elements(self.program, call)
        inputs = iter(call.inputs)
        bound: list[Any] = []
        for argument in call.spec.arguments:
            if argument.role == "input":
                bound.append(_in_rank(self._views[next(inputs)], argument, call))
            elif argument.role == "output":
                bound.append(_in_rank(self._views[call.output], argument, call))
            elif argument.role == "constant":
                bound.append(self.program.constants[call.constants[argument.name]].data)
            elif argument.role == "workspace":
                owner = f"{call.name}/{argument.name}"
                bound.append(self._arena_view(owner, (workspaces[argument.name],), argument.dtype))
            else:
                bound.append(int(call.parameters[argument.name]))
        return bound

    def view(self, tensor: str) -> NDArray[Any]:
        """Return the tensor's place in the arena: valid only while the plan keeps it alive."""
        return self._views[tensor]

    def load(self, x: NDArray[Any], tensor: str | None = None) -> None:
        """Copy a batch into an input tensor (the only one if unnamed), checking dtype and shape."""
        name = tensor or only_input(self.program)
        check_input(self.program.tensors[name], x, self.batch)
        self._views[name][...] = x

    def run(self, x: NDArray[Any]) -> NDArray[Any]:
        """Run one batch and return a copy of the first output."""
        self.load(x)
        for call in self.calls:
            call.run()
        return self._views[self.program.outputs[0]].copy()

    def layers(self, x: NDArray[Any]) -> Iterator[tuple[str, NDArray[Any]]]:
        """Run one batch and yield (tensor name, copy of its values) after each call, input first."""
        self.load(x)
        yield only_input(self.program), x.copy()
        for call in self.calls:
            call.run()
            yield call.call.output, self._views[call.call.output].copy()


def _in_rank(view: NDArray[Any], argument: Argument, call: Call) -> NDArray[Any]:
    """Return the view in the rank that the kernel wants: natural, a matrix or flat."""
    rank = len(argument.shape)
    if rank == view.ndim and not call.leading_axes:
        return view
    return view.reshape(-1) if rank == 1 else _as_matrix(view, call)


def _as_matrix(view: NDArray[Any], call: Call) -> NDArray[Any]:
    leading = int(np.prod(view.shape[: 1 + call.leading_axes], dtype=np.int64))
    return view.reshape(leading, -1)


def only_input(program: Program) -> str:
    """Return the name of the one input, or raise `InputError` if there are several."""
    if len(program.inputs) != 1:
        raise InputError(
            f"program {program.name} has the inputs {', '.join(program.inputs)}; pass each of them to "
            "Executor.load by name, then run the calls"
        )
    return program.inputs[0]


def check_input(info: TensorInfo, x: NDArray[Any], batch: int | None = None) -> None:
    """Raise `InputError` unless x is a non-empty batch of the tensor's own dtype and shape."""
    if not isinstance(x, np.ndarray) or x.dtype != np.dtype(info.dtype):
        got = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
        raise InputError(
            f"input {info.name} must be {info.dtype}; got {got} "
            "(quantize real values first, or pass --real on the command line)"
        )
    wanted = ("batch", *info.shape)
    if x.ndim != len(wanted) or x.shape[1:] != info.shape:
        raise InputError(f"input {info.name} must have shape {wanted}; got {x.shape}")
    if x.shape[0] == 0:
        raise InputError(f"input {info.name} is empty: it must hold at least one sample")
    if batch is not None and x.shape[0] != batch:
        raise InputError(f"this executor was planned for batches of {batch}; got {x.shape[0]}")


def run_program(program: Program, x: NDArray[Any], batch: int = 32) -> NDArray[Any]:
    """Run any number of samples, `batch` at a time, and return the first output for all of them."""
    check_input(program.tensors[only_input(program)], x)
    parts = []
    executor = Executor(program, min(batch, len(x)))
    for start in range(0, len(x), executor.batch):
        part = x[start : start + executor.batch]
        if len(part) != executor.batch:
            executor = Executor(program, len(part))
        parts.append(executor.run(part))
    return np.concatenate(parts)


def run_reference(program: Program, x: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Run every call by its kernel's reference definition (slow); return all tensors by name."""
    source = only_input(program)
    check_input(program.tensors[source], x)
    values: dict[str, NDArray[Any]] = {source: x}
    for call in program.calls:
        spec = call.spec
        arguments: list[Any] = []
        for argument, name in zip(spec.of_role("input"), call.inputs, strict=True):
            arguments.append(_in_rank(values[name], argument, call))
        for argument in spec.of_role("constant"):
            arguments.append(program.constants[call.constants[argument.name]].data)
        info = program.tensors[call.output]
        parameters = {argument.name: call.parameters[argument.name] for argument in spec.of_role("parameter")}
        options: dict[str, Any] = {}
        accepted = inspect.signature(spec.reference).parameters
        if "output_size" in accepted:
            options["output_size"] = info.shape[:2]
        whole = (len(x), *info.shape)
        if "before" in accepted:  # a block of a larger array, which starts as zeros
            options["before"] = _as_matrix(values.get(call.output, np.zeros(whole, info.dtype)), call)
        result = spec.reference(*arguments, *parameters.values(), **options)
        values[call.output] = np.asarray(result, info.dtype).reshape(whole)
    return values
