"""The C header compiles strictly, and a C program over it agrees with the C ports and with the model."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fxpgrad.codegen.host_compiler import found_compiler, run_compiler, support_files
from fxpgrad.codegen.ports import include_folders, port_files, sources_of
from fxpgrad.codegen.signature import c_function
from fxpgrad.conformance.model_vectors import model_vectors
from fxpgrad.conformance.vector_header import header_file, identifier
from fxpgrad.conformance.vectors import VectorCase, Vectors, kernel_vectors
from fxpgrad.errors import InputError
from fxpgrad_kernels.registry import kernel_named, kernels
from tests.cli.small_models import write_model

pytestmark = pytest.mark.skipif(
    not any(shutil.which(name) for name in ("cc", "gcc", "clang")), reason="no C compiler is installed"
)
FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Werror")


def compiled(folder: Path, main: str, sources: list[Path] | None = None) -> Path:
    """Compile a program over vectors.h and return its path."""
    (folder / "main.c").write_text(main)
    folders = [f"-I{path}" for path in (folder, *include_folders())]
    run_compiler(
        [found_compiler(), *FLAGS, *folders, folder / "main.c", *(sources or []), "-o", folder / "program"]
    )
    return folder / "program"


def told(program: Path) -> list[str]:
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def program_over(name: str) -> str:
    """Return a C program that runs a port on every case and prints the names of those that differ."""
    spec, upper = kernel_named(name), name.upper()
    buffers, before, compare, arguments = [], [], [], []
    for argument in c_function(spec).arguments:
        key = argument.name
        if argument.kind == "array" and argument.written:
            assert argument.argument is not None
            buffers.append(f"    static {argument.ctype} {key}[{upper}_MOST_{key.upper()}];")
            size = f"sizeof({argument.ctype}) * (size_t)c->expected_{key}_elements"
            source = f"c->before_{key}" if name.startswith("concatenate_block") else f"c->{key}"
            if argument.argument.role == "output" and "before" not in source:
                before.append(f"memset({key}, 0x55, sizeof {key});")
            else:
                before.append(f"memcpy({key}, {source}, {size});")
            compare.append(f"memcmp({key}, c->expected_{key}, {size})")
            arguments.append(key)
        else:
            arguments.append(f"c->{key}")
    lines = "\n        ".join(before)
    return f"""
#include <stdio.h>
#include <string.h>
#include "fxpgrad_kernels.h"
#include "vectors.h"

int main(void) {{
{chr(10).join(buffers)}
    for (int i = 0; i < {upper}_CASES; i++) {{
        const {name}_case *c = &{name}_cases[i];
        {lines}
        fxp_{name}({", ".join(arguments)});
        if ({" || ".join(compare)}) {{
            puts(c->name);
        }}
    }}
    puts("done");
    return 0;
}}
"""


@pytest.mark.parametrize("name", sorted(port_files()))
def test_a_c_program_over_the_header_agrees_with_the_port(name: str, tmp_path: Path) -> None:
    made = kernel_vectors(name, cases=5)
    (tmp_path / "vectors.h").write_text(header_file(made))
    sources = [path for path in (*sources_of([name]), *support_files()) if path.suffix == ".c"]
    assert told(compiled(tmp_path, program_over(name), sorted(set(sources)))) == ["done"]


def test_the_program_tells_a_wrong_vector(tmp_path: Path) -> None:
    name = "clamp_a8"
    made = kernel_vectors(name, cases=2)
    last = made.cases[-1]
    wrong = VectorCase(last.name, last.aim, last.arguments, {"output": last.expected["output"] ^ np.int8(1)})
    (tmp_path / "vectors.h").write_text(
        header_file(Vectors("kernel", name, made.provenance, (*made.cases[:-1], wrong)))
    )
    sources = [path for path in (*sources_of([name]), *support_files()) if path.suffix == ".c"]
    program = compiled(tmp_path, program_over(name), sorted(set(sources)))
    assert told(program) == [last.name, "done"]


@pytest.mark.parametrize("name", kernels())
def test_the_header_of_every_kernel_compiles(name: str, tmp_path: Path) -> None:
    made = kernel_vectors(name, cases=1)
    text = header_file(made)
    (tmp_path / "vectors.h").write_text(text)
    main = f'#include "vectors.h"\nint main(void) {{ return {name}_cases[0].name == 0; }}\n'
    compiled(tmp_path, main)
    longest = max(line.count(",") for line in text.splitlines() if re.match(r"    -?\d", line))
    assert longest <= 16


def test_a_models_header_holds_what_the_vectors_hold(tmp_path: Path) -> None:
    made = model_vectors(write_model(tmp_path).path, cases=2)
    (tmp_path / "vectors.h").write_text(header_file(made))
    name = identifier(made.name)
    main = f"""
#include <stdio.h>
#include "vectors.h"

int main(void) {{
    for (int i = 0; i < {name.upper()}_CASES; i++) {{
        const {name}_case *c = &{name}_cases[i];
        for (int32_t k = 0; k < c->layer_count; k++) {{
            const {name}_tensor *t = &c->layers[k];
            long sum = 0;
            for (int32_t j = 0; j < t->elements; j++) {{
                sum += (long)(j % 97 + 1) * ((const int8_t *)t->values)[j];
            }}
            printf("%s %s %s %ld\\n", c->name, t->name, t->type, sum);
        }}
    }}
    return 0;
}}
"""

    def weighted(values: NDArray[Any]) -> int:
        return int((values.ravel().astype(int) * (np.arange(values.size) % 97 + 1)).sum())

    expected = [
        f"{case.name} {key} int8 {weighted(values)}"
        for case in made.cases
        for key, values in case.expected.items()
    ]
    assert told(compiled(tmp_path, main)) == expected


def test_ends_of_wide_types_and_strange_names_are_written_so_that_c_takes_them(tmp_path: Path) -> None:
    ends = {
        f'x{number} ??/"*/\n': np.array([np.iinfo(dtype).min, np.iinfo(dtype).max], dtype)
        for number, dtype in enumerate(("int32", "int64", "uint32", "int16", "uint8"))
    }
    case = VectorCase("first", "aim", {}, {**ends, "none": np.zeros(0, np.int8)})
    made = Vectors("model", "1 strange*/\nname", {"command": "*/ x"}, (case,))
    (tmp_path / "vectors.h").write_text(header_file(made))
    name = identifier(made.name)
    assert name == "m_1_strange___name"
    main = f"""
#include <inttypes.h>
#include <stdio.h>
#include "vectors.h"

int main(void) {{
    const {name}_tensor *t = {name}_cases[0].layers;
    const int32_t *narrow = t[0].values;
    const int64_t *wide = t[1].values;
    const uint32_t *natural = t[2].values;
    printf("%" PRId32 " %" PRId64 " %" PRId64 " %" PRIu32 "\\n", narrow[0], wide[0], wide[1], natural[1]);
    return 0;
}}
"""
    assert told(compiled(tmp_path, main)) == [f"{-(2**31)} {-(2**63)} {2**63 - 1} {2**32 - 1}"]


def test_a_header_that_no_compiler_bears_is_refused() -> None:
    case = VectorCase("a", "b", {}, {"x": np.zeros(4_000_001, np.int8)})
    with pytest.raises(InputError, match=r"a C header of 4,000,001 values .* leave h out of --format"):
        header_file(Vectors("model", "big", {}, (case,)))
