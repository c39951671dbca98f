"""The calling convention of the C ports: docs/c-ports.md, as plans for any library that follows it."""

from __future__ import annotations

from typing import Any, Protocol

from fxpgrad.codegen.signature import bound_sizes, c_function
from fxpgrad.conformance.call_plan import CallPlan, Value
from fxpgrad.conformance.calls import Case
from fxpgrad.conformance.definition import Arrays
from fxpgrad_kernels.spec import KernelSpec


class Abi(Protocol):
    """How a library's function for one kernel is called."""

    symbol: str

    def plan(self, case: Case, arrays: Arrays) -> CallPlan:
        """Return the call of a case whose arrays are `arrays`."""

    def adapted(self, case: dict[str, Any]) -> dict[str, Any]:
        """Return the case as near to it as the function can take."""

    def refusal(self, case: Case) -> str:
        """Return why the function cannot take a case; "" if it can."""


class PortAbi:
    """Calls a function as the C port of its kernel is called."""

    def __init__(self, spec: KernelSpec, symbol: str | None = None) -> None:
        self._spec = spec
        self._function = c_function(spec)
        self.symbol = symbol or self._function.name

    def plan(self, case: Case, arrays: Arrays) -> CallPlan:
        """Return arrays, lengths and parameters in the port's order."""
        sizes = bound_sizes(self._spec, {name: values.shape for name, values in arrays.items()})
        taken: list[Value] = []
        for argument in self._function.arguments:
            if argument.kind == "array":
                taken.append(["array", argument.name])
            else:
                source = sizes if argument.kind == "size" else case
                taken.append([argument.ctype.removesuffix("_t"), int(source[argument.name])])
        return CallPlan(self.symbol, taken, "int64" if self._spec.returned else "void")

    def adapted(self, case: dict[str, Any]) -> dict[str, Any]:
        """Return the case: ports take all."""
        return case

    def refusal(self, case: Case) -> str:
        """Return "": ports take all."""
        del case
        return ""
