"""What a kernel is, as data: its arguments in order, their types, shapes and integer ranges.

The executor binds arguments by this table, the planner sizes workspaces from it, the tests draw
legal inputs from it, and the C signatures and the conformance harness read the same table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Role = Literal["input", "constant", "state", "prepared", "workspace", "output", "parameter"]
Shapes = Mapping[str, tuple[int, ...]]
Parameters = Mapping[str, int]
WorkspaceRule = Callable[[Shapes, Parameters], Mapping[str, int]]

INT_RANGES: dict[str, tuple[int, int]] = {
    name: (int(np.iinfo(name).min), int(np.iinfo(name).max))
    for name in ("int8", "uint8", "int16", "int32", "int64", "uint32")
}


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a kernel.

    `shape` holds one letter (or product of letters) per axis and is empty for a scalar;
    `low` and `high` bound every element, inclusive; one that is not 0 is of at least the magnitude `least`.
    """

    name: str
    role: Role
    dtype: str
    shape: tuple[str, ...]
    low: int
    high: int
    least: int = 0

    def example(self) -> Any:
        """Return a smallest value of the right type: what the compiler needs to know."""
        if self.role == "parameter":
            return 0
        return np.zeros((1,) * len(self.shape), self.dtype)


def array(
    name: str,
    role: Role,
    dtype: str,
    shape: str,
    low: int | None = None,
    high: int | None = None,
    least: int = 0,
) -> Argument:
    """Describe an array argument; `shape` is written "B H W C", the range defaults to the type's."""
    lowest, highest = INT_RANGES[dtype]
    return Argument(
        name,
        role,
        dtype,
        tuple(shape.split()),
        lowest if low is None else low,
        highest if high is None else high,
        least,
    )


def parameter(name: str, low: int, high: int) -> Argument:
    """Describe an integer scalar that is fixed when a Program is made (int64 in the kernel)."""
    return Argument(name, "parameter", "int64", (), low, high)


def aligned_zeros(elements: int, dtype: str) -> NDArray[Any]:
    """Return a flat array of zeros that starts on a cache line."""
    size = np.dtype(dtype).itemsize * elements
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype)


@dataclass(frozen=True, slots=True)
class Records:
    """How a kernel is prepared for other constants with the same weights, whose order is left alone.

    Attributes
    ----------
    function : Numba dispatcher
        Called positionally with `KernelSpec.record_arguments`: the constants, all prepared arrays as
        `Preparation.function` has written them for the same weights and parameters, the new record, and the
        parameters. Writes every element of the new record, as `Preparation.function` would, and reads
        none of it.
    array : str
        The one prepared array that depends on other constants than the weights.
    """

    function: Any
    array: str


@dataclass(frozen=True, slots=True)
class Preparation:
    """How a kernel's constants are put into the order in which it reads them, once for many calls.

    Attributes
    ----------
    function : Numba dispatcher
        Called positionally with the spec's arguments of the roles constant, prepared and parameter, in
        the spec's order. Writes every element of the prepared arrays and reads none of them.
    elements : callable
        ``(shapes of the constants by name, parameters by name) -> elements by prepared name``.
    part : int
        If not 0, channels (the first axis of every constant) may be prepared in parts, so many or a
        multiple of it at a time: the parts' prepared arrays, one behind the other, are those of the whole.
        With groups only a whole layer can be prepared.
    records : Records, optional
        For a kernel with weights.
    """

    function: Any
    elements: WorkspaceRule
    part: int = 0
    records: Records | None = None


@dataclass(frozen=True, slots=True)
class KernelSpec:
    """A registered kernel.

    Attributes
    ----------
    name : str
        ``<operator>_a<activation bits>w<weight bits>`` or ``<operator>_a<bits>``.
    operator : str
        The folder that holds contract, reference and kernel.
    function : Numba dispatcher
        Called with the arguments in order, positionally. Returns None, or an int that the
        contract defines.
    reference : callable
        The definition: takes the same arguments without workspaces and outputs, returns the
        output array (a tuple of arrays for several outputs). A kernel that rewrites a state in place
        returns (output, new state).
    arguments : tuple of Argument
    preparation : Preparation, optional
        For a kernel with arguments of role "prepared".
    workspace : callable, optional
        ``(shapes by argument name, parameters by name) -> elements by workspace name``; shapes are
        those of the arrays with batch 1, and a workspace never grows with the batch.
    in_place : str
        The input that the kernel rewrites, if any; its reference returns it before the outputs.
    returned : str
        What the integer is that the function returns, if it returns one.
    """

    name: str
    operator: str
    function: Any
    reference: Callable[..., Any]
    arguments: tuple[Argument, ...]
    workspace: WorkspaceRule | None = None
    preparation: Preparation | None = None
    in_place: str = ""
    returned: str = ""

    def of_role(self, role: Role) -> tuple[Argument, ...]:
        """Return the arguments of one role, in order."""
        return tuple(argument for argument in self.arguments if argument.role == role)

    def prepare(
        self, constants: Mapping[str, NDArray[Any]], parameters: Parameters
    ) -> dict[str, NDArray[Any]]:
        """Return new prepared arrays by name, flat and 64-byte aligned; empty if the kernel takes none."""
        if self.preparation is None:
            return {}
        shapes = {argument.name: constants[argument.name].shape for argument in self.of_role("constant")}
        sizes = self.preparation.elements(shapes, parameters)
        prepared = {a.name: aligned_zeros(sizes[a.name], a.dtype) for a in self.of_role("prepared")}
        self.prepare_into(prepared, constants, parameters)
        return prepared

    def prepare_into(
        self,
        prepared: Mapping[str, NDArray[Any]],
        constants: Mapping[str, NDArray[Any]],
        parameters: Parameters,
    ) -> None:
        """Write the prepared arrays of other constants of the same shapes."""
        assert self.preparation is not None
        values = {**constants, **prepared, **parameters}
        roles = ("constant", "prepared", "parameter")
        self.preparation.function(*(values[a.name] for a in self.arguments if a.role in roles))

    @property
    def record_arguments(self) -> tuple[Argument, ...]:
        """The arguments of `Records.function`: the new record is called "new_" and the array's name."""
        assert self.preparation is not None
        assert self.preparation.records is not None
        name = self.preparation.records.array
        prepared = self.of_role("prepared")
        new = next(replace(a, name=f"new_{name}") for a in prepared if a.name == name)
        return (*self.of_role("constant"), *prepared, new, *self.of_role("parameter"))

    def example_arguments(self) -> tuple[Any, ...]:
        """Return smallest arguments of the right types, for compiling without running."""
        return tuple(argument.example() for argument in self.arguments)
