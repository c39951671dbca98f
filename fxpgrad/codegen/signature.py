"""The C99 signature of a kernel: a pure function of its `KernelSpec`.

Arrays come in the spec's order, without prepared constants and workspaces, which a port does not need; then
one int32_t for each letter of their shapes, in the order in which the letters first appear; then parameters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from fxpgrad.errors import InputError
from fxpgrad_kernels.spec import INT_RANGES, Argument, KernelSpec

PREFIX = "fxp_"
_LETTER = re.compile(r"[A-Z]+")
_SKIPPED = ("prepared", "workspace")


@dataclass(frozen=True, slots=True)
class CArgument:
    """One argument of a C function.

    Attributes
    ----------
    kind : {"array", "size", "parameter"}
        A pointer to `ctype`, the length of an axis, or an integer.
    written : bool
        An array that the function writes; all others are const.
    argument : Argument or None
        The spec's argument; None for a size.
    """

    name: str
    kind: Literal["array", "size", "parameter"]
    ctype: str
    written: bool = False
    argument: Argument | None = None

    @property
    def declaration(self) -> str:
        """The argument as C text."""
        if self.kind != "array":
            return f"{self.ctype} {self.name}"
        return f"{'' if self.written else 'const '}{self.ctype} *{self.name}"


@dataclass(frozen=True, slots=True)
class CFunction:
    """A C function: its name, what it returns ("void" or "int64_t"), its arguments in order."""

    name: str
    returns: str
    arguments: tuple[CArgument, ...]

    @property
    def sizes(self) -> tuple[str, ...]:
        """The letters whose lengths are passed, in order."""
        return tuple(argument.name for argument in self.arguments if argument.kind == "size")


def array_arguments(spec: KernelSpec) -> tuple[Argument, ...]:
    """Return the arrays that a C port takes, in order."""
    return tuple(a for a in spec.arguments if a.role not in (*_SKIPPED, "parameter"))


def size_letters(spec: KernelSpec) -> tuple[str, ...]:
    """Return the letters of the arrays' shapes in the order in which they first appear.

    An axis that is a number, or derived from other arguments ("C/G"), needs none.
    """
    axes = (axis for argument in array_arguments(spec) for axis in argument.shape)
    return tuple(dict.fromkeys(axis for axis in axes if _LETTER.fullmatch(axis)))


def parameter_type(argument: Argument) -> str:
    """Return int32_t where the parameter's range fits it, else int64_t."""
    low, high = INT_RANGES["int32"]
    return "int32_t" if low <= argument.low and argument.high <= high else "int64_t"


def c_function(spec: KernelSpec) -> CFunction:
    """Return the signature of a kernel's C port."""
    arrays = [
        CArgument(
            a.name, "array", f"{a.dtype}_t", a.role in ("output", "state") or a.name == spec.in_place, a
        )
        for a in array_arguments(spec)
    ]
    sizes = [CArgument(letter, "size", "int32_t") for letter in size_letters(spec)]
    parameters = [
        CArgument(a.name, "parameter", parameter_type(a), argument=a) for a in spec.of_role("parameter")
    ]
    returns = "int64_t" if spec.returned else "void"
    return CFunction(PREFIX + spec.name, returns, (*arrays, *sizes, *parameters))


def bound_sizes(spec: KernelSpec, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Return the length of every letter, from the arrays' shapes by argument name.

    Raises
    ------
    InputError
        An array has another number of axes than the spec says, or two disagree about a letter.
    """
    sizes: dict[str, int] = {}
    for argument in array_arguments(spec):
        shape = shapes[argument.name]
        if len(shape) != len(argument.shape):
            raise InputError(
                f"{argument.name} of {spec.name} must have the axes {' '.join(argument.shape)}; "
                f"its shape is {shape}"
            )
        for axis, length in zip(argument.shape, shape, strict=True):
            if _LETTER.fullmatch(axis) and sizes.setdefault(axis, length) != length:
                raise InputError(
                    f"axis {axis} of {argument.name} must be {sizes[axis]} as elsewhere in {spec.name}; "
                    f"got {length}"
                )
    return sizes
