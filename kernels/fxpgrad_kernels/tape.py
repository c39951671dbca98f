"""A tape: many kernel calls as numbers in one array, run by one native call.

A Python call of a kernel costs about a microsecond, which is more than some layers of a tiny network
take. A tape holds, for each call, what the kernel's machine code needs (its address, the address and
shape of each array, each integer) as int64 words; `run_tape` walks it without coming back to Python
and without the interpreter's lock, so that tapes of different threads run side by side.

    words   | entry | kernel | array: address, n0, n1 ... | ... | integer | ... | result |  next call ...
              entry   the function that reads the words and calls (one for each signature, `_entry_for`)
              result  what the kernel returned, 0 if nothing

A word may be rewritten between runs: a step number, a sign, an accumulator width.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.jit import (
    cgutils,
    compiled_at,
    direct_call,
    intrinsic,
    ir,
    kernel,
    kernel_from_source,
    native_address,
    types,
)
from fxpgrad_kernels.spec import Argument

_I64 = ir.IntType(64)


def _array_type(dtype: str, rank: int) -> Any:
    return types.Array(getattr(types, dtype), rank, "C")


def _layout_of(arguments: Sequence[Argument]) -> tuple[tuple[str, int], ...]:
    """Return (dtype, rank) of each argument; rank 0 is an integer."""
    return tuple((a.dtype, 0 if a.role == "parameter" else len(a.shape)) for a in arguments)


def _types_of(layout: tuple[tuple[str, int], ...]) -> tuple[Any, ...]:
    return tuple(_array_type(dtype, rank) if rank else types.int64 for dtype, rank in layout)


def _array_value(context, builder, array_type, words):
    """Build the array that the words (address, shape) describe: C-contiguous and owned by nobody."""
    array = context.make_array(array_type)(context, builder)
    itemsize = ir.Constant(_I64, array_type.dtype.bitwidth // 8)
    shape = words[1:]
    strides = [itemsize]
    for size in shape[:0:-1]:
        strides.insert(0, builder.mul(strides[0], size))
    array.data = builder.inttoptr(words[0], array.data.type)
    array.shape = cgutils.pack_array(builder, shape)
    array.strides = cgutils.pack_array(builder, strides)
    array.itemsize = itemsize
    array.nitems = functools.reduce(builder.mul, shape)
    array.meminfo = cgutils.get_null_value(array.meminfo.type)
    array.parent = cgutils.get_null_value(array.parent.type)
    return array._getvalue()


def _call(context, builder, address, result_type, argument_types, arguments):
    """Call the compiled function at `address`; return (status, pointer to its result)."""
    signature = context.call_conv.get_function_type(result_type, argument_types)
    result = cgutils.alloca_once(builder, signature.args[0].pointee)
    exception = cgutils.alloca_once(builder, signature.args[1].pointee)
    flat = context.get_arg_packer(argument_types).as_arguments(builder, arguments)
    function = builder.inttoptr(address, signature.as_pointer())
    return builder.call(function, [result, exception, *flat]), result


@intrinsic(prefer_literal=True)
def call_kernel(typing_context, address, text, returns):
    """Call one kernel with the words at `address` and store its result behind them.

    text: "<dtype> <rank>, ..." of the arguments, a literal; returns: a literal, 1 for a kernel of int64.
    """
    layout = tuple((a.split()[0], int(a.split()[1])) for a in text.literal_value.split(","))
    kinds = _types_of(layout)
    result_type = types.int64 if returns.literal_value else types.none

    def codegen(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[0], _I64.as_pointer())

        def word(at):
            return builder.load(builder.gep(pointer, [ir.Constant(_I64, at)]))

        values, at = [], 2
        for (_, rank), kind in zip(layout, kinds, strict=True):
            words = [word(at + i) for i in range(rank + 1)]
            values.append(_array_value(context, builder, kind, words) if rank else words[0])
            at += rank + 1
        status, result = _call(context, builder, word(1), result_type, kinds, values)
        kept = builder.load(result) if returns.literal_value else ir.Constant(_I64, 0)
        builder.store(kept, builder.gep(pointer, [ir.Constant(_I64, at)]))
        return builder.sext(status, _I64)

    return types.int64(types.int64, text, returns), codegen


@intrinsic
def call_entry(typing_context, entry, address):
    """Call the entry function at `entry` with the words at `address`; return its status, 0 if all is well."""

    def codegen(context, builder, signature, arguments):
        status, result = _call(context, builder, arguments[0], types.int64, (types.int64,), (arguments[1],))
        return builder.or_(builder.load(result), builder.sext(status, _I64))

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def word_at(typing_context, address, index):
    """Return word `index` of those that begin at `address`."""

    def codegen(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[0], _I64.as_pointer())
        return builder.load(builder.gep(pointer, [arguments[1]]))

    return types.int64(types.int64, types.int64), codegen


@kernel
def run_tape(words, starts, count):
    """Run `count` calls in order and return how many were run; `starts` says where each one's words begin.

    words, starts: addresses of int64, since Numba takes 0.2 us longer to be handed two arrays. Where fewer
    than `count` were run, the next one failed inside (no kernel does; it would be a defect).
    """
    for i in range(count):
        start = word_at(starts, i)
        if call_entry(word_at(words, start), words + np.int64(8) * start) != np.int64(0):
            return np.int64(i)
    return np.int64(count)


@functools.cache
def _run_tape() -> Any:
    """Return `run_tape` as a Python function that does not look at the types of what it is given."""
    return direct_call(compiled_at(run_tape, (types.int64,) * 3))


@functools.cache
def _entry_for(layout: tuple[tuple[str, int], ...], returns: bool) -> Any:
    """Return the compiled function that reads the words of this signature and calls the kernel."""
    text = ",".join(f"{dtype} {rank}" for dtype, rank in layout)
    name = "entry_" + "_".join(f"{dtype}x{rank}" for dtype, rank in layout) + ("_r" if returns else "")
    source = f"def {name}(address):\n    return call_kernel(address, {text!r}, {int(returns)})\n"
    return kernel_from_source(name, source, __file__, {"call_kernel": call_kernel})


@functools.cache
def _addresses(spec_function: Any, layout: tuple[tuple[str, int], ...]) -> tuple[int, int, bool]:
    """Return (entry address, kernel address, whether the kernel returns an int) for a kernel."""
    compiled = compiled_at(spec_function, _types_of(layout))
    returns = compiled.signature.return_type != types.none
    entry = compiled_at(_entry_for(layout, returns), (types.int64,))
    return native_address(entry), native_address(compiled), returns


class Tape:
    """Kernel calls to be run together.

    Not safe for two threads at once; different tapes are, as long as they write different arrays.
    """

    def __init__(self) -> None:
        self._parts: list[int] = []
        self._start_list: list[int] = []
        self._kept: list[Any] = []  # the arrays whose addresses the words hold
        self._words: NDArray[np.int64] | None = None
        self._starts: NDArray[np.int64] = np.zeros(0, np.int64)
        self._native: Any = None  # `run_tape`, once the tape has run
        self._given = 0, 0, 0

    def __len__(self) -> int:
        return len(self._start_list)

    def add(self, function: Any, arguments: Sequence[Argument], values: Mapping[str, Any]) -> dict[str, int]:
        """Append a call of a kernel, with arrays and integers by argument name.

        Return the place of each argument's first word by name: an integer's own, an array's address.

        "result" is the place of what the kernel returned.
        Arrays must be C-contiguous, of the spec's dtype and rank: the tape holds their address.
        """
        layout = _layout_of(arguments)
        entry, address, _ = _addresses(function, layout)
        self._start_list.append(len(self._parts))
        self._parts += (entry, address)
        places = {}
        for argument, (dtype, rank) in zip(arguments, layout, strict=True):
            value = values[argument.name]
            places[argument.name] = len(self._parts)
            if rank == 0:
                self._parts.append(int(value))
                continue
            if value.dtype != dtype or value.ndim != rank or not value.flags.c_contiguous:
                raise TypeError(
                    f"{argument.name} must be {dtype} with {rank} axes, C-contiguous; "
                    f"got {value.dtype} {value.shape}"
                )
            self._kept.append(value)
            self._parts += (value.ctypes.data, *value.shape)
        places["result"] = len(self._parts)
        self._parts.append(0)
        self._words = self._native = None
        return places

    @property
    def words(self) -> NDArray[np.int64]:
        """The words themselves; what is written here holds until the next `add`."""
        if self._words is None:
            self._words = np.array(self._parts, np.int64)
            self._starts = np.array(self._start_list, np.int64)
        return self._words

    def _for_native(self) -> tuple[int, int, int]:
        """Return what `run_tape` is given: the addresses of words and starts, the number of calls."""
        if self._native is None:
            words = self.words
            self._native = _run_tape()
            self._given = words.ctypes.data, self._starts.ctypes.data, len(self._start_list)
        return self._given

    def run(self) -> None:
        """Run all calls in order, in one native call that releases the interpreter's lock."""
        given = self._for_native()
        done = self._native(*given)
        if done != given[2]:
            raise AssertionError(f"call {done} of the tape failed")

    def run_one(self, index: int) -> None:
        """Run one call."""
        words, starts, count = self._for_native()
        if self._native(words, starts + 8 * range(count)[index], 1) != 1:
            raise AssertionError(f"call {index} of the tape failed")
