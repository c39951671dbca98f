"""The C files of a model: its header, its constants, and the functions that run it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import fxpgrad
from fxpgrad.codegen.c_names import unique_names
from fxpgrad.codegen.c_text import array_definition, comment, noted, remark, shape_text
from fxpgrad.codegen.header import HEADER
from fxpgrad.codegen.model_text import ARENA, IDLE, ModelText
from fxpgrad.errors import InputError
from fxpgrad.program.layer_names import short_name
from fxpgrad.program.program import TensorInfo

KERNELS = "kernels"
WATCH = "WATCH"


def written_by() -> str:
    """Return who writes these files."""
    return f"Written by fxpgrad {fxpgrad.__version__} (fxpgrad export-c)."


def ends(text: ModelText, role: str) -> dict[str, str]:
    """Return what each input or output is called after the prefix, by tensor name.

    role: "input" or "output". The only one is called just that, others have their own names behind it.
    """
    names = text.program.inputs if role == "input" else text.program.outputs
    return {names[0]: role} if len(names) == 1 else unique_names(names, f"{role}_")


def header(text: ModelText, more: str = "") -> str:
    """Return the model's header: sizes, labels, the functions that a user calls, and `more`."""
    program, prefix, macro = text.program, text.prefix, text.macro
    parts = [
        f"/* {remark(program.name)}: integers under the rounding profile {program.profile}.\n"
        f" * {written_by()}\n"
        " *\n"
        f" * Write the inputs, call {prefix}_infer, read the outputs. All lie in one static arena, and an\n"
        " * input's place is used again during an inference: write it before each.\n"
        " * Scales are labels: no code here reads them.\n"
        " */\n"
        f"#ifndef {macro}_H\n#define {macro}_H\n\n#include <stdint.h>\n\n"
        '#ifdef __cplusplus\nextern "C" {\n#endif\n\n'
        f"#define {macro}_ARENA_BYTES {text.arena_bytes}\n"
        f"#define {macro}_CONSTANT_BYTES {text.constant_bytes}\n"
    ]
    for role in ("input", "output"):
        for name, end in ends(text, role).items():
            parts.append(_end_declaration(text, program.tensors[name], role, end))
    if program.variables:
        parts.append(
            "\n/* Give every variable its first value: before the first inference, and to start afresh. */\n"
            f"void {prefix}_reset(void);\n"
        )
    parts.append(f"\n/* Run all layers. */\nvoid {prefix}_infer(void);\n")
    parts.append(
        f"\n#ifdef {macro}_{WATCH}\n"
        f"/* {prefix}_infer calls this, which you define, on what each layer has made. */\n"
        f"void {prefix}_watch(int32_t layer, const void *values, int32_t elements, int32_t element_bytes);\n"
        "#endif\n"
    )
    parts.append(f"{more}\n#ifdef __cplusplus\n}}\n#endif\n\n#endif\n")
    return "".join(parts)


def _end_declaration(text: ModelText, info: TensorInfo, role: str, end: str) -> str:
    macro = f"{text.macro}_{end.upper()}"
    const = "" if role == "input" else "const "
    title = f"{role.capitalize()} {remark(info.name)}: {info.outer_dtype} {shape_text(info.shape)}"
    return (
        f"\n{comment(title)}"
        f"#define {macro}_SIZE {info.elements}\n"
        f"#define {macro}_ZERO_POINT ({outer_zero_point(info)})\n"
        f"#define {macro}_SCALE {info.scale!r} /* real = scale * (value - zero point) */\n"
        f"{const}{info.outer_dtype}_t *{text.prefix}_{end}(void);\n"
    )


def outer_zero_point(info: TensorInfo) -> int:
    """Return the zero point of the values that users see."""
    return info.zero_point + 128 if info.unsigned else info.zero_point


def constants_file(text: ModelText) -> str:
    """Return the file with all constants, which the model's source includes."""
    program = text.program
    parts = [
        f"/* The constants of {remark(program.name)}: {text.constant_bytes} bytes; "
        f"{text.prefix}.c includes them.\n * {written_by()}\n */\n"
    ]
    for name in text.constant_names:
        constant = program.constants[name]
        title = f"{remark(short_name(name))}: {constant.data.dtype.name} {shape_text(constant.data.shape)}"
        parts.append(
            comment(title) + array_definition(text.storage(name), text.constant_names[name], constant.data)
        )
    return "\n".join(parts)


def source(text: ModelText, memory: str = "", more: str = "") -> str:
    """Return the model's source: arena, inputs and outputs, and the layers one after the other.

    memory: further definitions behind the arena's; more: what goes to the end.

    Raises
    ------
    InputError
        A variable is an output that is uint8 outside: its bits would flip again in every inference.
    """
    program, prefix = text.program, text.prefix
    flipped = [name for name in program.outputs if program.tensors[name].unsigned]
    for name in flipped:
        if name in program.variables:
            raise InputError(f"variable {name} is an output of type uint8, which has no C form")
    parts = [
        f"/* {remark(program.name)}: {len(program.calls)} layers under the profile {program.profile}.\n"
        f" * {written_by()}\n *\n"
        f" * Memory first, then inputs and outputs, then {prefix}_infer: one call for each layer. Tensors\n"
        f" * (t_...) lie in the arena, constants (c_...) in {prefix}_constants.h, kernels in {KERNELS}/.\n"
        " */\n"
        f'#include "{prefix}.h"\n#include "{prefix}_constants.h"\n#include "{KERNELS}/{HEADER}"\n',
        arena(text),
        memory,
        accessors(text),
        _reset(text) if program.variables else "",
        _inference(text, flipped),
        more,
    ]
    return "\n".join(part for part in parts if part)


def arena(text: ModelText) -> str:
    """Return the definition of the arena and of every tensor's place in it."""
    program, blocks, peak = text.program, text.plan.blocks, text.arena_bytes
    dtypes = sorted(text.dtypes, key=_width)
    lines = [
        "/* One arena: tensors that are never needed at the same time share bytes of it. */\n",
        "static union {\n",
        *(f"    {dtype}_t {dtype}[{peak // _width(dtype)}];\n" for dtype in dtypes),
        f"}} {ARENA};\n\n",
    ]
    for name, info in program.tensors.items():
        block = blocks[name]
        lines.append(
            noted(
                f"static {info.dtype}_t *const {text.tensor_names[name]} = {text.place(name)};",
                f"{shape_text(info.shape)}, {_lifetime(text, block.first_call, block.last_call)}",
            )
        )
    return "".join(lines)


def _width(dtype: str) -> int:
    return int(dtype.removeprefix("int")) // 8


def _lifetime(text: ModelText, first: int, last: int) -> str:
    end = "the end" if last >= len(text.program.calls) else f"layer {last}"
    return f"layer {first} to {end}"


def accessors(text: ModelText) -> str:
    """Return the functions that give the places of inputs and outputs."""
    parts = ["/* ---- inputs and outputs ---- */\n"]
    for role, const in (("input", ""), ("output", "const ")):
        for name, end in ends(text, role).items():
            info = text.program.tensors[name]
            place = text.tensor_names[name]
            if info.unsigned:
                place = f"(uint8_t *){place}"
            parts.append(f"{const}{info.outer_dtype}_t *{text.prefix}_{end}(void) {{ return {place}; }}\n")
    return "".join(parts)


def _reset(text: ModelText) -> str:
    lines = [f"void {text.prefix}_reset(void) {{\n"]
    for name, value in text.program.variables.items():
        count = text.program.tensors[name].elements
        place = text.tensor_names[name]
        lines.append(f"    for (int32_t i = 0; i < {count}; i++) {{\n        {place}[i] = {value};\n    }}\n")
    return "".join([*lines, "}\n"])


_FLIP = """\
/* uint8 outside, int8 and 128 less inside: the highest bit flips. */
static void flip(uint8_t *values, int32_t elements) {
    for (int32_t i = 0; i < elements; i++) {
        values[i] = (uint8_t)(values[i] ^ 0x80);
    }
}

"""


def _inference(text: ModelText, flipped_outputs: list[str]) -> str:
    program, macro = text.program, f"{text.macro}_{WATCH}"
    flipped_inputs = [name for name in program.inputs if program.tensors[name].unsigned]
    parts = [
        f"/* ---- layers ---- */\n#ifdef {macro}\n"
        f"#define {WATCH}(layer, values, elements) "
        f"{text.prefix}_watch(layer, values, elements, (int32_t)sizeof *(values))\n"
        f"#else\n#define {WATCH}(layer, values, elements) ((void)(values))\n#endif\n\n",
        _FLIP if flipped_inputs or flipped_outputs else "",
        f"void {text.prefix}_infer(void) {{\n",
        *(_flip(text, name) for name in flipped_inputs),
        "\n".join(layer_text(text, index) for index in range(len(program.calls))),
        *(_flip(text, name) for name in flipped_outputs),
        "}\n",
    ]
    return "".join(parts)


def _flip(text: ModelText, name: str) -> str:
    return f"    flip((uint8_t *){text.tensor_names[name]}, {text.program.tensors[name].elements});\n"


def layer_text(text: ModelText, index: int, replaced: Mapping[str, str] | None = None) -> str:
    """Return a layer's comment, call and watch; `replaced` as in `ModelText.call_text`."""
    call = text.program.calls[index]
    body = IDLE if text.is_idle(call) else text.call_text(call, replaced)
    watched = "".join(
        f"    {WATCH}({index}, {text.tensor_names[name]}, {text.program.tensors[name].elements});\n"
        for name in watched_tensors(text, index)
    )
    return f"{comment(text.title(index), '    ')}{body}{watched}"


def watched_tensors(text: ModelText, index: int) -> Iterable[str]:
    """Return the tensors that a layer has finished: its output, unless a later one adds to it, states."""
    program = text.program
    call = program.calls[index]
    last = max(i for i, other in enumerate(program.calls) if other.output == call.output)
    states = call.inputs[len(call.spec.of_role("input")) :]
    return (*((call.output,) if index == last else ()), *states)
