"""A case as text that can be taken elsewhere: Python that runs it again, and a C header."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.codegen.signature import c_function, size_letters
from fxpgrad.conformance.calls import Case, keywords
from fxpgrad.conformance.conform import Setup
from fxpgrad.conformance.definition import Arrays, given_arrays, parameters_of
from fxpgrad_kernels.spec import KernelSpec

_C_WIDTH = 100


def python_reproduction(spec: KernelSpec, case: Case, target: str | None, setup: Setup) -> str:
    """Return a Python program that runs a target on one case and says what is wrong."""
    lines = ["import numpy as np", "", "from fxpgrad.testing import Setup, check_case", "", "case = {"]
    told: dict[str, Any] = {
        **given_arrays(spec, case),
        **parameters_of(spec, case),
        **keywords(spec, case),
        "shapes": {name: tuple(int(n) for n in shape) for name, shape in case["shapes"].items()},
    }
    lines += [f"    {name!r}: {_python(value)}," for name, value in told.items()]
    lines.append("}")
    changed = {
        name: getattr(setup, name)
        for name in Setup.__slots__
        if getattr(setup, name) != getattr(Setup(), name)
    }
    extra = ", ".join(f"{name}={value!r}" for name, value in changed.items())
    lines.append(f"check_case({target!r}, {spec.name!r}, case{f', Setup({extra})' if extra else ''})")
    return "\n".join(lines) + "\n"


def _python(value: Any) -> str:
    if isinstance(value, np.ndarray):
        if value.size > 1 and (value == value.flat[0]).all():
            return f"np.full({value.shape}, {value.flat[0]}, np.{value.dtype})"
        if value.size == 0:
            return f"np.zeros({value.shape}, np.{value.dtype})"
        return f"np.array({value.tolist()}, np.{value.dtype})"
    if isinstance(value, tuple):
        return repr(tuple(int(part) for part in value))
    return repr(value) if isinstance(value, dict) else repr(int(value))


def c_header(spec: KernelSpec, case: Case, expected: Arrays, comment: str) -> str:
    """Return a C header with a case's arrays, lengths and parameters, and what must come out."""
    guard = f"FXP_CASE_{spec.name.upper()}_H"
    lines = [
        f"/* {_comment(comment)} */",
        f"#ifndef {guard}",
        f"#define {guard}",
        "",
        "#include <stdint.h>",
        "",
    ]
    shapes = dict[str, tuple[int, ...]]()
    for name, values in given_arrays(spec, case).items():
        lines += _c_array(f"case_{name}", values)
        shapes[name] = values.shape
    for name, values in expected.items():
        lines += _c_array(f"case_expected_{name}", values)
        shapes[name] = values.shape
    function = c_function(spec)
    sizes: dict[str, int] = {}
    for argument in function.arguments:
        if argument.kind == "array" and argument.argument is not None:
            sizes.update(zip(argument.argument.shape, shapes[argument.name], strict=True))
    lines += [f"#define CASE_{letter} {sizes[letter]}" for letter in size_letters(spec)]
    lines += [f"#define CASE_{name.upper()} {_c_integer(v)}" for name, v in parameters_of(spec, case).items()]
    arguments = ", ".join(_c_argument(argument.name, argument.kind, spec) for argument in function.arguments)
    lines += ["", f"/* {function.name}({arguments}); */", "", "#endif"]
    return "\n".join(lines) + "\n"


def _c_argument(name: str, kind: str, spec: KernelSpec) -> str:
    if kind != "array":
        return f"CASE_{name.upper() if kind == 'parameter' else name}"
    outputs = {argument.name for argument in spec.of_role("output")}
    return name if name in outputs else f"case_{name}"


def _c_array(name: str, values: NDArray[Any]) -> list[str]:
    shape = " ".join(str(n) for n in values.shape)
    numbers = [_c_integer(int(value)) for value in values.ravel()] or ["0"]
    lines = [f"/* {shape} */", f"static const {values.dtype}_t {name}[{max(values.size, 1)}] = {{"]
    line = "   "
    for number in numbers:
        if len(line) + len(number) + 2 > _C_WIDTH:
            lines.append(line)
            line = "   "
        line += f" {number},"
    return [*lines, line, "};"]


def _c_integer(value: int) -> str:
    """Return an integer as C text: the least of a type is not a literal."""
    if value == -(2**63):
        return "INT64_MIN"
    if value == -(2**31):
        return "INT32_MIN"
    return f"INT64_C({value})" if abs(value) >= 2**31 else str(value)


def _comment(text: str) -> str:
    return text.replace("*/", "* /").replace("\n", " ")
