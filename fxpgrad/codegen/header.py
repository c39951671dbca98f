"""The header of all C ports, written from the table of kernels: ``python -m fxpgrad.codegen.header``.

A test holds the file in the package to this text.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from pathlib import Path

import fxpgrad_kernels
from fxpgrad.codegen.signature import CArgument, c_function
from fxpgrad.files import write_atomically
from fxpgrad_kernels.registry import kernels
from fxpgrad_kernels.spec import INT_RANGES, KernelSpec

DEVICE = Path(fxpgrad_kernels.__file__).parent
HEADER = "fxpgrad_kernels.h"

_OPENING = """\
/* C99 ports of all kernels: integers only, no allocation, nothing undefined within the
 * ranges given here and what contract.md says of several arguments together.
 *
 * Arrays come first, C-contiguous, in the axes that stand beside them; then the length of every axis that is
 * a letter; then integers. The arithmetic of each is in <operator>/contract.md. Ranges are inclusive; where
 * an array says none, every value of its type is legal. Outputs must not overlap inputs, but for kernels that
 * go element by element: theirs may be in the very place of an input of the same type. Signed integers must
 * shift right arithmetically, as every compiler for every target here does.
 *
 * Written from the table of kernels by fxpgrad/codegen/header.py.
 */
#ifndef FXPGRAD_KERNELS_H
#define FXPGRAD_KERNELS_H

#include <stdint.h>

/* The ports multiply 16-bit values as int: a compiler whose int is smaller than 32 bits stops here. */
typedef char fxp_int_has_32_bits[sizeof(int) >= 4 ? 1 : -1];

#ifdef __cplusplus
extern "C" {
#endif
"""
_CLOSING = """
#ifdef __cplusplus
}
#endif

#endif
"""


def header_text(specs: Iterable[KernelSpec] | None = None) -> str:
    """Return the header that declares the ports of `specs`, or of all kernels."""
    chosen = tuple(kernels().values() if specs is None else specs)
    parts, operator = [_OPENING], ""
    for spec in chosen:
        if spec.operator != operator:
            operator = spec.operator
            parts.append(f"\n/* ---- {operator} ---- */\n")
        parts.append("\n" + prototype(spec))
    return "".join(parts) + _CLOSING


def prototype(spec: KernelSpec) -> str:
    """Return a port's declaration, one array a line."""
    function = c_function(spec)
    arrays = [argument for argument in function.arguments if argument.kind == "array"]
    others = [argument for argument in function.arguments if argument.kind != "array"]
    numbers = [argument for argument in others if argument.kind == "parameter"]
    returned = f"/* Returns {spec.returned}. */\n" if spec.returned else ""
    lines = []
    for argument in arrays:
        last = argument is arrays[-1] and not others
        lines.append(f"    {argument.declaration}{'' if last else ','} /* {_meaning(argument)} */")
    lines += _wrapped([argument.declaration for argument in others], "    ", "    ")
    if numbers:
        returned = "\n".join(_wrapped([_range(a) for a in numbers], "/* ", " * ")) + " */\n" + returned
    return f"{returned}{function.returns} {function.name}(\n" + "\n".join(lines) + ");\n"


def _wrapped(items: list[str], first: str, others: str) -> list[str]:
    """Return lines of items with commas between them, broken only between two items."""
    text = ", ".join(item.replace(" ", "\0") for item in items)
    lines = textwrap.wrap(text, 106, initial_indent=first, subsequent_indent=others)
    return [line.replace("\0", " ") for line in lines]


def _meaning(argument: CArgument) -> str:
    spec = argument.argument
    assert spec is not None
    axes = " ".join(spec.shape)
    if (spec.low, spec.high) == INT_RANGES[spec.dtype]:
        return axes
    others = f", 0 or from {spec.least}" if spec.least else ""
    return f"{axes}, in [{spec.low}, {spec.high}]{others}"


def _range(argument: CArgument) -> str:
    spec = argument.argument
    assert spec is not None
    return f"{spec.name} in [{spec.low}, {spec.high}]"


if __name__ == "__main__":
    write_atomically(DEVICE / HEADER, header_text().encode())
