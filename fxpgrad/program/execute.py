"""The executor: binds a Program's calls to one arena and runs them. No number here is real."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError
from fxpgrad.program.plan import Plan, plan, workspace_elements
from fxpgrad.program.program import Call, Program, TensorInfo
from fxpgrad.program.validate import check_program
from fxpgrad_kernels.spec import Argument, aligned_zeros
from fxpgrad_kernels.tape import Tape

Feed = NDArray[Any] | Mapping[str, NDArray[Any]]


class BoundCall:
    """A kernel call with its arrays in place."""

    __slots__ = ("_index", "_tape", "_values", "call")

    def __init__(self, call: Call, values: dict[str, Any], tape: Tape) -> None:
        self.call = call
        self._values = values
        self._tape = tape
        self._index = len(tape)
        tape.add(call.spec.function, call.spec.arguments, values)

    def run(self) -> None:
        """Run the kernel."""
        self._tape.run_one(self._index)

    def arguments(self) -> dict[str, Any]:
        """Return the call's arrays and parameters by argument name: views of the arena, not copies."""
        return dict(self._values)


class Executor:
    """Runs a Program for one batch size in one preallocated arena.

    The Program is checked first (`check_program`): constants that outgrew their accumulators, say, are
    refused here. Variables start at their first value and keep it from call to call until `reset`: each
    row of the batch is a stream of its own. Not safe for use by two threads at once: give each its own.
    """

    def __init__(self, program: Program, batch: int = 1, *, like: Executor | None = None) -> None:
        """Plan and bind; `like`, an executor of the same Program, lends its prepared constants.

        Raises
        ------
        InputError
            `batch` is no positive integer, or `like` runs another Program.
        LoweringError
            `check_program` refuses the Program.
        """
        self.program = program
        self.batch = batch = positive("batch", batch)
        if like is None:
            check_program(program)
            self.prepared = {call.name: prepared_constants(program, call) for call in program.calls}
        elif like.program is not program:
            raise InputError(
                f"like must be an executor of the very same Program, since nothing is checked again; "
                f"got one of {like.program.name}"
            )
        else:
            self.prepared = like.prepared
        self.plan: Plan = plan(program, batch)
        self._arena = aligned_zeros(self.plan.peak_bytes, "uint8")
        self._views = {name: self._tensor_view(info) for name, info in program.tensors.items()}
        self._tape = Tape()
        self.calls = tuple(BoundCall(call, self._bind(call), self._tape) for call in program.calls)
        self.reset()

    def _tensor_view(self, info: TensorInfo) -> NDArray[Any]:
        return self._arena_view(info.name, (self.batch, *info.shape), info.dtype)

    def _arena_view(self, owner: str, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
        offset = self.plan.blocks[owner].offset
        nbytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        return self._arena[offset : offset + nbytes].view(dtype).reshape(shape)

    def _bind(self, call: Call) -> dict[str, Any]:
        workspaces = workspace_elements(self.program, call)
        inputs = iter(call.inputs)
        values: dict[str, Any] = {**call.parameters, **self.prepared[call.name]}
        for argument in call.spec.arguments:
            if argument.role in ("input", "state"):
                values[argument.name] = _in_rank(self._views[next(inputs)], argument)
            elif argument.role == "output":
                values[argument.name] = _in_rank(self._views[call.output], argument)
            elif argument.role == "constant":
                values[argument.name] = self.program.constants[call.constants[argument.name]].data
            elif argument.role == "workspace":
                owner = f"{call.name}/{argument.name}"
                values[argument.name] = self._arena_view(owner, (workspaces[argument.name],), argument.dtype)
        return values

    def reset(self) -> None:
        """Give every variable its first value."""
        for name, value in self.program.variables.items():
            self._views[name][...] = value

    def view(self, tensor: str) -> NDArray[Any]:
        """Return the tensor's place in the arena: valid only while the plan keeps it alive."""
        return self._views[tensor]

    def value(self, tensor: str) -> NDArray[Any]:
        """Return a copy of a tensor in its outer type, while the plan keeps it alive."""
        return to_outer(self.program.tensors[tensor], self._views[tensor]).copy()

    def load(self, x: NDArray[Any], tensor: str | None = None, *, checked: bool = False) -> None:
        """Copy a batch into an input tensor (the only one if unnamed), checking dtype and shape.

        checked: the caller has called `check_input` on it already.
        """
        name = tensor or only_input(self.program)
        info = self.program.tensors[name]
        if not checked:
            check_input(info, x, self.batch)
        np.copyto(self._views[name], to_inner(info, x))

    def load_all(self, feed: Feed) -> None:
        """Copy a batch into every input: one array, or a mapping by name."""
        for name, x in named_inputs(self.program, feed).items():
            self.load(x, name)

    def run(self, feed: Feed) -> NDArray[Any]:
        """Run one batch and return a copy of the first output."""
        self.load_all(feed)
        self.execute()
        return self.value(self.program.outputs[0])

    def run_all(self, feed: Feed) -> dict[str, NDArray[Any]]:
        """Run one batch and return copies of all outputs by name."""
        self.load_all(feed)
        self.execute()
        return {name: self.value(name) for name in self.program.outputs}

    def execute(self) -> None:
        """Run all calls on what is loaded, in one native call that releases the interpreter's lock."""
        self._tape.run()

    def layers(self, feed: Feed) -> Iterator[tuple[str, NDArray[Any]]]:
        """Run one batch and yield (tensor name, copy of its values) after each call, inputs first."""
        self.load_all(feed)
        for name in self.program.inputs:
            yield name, self.value(name)
        for bound in self.calls:
            bound.run()
            call = bound.call
            for name in (call.output, *call.inputs[len(call.spec.of_role("input")) :]):  # and its state
                yield name, self.value(name)


def prepared_constants(program: Program, call: Call) -> dict[str, NDArray[Any]]:
    """Return a call's constants in the order in which its kernel reads them, by argument name."""
    data = {role: program.constants[name].data for role, name in call.constants.items()}
    return call.spec.prepare(data, call.parameters)


def to_inner(info: TensorInfo, x: NDArray[Any]) -> NDArray[Any]:
    """Return values in the type that kernels read: uint8 becomes int8, 128 less."""
    return (x ^ np.uint8(0x80)).view(np.int8) if info.unsigned else x


def to_outer(info: TensorInfo, x: NDArray[Any]) -> NDArray[Any]:
    """Return values in the tensor's outer type, the inverse of `to_inner`."""
    return x.view(np.uint8) ^ np.uint8(0x80) if info.unsigned else x


def _in_rank(view: NDArray[Any], argument: Argument) -> NDArray[Any]:
    """Return the view in the rank that the kernel wants: natural, flat, or leading axes merged."""
    rank = len(argument.shape)
    if rank == view.ndim:
        return view
    if rank == 1:
        return view.reshape(-1)
    return view.reshape(-1, *view.shape[1 - rank :])


def only_input(program: Program) -> str:
    """Return the name of the one input, or raise `InputError` if there are several."""
    if len(program.inputs) != 1:
        raise InputError(
            f"program {program.name} has the inputs {', '.join(program.inputs)}; "
            "give an array for each, by name"
        )
    return program.inputs[0]


def named_inputs(program: Program, feed: Feed) -> dict[str, NDArray[Any]]:
    """Return one array for each input by name; a bare array is the only input's."""
    if not isinstance(feed, Mapping):
        return {only_input(program): feed}
    if set(feed) != set(program.inputs):
        raise InputError(
            f"program {program.name} needs the inputs {', '.join(program.inputs)}; got {', '.join(feed)}"
        )
    return dict(feed)


def positive(name: str, value: Any) -> int:
    """Return an integer of at least 1, or raise `InputError` naming what it is."""
    try:
        number = 0 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        raise InputError(f"{name} must be an integer of at least 1; got {value!r}")
    return number


def check_input(info: TensorInfo, x: NDArray[Any], batch: int | None = None) -> None:
    """Raise `InputError` unless x is a non-empty batch of the tensor's own dtype and shape."""
    if not isinstance(x, np.ndarray) or x.dtype != np.dtype(info.outer_dtype):
        got = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
        raise InputError(
            f"input {info.name} must be {info.outer_dtype}; got {got} "
            "(quantize real values first; some commands take --real)"
        )
    wanted = ("batch", *info.shape)
    if x.ndim != len(wanted) or x.shape[1:] != info.shape:
        raise InputError(f"input {info.name} must have shape {wanted}; got {x.shape}")
    if x.shape[0] == 0:
        raise InputError(f"input {info.name} is empty: it must hold at least one sample")
    if batch is not None and x.shape[0] != batch:
        raise InputError(f"this executor was planned for batches of {batch}; got {x.shape[0]}")


def check_feed(program: Program, feed: Feed) -> int:
    """Check every input of a feed and return the number of rows, which must be the same for all."""
    arrays = named_inputs(program, feed)
    for name, x in arrays.items():
        check_input(program.tensors[name], x)
    rows = {name: len(x) for name, x in arrays.items()}
    if len(set(rows.values())) != 1:
        raise InputError(f"all inputs must have the same number of rows; got {rows}")
    return next(iter(rows.values()))


def run_batches(program: Program, feed: Feed, batch: int = 32) -> Iterator[tuple[Executor, Feed]]:
    """Yield (executor, rows) for each stretch of rows; a stateful Program runs them one by one, in order."""
    total, batch = check_feed(program, feed), positive("batch", batch)
    arrays = named_inputs(program, feed)
    executor = Executor(program, 1 if program.variables else min(batch, total))
    for start in range(0, total, executor.batch):
        part = {name: x[start : start + executor.batch] for name, x in arrays.items()}
        size = min(executor.batch, total - start)
        yield executor if size == executor.batch else Executor(program, size, like=executor), part


def run_program(program: Program, feed: Feed, batch: int = 32) -> NDArray[Any]:
    """Run any number of rows, `batch` at a time, and return the first output for all of them.

    feed: one array, or arrays by name. A stateful Program starts fresh and runs its rows in order.
    """
    return np.concatenate([executor.run(part) for executor, part in run_batches(program, feed, batch)])


def run_layers(program: Program, feed: Feed, batch: int = 32) -> dict[str, NDArray[Any]]:
    """Run any number of rows and return every tensor by name, as it is after its last write."""
    return joined(dict(executor.layers(part)) for executor, part in run_batches(program, feed, batch))


def joined(batches: Iterable[Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Return the rows of all batches, tensor by tensor."""
    parts: dict[str, list[NDArray[Any]]] = {}
    for batch in batches:
        for name, values in batch.items():
            parts.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in parts.items()}


def run_reference(program: Program, feed: Feed) -> dict[str, NDArray[Any]]:
    """Run every call by its kernel's reference definition (slow); return all tensors by name.

    All rows run at once: in a stateful Program each row is a stream of its own.
    """
    rows = check_feed(program, feed)
    values = {name: to_inner(program.tensors[name], x) for name, x in named_inputs(program, feed).items()}
    for name, value in program.variables.items():
        info = program.tensors[name]
        values[name] = np.full((rows, *info.shape), value, info.dtype)
    for call in program.calls:
        spec = call.spec
        taken = (*spec.of_role("input"), *spec.of_role("state"))
        arrays = {
            argument.name: _in_rank(values[name], argument)
            for argument, name in zip(taken, call.inputs, strict=True)
        }
        for argument in spec.of_role("constant"):
            arrays[argument.name] = program.constants[call.constants[argument.name]].data
        arguments = [
            arrays[argument.name] if argument.name in arrays else call.parameters[argument.name]
            for argument in spec.arguments
            if argument.role not in ("prepared", "workspace", "output")
        ]
        info = program.tensors[call.output]
        options: dict[str, Any] = {}
        accepted = inspect.signature(spec.reference).parameters
        if "output_size" in accepted:
            options["output_size"] = info.shape[-3:-1]
        whole = (rows, *info.shape)
        if "samples" in accepted:
            options["samples"] = rows
        if "before" in accepted:  # a block of a larger array, which starts as zeros
            options["before"] = _in_rank(
                values.get(call.output, np.zeros(whole, info.dtype)), spec.of_role("output")[0]
            )
        result = spec.reference(*arguments, **options)
        states = spec.of_role("state")
        if states:  # (output, new state, ...)
            for name, new in zip(call.inputs[-len(states) :], result[1:], strict=True):
                values[name] = np.asarray(new, values[name].dtype).reshape(values[name].shape)
            result = result[0]
        values[call.output] = np.asarray(result, info.dtype).reshape(whole)
    return {name: to_outer(program.tensors[name], value) for name, value in values.items()}
