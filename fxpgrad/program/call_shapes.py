"""check_call_shapes: the arrays of a call fit together, so that its kernel stays inside them.

Kernels run without bounds checks. A Program from a file may claim anything; here every letter of a
kernel's shapes ("B H W C", see `fxpgrad_kernels.spec`) is bound to one number over inputs, constants
and output, and what letters cannot say (windows, groups, blocks) is checked by operator, in
`shape_rules/`.
"""

from __future__ import annotations

import math

from fxpgrad.errors import LoweringError
from fxpgrad.program.plan import array_shapes, workspace_elements
from fxpgrad.program.program import Call, Program
from fxpgrad.program.shape_rules import (
    convolution,
    elementwise,
    movement,
    normalization,
    pooling,
    products,
    reduction,
    resize,
)
from fxpgrad.program.shape_rules.call_view import CallView, ShapeRule

GREATEST_ELEMENTS = 2**31 - 1
_FAMILIES = (convolution, elementwise, movement, normalization, pooling, products, reduction, resize)
# By folder of the kernel. Every kernel that a Program may call has a rule, if only to say that the
# letters suffice (tests/program/test_validate.py).
RULES: dict[str, ShapeRule] = {
    operator: rule for family in _FAMILIES for operator, rule in family.RULES.items()
}


def check_call_shapes(program: Program, call: Call, where: str) -> None:
    """Raise `LoweringError` unless all arrays of `call` have shapes that its kernel can take.

    `where` names the call in the message. Names, ranks and ranges of constants and parameters have
    been checked before.
    """
    sizes: dict[str, int] = {}  # of one sample; leading axes that a kernel does not know are part of B
    for name, axes, shape in call_arrays(program, call):
        if len(axes) != len(shape) or min(shape, default=1) < 1:
            raise LoweringError(f"{where}: {name} must have the axes {' '.join(axes)}; its shape is {shape}")
        for letter, size in zip(axes, shape, strict=True):
            wanted = int(letter) if letter.isdigit() else sizes.setdefault(letter, size)
            if size != wanted:
                raise LoweringError(
                    f"{where}: axis {letter} of {name} must be {wanted} as elsewhere in the call; got {size}"
                )
    constants = {role: program.constants[name].data for role, name in call.constants.items()}
    RULES[call.spec.operator](CallView(call, sizes, constants, where))
    _check_workspaces(program, call, where)


def call_arrays(program: Program, call: Call) -> list[tuple[str, tuple[str, ...], tuple[int, ...]]]:
    """Return (name, axes, shape) of each array in the rank in which the executor hands it over."""
    shapes = array_shapes(program, call)
    arrays = []
    for argument in call.spec.arguments:
        if argument.role in ("parameter", "prepared", "workspace"):
            continue
        shape = shapes[argument.name]
        if argument.role != "constant":
            if len(argument.shape) == 1:
                shape = (math.prod(shape),)
            elif len(argument.shape) < len(shape):
                rank = len(argument.shape)
                shape = (math.prod(shape[: 1 - rank]), *shape[1 - rank :])
        arrays.append((argument.name, argument.shape, shape))
    return arrays


def _check_workspaces(program: Program, call: Call, where: str) -> None:
    for name, elements in workspace_elements(program, call).items():
        if not 0 <= elements <= GREATEST_ELEMENTS:
            raise LoweringError(f"{where}: workspace {name} would need {elements} elements, beyond 2^31 - 1")
