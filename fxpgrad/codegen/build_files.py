"""Makefile and CMakeLists.txt of a C project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fxpgrad.codegen.model_source import KERNELS, WATCH, written_by
from fxpgrad.codegen.model_text import ModelText


@dataclass(frozen=True, slots=True)
class Executable:
    """A program of the project: its name, its C files but for kernels, and macros they are compiled with."""

    name: str
    sources: tuple[str, ...]
    defines: tuple[str, ...] = ()


def executables(text: ModelText, *, training: bool = False) -> tuple[Executable, ...]:
    """Return the programs of a project."""
    model = f"{text.prefix}.c"
    train = (Executable("train", ("train_main.c", model)),) if training else ()
    return (
        Executable("selftest", ("selftest.c", model), (f"{text.macro}_{WATCH}",)),
        Executable("infer", ("host_main.c", model)),
        *train,
    )


def makefile(text: ModelText, programs: Sequence[Executable], kernel_files: Sequence[str]) -> str:
    """Return the Makefile."""
    names = " ".join(program.name for program in programs)
    kernels = " \\\n    ".join(f"{KERNELS}/{name}" for name in kernel_files if name.endswith(".c"))
    rules = "".join(
        f"\n{program.name}: {' '.join(program.sources)} $(OBJECTS) $(HEADERS)\n"
        f"\t$(CC) $(STRICT) $(CFLAGS){_defines(program)} {' '.join(program.sources)} $(OBJECTS)"
        " $(LDFLAGS) -o $@\n"
        for program in programs
    )
    return f"""\
# {written_by()}
#
#   make            builds {names.replace(" ", ", ")}
#   make check      builds and runs the self-test
#   make size       bytes of code and constants (text) and of RAM (bss) for this compiler
#
# Another compiler: make clean all CC=clang CFLAGS=-O3

CC ?= cc
SIZE ?= size
CFLAGS ?= -O2
STRICT = -std=c99 -Wall -Wextra -Wconversion -Wsign-conversion
KERNELS = \\
    {kernels}
OBJECTS = $(KERNELS:.c=.o)
HEADERS = $(wildcard *.h {KERNELS}/*.h)

all: {names}
{rules}
{KERNELS}/%.o: {KERNELS}/%.c $(HEADERS)
\t$(CC) $(STRICT) $(CFLAGS) -c $< -o $@

check: selftest
\t./selftest

# Without functions that nobody calls, as a linker leaves them out (GNU ld).
size:
\t$(CC) $(STRICT) $(CFLAGS) -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables \\
\t    -r -nostdlib -Wl,--gc-sections -Wl,-e,{text.prefix}_infer \\
\t    {text.prefix}.c $(KERNELS) -o {text.prefix}_size.o
\t$(SIZE) {text.prefix}_size.o

clean:
\trm -f {names} {text.prefix}_size.o $(OBJECTS)

.PHONY: all check size clean
"""


def _defines(program: Executable) -> str:
    return "".join(f" -D{name}" for name in program.defines)


def cmake_lists(text: ModelText, programs: Sequence[Executable], kernel_files: Sequence[str]) -> str:
    """Return CMakeLists.txt: a library of the model and its kernels, and the programs."""
    kernels = "\n".join(f"    {KERNELS}/{name}" for name in kernel_files if name.endswith(".c"))
    parts = [
        f"# {written_by()}\n"
        "cmake_minimum_required(VERSION 3.10)\n"
        f"project({text.prefix} C)\n\n"
        "set(CMAKE_C_STANDARD 99)\nset(CMAKE_C_STANDARD_REQUIRED ON)\nset(CMAKE_C_EXTENSIONS OFF)\n"
        "if(NOT CMAKE_BUILD_TYPE)\n    set(CMAKE_BUILD_TYPE Release)\nendif()\n\n"
        f"add_library({text.prefix}_kernels STATIC\n{kernels}\n)\n\n"
        f"# What firmware links: the model and its kernels.\n"
        f"add_library({text.prefix}_model STATIC {text.prefix}.c)\n"
        f"target_include_directories({text.prefix}_model PUBLIC ${{CMAKE_CURRENT_SOURCE_DIR}})\n"
        f"target_link_libraries({text.prefix}_model PUBLIC {text.prefix}_kernels)\n\n"
        "# The programs: not where this folder is a part of another project.\n"
        "if(NOT CMAKE_CURRENT_SOURCE_DIR STREQUAL CMAKE_SOURCE_DIR)\n    return()\nendif()\n"
    ]
    for program in programs:
        parts.append(
            f"\nadd_executable({program.name} {' '.join(program.sources)})\n"
            + "".join(
                f"target_compile_definitions({program.name} PRIVATE {name})\n" for name in program.defines
            )
            + f"target_link_libraries({program.name} PRIVATE {text.prefix}_kernels)\n"
        )
    parts.append("\nenable_testing()\nadd_test(NAME selftest COMMAND selftest)\n")
    return "".join(parts)
