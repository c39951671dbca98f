"""Vectors as one C header: an array for each argument, and a table of cases. C99, no other file needed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from fxpgrad.codegen.c_text import remark
from fxpgrad.codegen.signature import bound_sizes, c_function
from fxpgrad.conformance.calls import keywords
from fxpgrad.conformance.vectors import VectorCase, Vectors
from fxpgrad.errors import InputError
from fxpgrad_kernels.registry import kernel_named
from fxpgrad_kernels.spec import KernelSpec

PER_LINE = 16
MOST_VALUES = 4_000_000  # beyond, compilers take minutes and gigabytes
_TYPES = {name: f"{name}_t" for name in ("int8", "uint8", "int16", "int32", "uint32", "int64")}


def header_file(vectors: Vectors) -> str:
    """Return the header's text.

    Raises
    ------
    InputError
        It would have more than four million values.
    """
    total = sum(a.size for case in vectors.cases for a in (*case.arrays.values(), *case.expected.values()))
    if total > MOST_VALUES:
        raise InputError(
            f"a C header of {total:,} values is more than compilers bear ({MOST_VALUES:,}): "
            "leave h out of --format, or ask for fewer --cases"
        )
    name = identifier(vectors.name)
    body = _kernel_text(vectors, name) if vectors.kind == "kernel" else _model_text(vectors, name)
    guard = f"FXPGRAD_VECTORS_{name.upper()}_H"
    parts = [_opening(vectors), f"#ifndef {guard}\n#define {guard}\n\n#include <stdint.h>\n", *body]
    return "\n".join([*parts, f"#endif /* {guard} */\n"])


def identifier(name: str) -> str:
    """Return a name that C takes."""
    cleaned = re.sub(r"[^0-9A-Za-z_]", "_", name)
    return cleaned if cleaned[:1].isalpha() else f"m_{cleaned}"


def _opening(vectors: Vectors) -> str:
    """Return the comment at the top: what this is and where it comes from."""
    lines = [f"Golden vectors of the {vectors.kind} {remark(vectors.name)}: {len(vectors.cases)} cases."]
    lines += [
        f"{key}: {remark(str(value))}" for key, value in vectors.provenance.items() if value is not None
    ]
    return "/* " + "\n * ".join(lines) + "\n */"


def _literal(value: int, dtype: str) -> str:
    if dtype == "int32" and value == -(2**31):
        return "INT32_MIN"
    if dtype == "int64":
        return "INT64_MIN" if value == -(2**63) else f"INT64_C({value})"
    return f"{value}u" if dtype == "uint32" else str(value)


class _Arrays:
    """The arrays of a header; equal ones are written once."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, bytes], str] = {}
        self.text: list[str] = []

    def name_of(self, wanted: str, values: NDArray[Any]) -> str:
        """Return the name of an array with these values, which is written if it is new."""
        dtype = values.dtype.name
        key = (dtype, values.tobytes())
        if key not in self._names:
            self._names[key] = wanted
            literals = [_literal(value, dtype) for value in values.ravel().tolist()] or ["0"]
            rows = [literals[at : at + PER_LINE] for at in range(0, len(literals), PER_LINE)]
            lines = ",\n".join("    " + ", ".join(row) for row in rows)
            self.text.append(f"static const {_TYPES[dtype]} {wanted}[{len(literals)}] = {{\n{lines}\n}};\n")
        return self._names[key]


def _table(kind: str, name: str, count: str, rows: Iterable[str]) -> str:
    """Return a constant array of structs."""
    return f"static const {kind} {name}[{count}] = {{\n" + "".join(f"{row}\n" for row in rows) + "};\n"


@dataclass(frozen=True, slots=True)
class _Field:
    """A member of a kernel's case: what it is called and of which type; what it holds of which argument."""

    name: str
    ctype: str
    holds: Literal["array", "before", "number", "size", "expected", "elements"]
    key: str


def _fields(spec: KernelSpec, case: VectorCase) -> list[_Field]:
    """Return the members: arguments as the C signature has them, then what is expected."""
    fields = []
    for argument in c_function(spec).arguments:
        if argument.kind == "size":
            fields.append(_Field(argument.name, argument.ctype, "size", argument.name))
        elif argument.kind == "parameter":
            fields.append(_Field(argument.name, argument.ctype, "number", argument.name))
        elif argument.name not in case.arrays:
            if "before" in keywords(spec, case.arguments):
                fields.append(_Field(f"before_{argument.name}", argument.ctype, "before", "before"))
        else:
            fields.append(_Field(argument.name, argument.ctype, "array", argument.name))
    for key, values in case.expected.items():
        fields.append(_Field(f"expected_{key}", _TYPES[values.dtype.name], "expected", key))
        fields.append(_Field(f"expected_{key}_elements", "int32_t", "elements", key))
    return fields


def _kernel_text(vectors: Vectors, name: str) -> list[str]:
    spec, arrays = kernel_named(vectors.name), _Arrays()
    fields = _fields(spec, vectors.cases[0])
    rows = []
    for case in vectors.cases:
        values = [("name", json.dumps(case.name))]
        values += [(field.name, _value(spec, field, case, name, arrays)) for field in fields]
        rows.append("    {\n" + "".join(f"        .{key} = {value},\n" for key, value in values) + "    },")
    table = _table(f"{name}_case", f"{name}_cases", f"{name.upper()}_CASES", rows)
    return [_kernel_types(spec, vectors, fields, name), *arrays.text, table]


def _value(spec: KernelSpec, field: _Field, case: VectorCase, name: str, arrays: _Arrays) -> str:
    if field.holds in ("array", "before", "expected"):
        held = case.expected if field.holds == "expected" else case.arrays
        return arrays.name_of(f"{name}_{case.name}_{field.name}", held[field.key])
    if field.holds == "elements":
        return str(case.expected[field.key].size)
    if field.holds == "size":
        shapes = {key: values.shape for key, values in case.arrays.items()} | case.arguments["shapes"]
        return str(bound_sizes(spec, shapes)[field.key])
    return _literal(int(case.arguments[field.key]), field.ctype.removesuffix("_t"))


def _kernel_types(spec: KernelSpec, vectors: Vectors, fields: list[_Field], name: str) -> str:
    members = "    const char *name;\n"
    for field in fields:
        pointer = field.holds in ("array", "before", "expected")
        members += (
            f"    const {field.ctype} *{field.name};\n" if pointer else f"    {field.ctype} {field.name};\n"
        )
    most = "".join(
        f"    {name.upper()}_MOST_{key.upper()} = {max(case.expected[key].size for case in vectors.cases)},\n"
        for key in vectors.cases[0].expected
    )
    return f"""\
/* Call {c_function(spec).name} or your own function with the members of each case in this order, and compare
 * what it writes with expected_...; copy first what it rewrites in place, and before_... into the output. */
typedef struct {{
{members}}} {name}_case;

/* Cases, and the most elements of what is written. */
enum {{
    {name.upper()}_CASES = {len(vectors.cases)},
{most}}};
"""


def _model_text(vectors: Vectors, name: str) -> list[str]:
    arrays, lists, rows = _Arrays(), list[str](), list[str]()
    for case in vectors.cases:
        counts = []
        for role, tensors in (("inputs", case.arrays), ("layers", case.expected)):
            listed = f"{name}_{case.name}_{role}"
            entries = []
            for number, (key, values) in enumerate(tensors.items()):
                held = arrays.name_of(f"{listed}_{number}", values)
                entries.append(
                    f"    {{{_string(key)}, {_string(values.dtype.name)}, {values.size}, {held}}},"
                )
            lists.append(_table(f"{name}_tensor", listed, str(len(entries)), entries))
            counts += [str(len(entries)), listed]
        rows.append(f"    {{{_string(case.name)}, {', '.join(counts)}}},")
    types = f"""\
/* A tensor: its name, type, elements and values. */
typedef struct {{
    const char *name;
    const char *type;
    int32_t elements;
    const void *values;
}} {name}_tensor;

/* A case: inputs, and every layer's output in the order in which they are computed. */
typedef struct {{
    const char *name;
    int32_t input_count;
    const {name}_tensor *inputs;
    int32_t layer_count;
    const {name}_tensor *layers;
}} {name}_case;

enum {{ {name.upper()}_CASES = {len(vectors.cases)} }};
"""
    table = _table(f"{name}_case", f"{name}_cases", f"{name.upper()}_CASES", rows)
    return [types, *arrays.text, *lists, table]


def _string(text: str) -> str:
    """Return a C string literal; what is not ASCII becomes "?"."""
    shown = "".join(letter if " " <= letter <= "~" else "?" for letter in text)
    return '"' + shown.replace("\\", "\\\\").replace('"', '\\"').replace("??", "?\\?") + '"'
