"""check_call_shapes: the arrays of a call fit together, so that its kernel stays inside them.

Kernels run without bounds checks. A Program from a file may claim anything; here every letter of a
kernel's shapes ("B H W C", see `fxpgrad_kernels.spec`) is bound to one number over inputs, constants
and output, and what letters cannot say (windows, groups, blocks) is checked by operator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from fxpgrad.errors import LoweringError
from fxpgrad.program.plan import array_shapes, workspace_elements
from fxpgrad.program.program import Call, Program

GREATEST_ELEMENTS = 2**31 - 1
_GREATEST_AVERAGED = 2**23  # pixels whose int8 sum fits int32, see pooling/contract.md
_Sizes = Mapping[str, int]


def check_call_shapes(program: Program, call: Call, where: str) -> None:
    """Raise `LoweringError` unless all arrays of `call` have shapes that its kernel can take.

    `where` names the call in the message. Names, ranks and ranges of constants and parameters have
    been checked before.
    """
    if call.leading_axes and call.kernel != "copy_block_a8":
        raise LoweringError(f"{where}: leading_axes must be 0; got {call.leading_axes}")
    sizes: dict[str, int] = {"B": 1}
    for name, axes, shape in _arrays(program, call, where):
        if len(axes) != len(shape) or min(shape, default=1) < 1:
            raise LoweringError(f"{where}: {name} must have the axes {' '.join(axes)}; its shape is {shape}")
        for letter, size in zip(axes, shape, strict=True):
            wanted = int(letter) if letter.isdigit() else sizes.setdefault(letter, size)
            if size != wanted:
                raise LoweringError(
                    f"{where}: axis {letter} of {name} must be {wanted} as elsewhere in the call; got {size}"
                )
    rule = _RULES.get(call.spec.operator)
    if rule is not None:
        rule(call, sizes, where)
    _check_workspaces(program, call, where)


def _arrays(program: Program, call: Call, where: str) -> list[tuple[str, tuple[str, ...], tuple[int, ...]]]:
    """Return (name, axes, shape) of each array in the rank in which the executor hands it over."""
    shapes = array_shapes(program, call)
    arrays = []
    for argument in call.spec.arguments:
        if argument.role in ("parameter", "workspace"):
            continue
        shape = shapes[argument.name]
        if argument.role != "constant":
            if len(argument.shape) == 1:
                shape = (math.prod(shape),)
            elif call.kernel == "copy_block_a8":
                if not 0 <= call.leading_axes < len(shape) - 1:
                    raise LoweringError(
                        f"{where}: leading_axes {call.leading_axes} leaves {shape} no columns"
                    )
                rows = 1 + call.leading_axes
                shape = (math.prod(shape[:rows]), math.prod(shape[rows:]))
        arrays.append((argument.name, argument.shape, shape))
    return arrays


def _check_workspaces(program: Program, call: Call, where: str) -> None:
    for name, elements in workspace_elements(program, call).items():
        if not 0 <= elements <= GREATEST_ELEMENTS:
            raise LoweringError(f"{where}: workspace {name} would need {elements} elements, beyond 2^31 - 1")


def _require(condition: bool, where: str, message: str) -> None:
    if not condition:
        raise LoweringError(f"{where}: {message}")


def _conv2d(call: Call, sizes: _Sizes, where: str) -> None:
    groups, depth = call.parameters["groups"], sizes["C/G"]
    _require(
        depth * groups == sizes["C"] and sizes["O"] % groups == 0,
        where,
        f"{groups} groups of {depth} channels do not fit {sizes['C']} channels and {sizes['O']} filters",
    )


def _depthwise_conv2d(call: Call, sizes: _Sizes, where: str) -> None:
    _require(
        sizes["O"] % sizes["C"] == 0,
        where,
        f"{sizes['O']} output channels are no multiple of the {sizes['C']} input channels",
    )
    _require(sizes["KH"] * sizes["KW"] < 2**16, where, "a filter must have fewer than 2^16 taps")


def _pooling(call: Call, sizes: _Sizes, where: str) -> None:
    if "OH" not in sizes:
        _require(sizes["H"] * sizes["W"] <= _GREATEST_AVERAGED, where, "an image of more than 2^23 pixels")
        return
    for size, stride, pad, extent, count in (
        ("size_h", "stride_h", "pad_top", "H", "OH"),
        ("size_w", "stride_w", "pad_left", "W", "OW"),
    ):
        before = call.parameters[pad]
        last = (sizes[count] - 1) * call.parameters[stride] - before
        _require(
            before < call.parameters[size] and last < sizes[extent],
            where,
            f"a window along {extent} holds only padding ({pad} {before}, last window at {last})",
        )


def _shape(call: Call, sizes: _Sizes, where: str) -> None:
    if call.kernel == "pad_a8":
        p = call.parameters
        wanted = (sizes["H"] + p["pad_top"] + p["pad_bottom"], sizes["W"] + p["pad_left"] + p["pad_right"])
        given = (sizes["OH"], sizes["OW"])
        _require(given == wanted, where, f"the padded image must be {wanted}; the output is {given}")
    elif call.kernel == "copy_block_a8":
        end = call.parameters["column"] + sizes["I"]
        _require(end <= sizes["O"], where, f"the block ends at column {end} of {sizes['O']}")


_RULES: dict[str, Callable[[Call, _Sizes, str], None]] = {
    "conv2d": _conv2d,
    "depthwise_conv2d": _depthwise_conv2d,
    "pooling": _pooling,
    "shape": _shape,
}
