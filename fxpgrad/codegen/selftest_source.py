"""selftest.c: golden inputs and outputs of a model, and a checksum of every layer's result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from fxpgrad.codegen.c_text import array_definition, comment, remark, string, values_text
from fxpgrad.codegen.golden_runs import CHECKSUM_FACTOR, GoldenRuns
from fxpgrad.codegen.model_source import WATCH, ends, written_by
from fxpgrad.codegen.model_text import ModelText
from fxpgrad.program.layer_names import short_name

_CHECKS = """\
static int32_t sample, watched, failures;
static int32_t all_equal; /* whether all results of this sample so far are what they should be */

static uint32_t checksum(const void *values, int32_t elements, int32_t element_bytes) {
    uint32_t total = 0;
    for (int32_t i = 0; i < elements; i++) {
        const int32_t value = element_bytes == 1   ? ((const int8_t *)values)[i]
                              : element_bytes == 2 ? ((const int16_t *)values)[i]
                                                   : ((const int32_t *)values)[i];
        total = total * FACTORu + (uint32_t)value;
    }
    return total;
}

/* The model calls this after every layer. */
void PREFIX_watch(int32_t layer, const void *values, int32_t elements, int32_t element_bytes) {
    const uint32_t found = checksum(values, elements, element_bytes);
    if (all_equal && (watched >= WATCHED || found != expected[sample][watched])) {
        all_equal = 0;
        failures++;
        printf("sample %d: the first layer that differs is %d, %s\\n",
               (int)sample, (int)layer, layer_names[layer]);
    }
    watched++;
}

"""


def selftest(text: ModelText, runs: GoldenRuns) -> str:
    """Return the self-test's source."""
    program, prefix = text.program, text.prefix
    samples, watched = runs.checksums.shape
    names = ",\n".join(f"    {string(short_name(call.name))}" for call in program.calls)
    rows = ",\n".join("    {\n" + values_text(row, " " * 8) + "\n    }" for row in runs.checksums)
    parts = [
        f"/* Self-test of {remark(program.name)} on {samples} samples, against what fxpgrad computes:\n"
        " * layers by checksums, so that the first wrong one is named, outputs value by value.\n"
        f" * {written_by()}\n *\n"
        f" * Compile it and {prefix}.c with {text.macro}_{WATCH} defined.\n */\n"
        f"#ifndef {text.macro}_{WATCH}\n"
        f'#error "compile this file and {prefix}.c with {text.macro}_{WATCH} defined"\n#endif\n'
        f'#include "{prefix}.h"\n#include <stdio.h>\n\n'
        f"#define SAMPLES {samples}\n#define WATCHED {watched} /* results of layers in each sample */\n",
        *_data(text, "input", runs.inputs),
        *_data(text, "output", runs.outputs),
        f"static const char *const layer_names[] = {{\n{names},\n}};\n",
        f"static const uint32_t expected[SAMPLES][WATCHED] = {{\n{rows},\n}};\n",
        _CHECKS.replace("PREFIX", prefix).replace("FACTOR", str(CHECKSUM_FACTOR)) + _main(text),
    ]
    return "\n".join(parts)


def _data(text: ModelText, role: str, arrays: Mapping[str, NDArray[Any]]) -> list[str]:
    return [
        comment(f"{role.capitalize()} {remark(name)}, sample after sample.")
        + array_definition("static const", f"golden_{end}", arrays[name])
        for name, end in ends(text, role).items()
    ]


def _main(text: ModelText) -> str:
    prefix, macro = text.prefix, text.macro
    reset = f"    {prefix}_reset();\n" if text.program.variables else ""
    loads = "".join(_load(prefix, f"{macro}_{end.upper()}", end) for end in ends(text, "input").values())
    compares = "".join(
        _compare(prefix, f"{macro}_{end.upper()}", end) for end in ends(text, "output").values()
    )
    return f"""\
int main(void) {{
{reset}    for (sample = 0; sample < SAMPLES; sample++) {{
        watched = 0;
        all_equal = 1;
{loads}        {prefix}_infer();
        if (watched != WATCHED) {{
            failures++;
            printf("sample %d: compile {prefix}.c with {macro}_{WATCH} defined\\n", (int)sample);
        }}
{compares}    }}
    if (failures) {{
        printf("selftest: FAILED\\n");
        return 1;
    }}
    printf("selftest: %d samples, {len(text.program.calls)} layers, all equal\\n", SAMPLES);
    return 0;
}}
"""


def _load(prefix: str, macro: str, end: str) -> str:
    return f"""\
        for (int32_t i = 0; i < {macro}_SIZE; i++) {{
            {prefix}_{end}()[i] = golden_{end}[sample * {macro}_SIZE + i];
        }}
"""


def _compare(prefix: str, macro: str, end: str) -> str:
    return f"""\
        for (int32_t i = 0; i < {macro}_SIZE; i++) {{
            if ({prefix}_{end}()[i] != golden_{end}[sample * {macro}_SIZE + i]) {{
                failures++;
                printf("sample %d: {end}[%d] is %d, not %d\\n", (int)sample, (int)i,
                       (int){prefix}_{end}()[i],
                       (int)golden_{end}[sample * {macro}_SIZE + i]);
                break;
            }}
        }}
"""
