"""README.md of a C project: how to build it, and what it needs, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence

from fxpgrad.codegen.build_files import Executable
from fxpgrad.codegen.c_text import remark, shape_text, wrapped
from fxpgrad.codegen.memory_need import LayerNeed, layer_needs
from fxpgrad.codegen.model_source import KERNELS, ends, outer_zero_point, written_by
from fxpgrad.codegen.model_text import ModelText
from fxpgrad.program.layer_names import short_name


def readme(
    text: ModelText, programs: Sequence[Executable], kernel_files: Sequence[str], training: str = ""
) -> str:
    """Return the README; `training` is what it says about training."""
    program, prefix = text.program, text.prefix
    parts = [
        f"# {_cell(program.name)} in C\n\n"
        f"{len(program.calls)} layers under the rounding profile `{program.profile}`; the results are those\n"
        "of `fxpgrad run`, bit for bit. C99 with `stdint.h` and nothing else: integers only, no allocation.\n"
        f"{written_by()}\n\n"
        "```sh\nmake check              # builds and runs the self-test\n"
        "make infer && ./infer IN.bin OUT.bin\n"
        "make size               # code, constants and RAM as this compiler makes them\n"
        "cmake -B build && cmake --build build && ctest --test-dir build\n```\n\n"
        f'```c\n#include "{prefix}.h"\n\n',
        f"{prefix}_reset();            /* once: this model keeps state */\n" if program.variables else "",
        _use(text, "input", "write", "to"),
        f"{prefix}_infer();\n",
        _use(text, "output", "read", "from"),
        "```\n\n",
        f"An input's place in memory is used again during `{prefix}_infer`: write every input before every\n"
        "inference.\n\n",
        _ends_table(text),
        training,
        "\n## Memory\n\n",
        f"| what | bytes |\n|---|---:|\n| RAM: the arena | {text.arena_bytes:,} |\n"
        f"| flash: constants{', first values of trained ones among them' if training else ''} "
        f"| {text.constant_bytes:,} |\n\n"
        "Beside them: the code in flash and the stack in RAM, which depend on the compiler (`make size`,\n"
        "`-fstack-usage`). Tensors are those that exist while a layer runs.\n\n",
        _layers_table(layer_needs(text.program, text.plan)),
        "\n## Files\n\n",
        _files_table(text, programs),
        f"\n`{KERNELS}/` holds copies of fxpgrad's kernels (Apache-2.0):\n",
        f"{wrapped(map(_code, kernel_files), '')}.\n",
    ]
    return "".join(parts)


def _use(text: ModelText, role: str, verb: str, word: str) -> str:
    return "".join(
        f"/* {verb} {text.macro}_{end.upper()}_SIZE values {word} {text.prefix}_{end}() */\n"
        for end in ends(text, role).values()
    )


def _ends_table(text: ModelText) -> str:
    lines = ["| | tensor | type | real value |\n|---|---|---|---|\n"]
    for role in ("input", "output"):
        for name, end in ends(text, role).items():
            info = text.program.tensors[name]
            real = f"{info.scale!r} * (value - {outer_zero_point(info)})"
            lines.append(
                f"| `{text.prefix}_{end}()` | {_cell(name)} | {info.outer_dtype} {shape_text(info.shape)} "
                f"| {real} |\n"
            )
    return "".join(lines)


def _layers_table(needs: Sequence[LayerNeed]) -> str:
    head = (
        "| # | layer | kernel | output | constants | tensors | arena reaches |\n"
        "|---:|---|---|---|---:|---:|---:|\n"
    )
    rows = (
        f"| {need.index} | {_cell(short_name(need.layer))} | {need.kernel} | {shape_text(need.output)} "
        f"| {need.constant_bytes:,} | {need.live_bytes:,} | {need.reach_bytes:,} |\n"
        for need in needs
    )
    return head + "".join(rows)


def _files_table(text: ModelText, programs: Sequence[Executable]) -> str:
    about = {
        f"{text.prefix}.h": "what a user includes",
        f"{text.prefix}.c": "the arena and the layers, to be read from top to bottom",
        f"{text.prefix}_constants.h": "weights, biases, multipliers and tables",
        "selftest.c": "golden inputs and results; names the first wrong layer",
        "host_main.c": "`infer`: raw tensors from a file to a file",
        **{
            source: "`train`: samples and labels from files, trained values to a file"
            for program in programs
            for source in program.sources
            if source == "train_main.c"
        },
        "Makefile, CMakeLists.txt": "build " + ", ".join(f"`{program.name}`" for program in programs),
    }
    return "| file | what |\n|---|---|\n" + "".join(f"| {name} | {what} |\n" for name, what in about.items())


def _code(name: str) -> str:
    return f"`{name}`"


def _cell(name: str) -> str:
    """Return a name that cannot break a table."""
    return remark(name).replace("|", "_").replace("`", "'")
