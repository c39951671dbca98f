"""Values and remarks as C text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH = 110
_LOWEST = {-(2**31): "INT32_MIN", -(2**63): "INT64_MIN"}  # C has no literal for them


def literal(value: int) -> str:
    """Return an integer as a C expression."""
    return _LOWEST.get(int(value), str(int(value)))


def remark(text: str) -> str:
    """Return text that can stand in a comment, whatever a model file calls its layers."""
    plain = "".join(letter if " " <= letter <= "~" else "?" for letter in text)
    for ending in ("*/", "/*", "??/"):
        plain = plain.replace(ending, "_")
    return plain.replace("\\", "_")


def comment(text: str, indent: str = "") -> str:
    """Return plain text as a comment of lines that are no longer than `WIDTH`, a word permitting."""
    line = f"{indent}/* {text} */"
    if len(line) <= WIDTH:
        return f"{line}\n"
    return f"{_filled(text, f'{indent}/* ', f'{indent} * ')} */\n"


def comment_lines(text: str) -> str:
    """Return plain text as lines within a comment."""
    return f"{_filled(text, ' * ', ' * ')}\n"


def _filled(text: str, first: str, other: str) -> str:
    lines = textwrap.wrap(
        text,
        WIDTH - len(" */"),
        initial_indent=first,
        subsequent_indent=other,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines)


def noted(code: str, note: str) -> str:
    """Return a line of code with a comment behind it, or above it where both would be longer than `WIDTH`."""
    line = f"{code} /* {note} */\n"
    return line if len(line) <= WIDTH + 1 else f"{comment(note)}{code}\n"


def string(text: str) -> str:
    """Return text as a C string literal of printable ASCII."""
    return '"' + remark(text).replace('"', "'").replace("%", "_").replace("?", "_") + '"'


def shape_text(shape: Sequence[int]) -> str:
    """Return [49, 10, 1]."""
    return f"[{', '.join(map(str, shape))}]"


def wrapped(items: Iterable[str], indent: str) -> str:
    """Return items with commas between them in lines that leave room for ");", none broken within an item."""
    text = ", ".join(item.replace(" ", "\0") for item in items)
    lines = textwrap.wrap(
        text,
        WIDTH - len(");"),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines).replace("\0", " ")


def values_text(values: NDArray[Any], indent: str = "    ") -> str:
    """Return the integers of an array in lines, in C order."""
    return "\n".join(_number_lines([literal(value) for value in values.ravel().tolist()], indent))


def _number_lines(numbers: list[str], indent: str) -> list[str]:
    """Return equally many numbers a line, right-aligned: columns are easier to read and to compare."""
    width = max(map(len, numbers), default=0)
    per_line = max(1, (WIDTH - len(indent)) // (width + 2))
    per_line = 1 << (per_line.bit_length() - 1)
    return [
        indent + ", ".join(number.rjust(width) for number in numbers[start : start + per_line]) + ","
        for start in range(0, len(numbers), per_line)
    ]


def array_definition(storage: str, name: str, values: NDArray[Any]) -> str:
    """Return the definition of an initialized flat array: ``static const int8_t name[3] = {...};``."""
    ctype = f"{np.dtype(values.dtype).name}_t"
    return f"{storage} {ctype} {name}[{values.size}] = {{\n{values_text(values)}\n}};\n"
