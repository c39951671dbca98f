"""Programs for microcontrollers run under QEMU: their output, status and sizes come back."""

from __future__ import annotations

from pathlib import Path

import pytest

from fxpgrad.codegen.emulated_boards import BOARDS, TIMED_OUT, Board, board_named, build, run, sizes_in_map
from fxpgrad.errors import InputError

PROGRAM = """\
#include <stdint.h>
#include <stdio.h>

static int32_t squares[1000];
extern const int16_t table[500];
extern int32_t counter;

int main(void) {
    FILE *file = fopen("said.txt", "wb");
    if (file == NULL) {
        return 1;
    }
    for (int32_t i = 0; i < 1000; i++) {
        squares[i] = i * i + table[i % 500] + counter;
    }
    fprintf(file, "%ld", (long)squares[999]);
    fclose(file);
    printf("last %ld", (long)squares[999]);
    return 7;
}
"""
OTHER = "#include <stdint.h>\nextern const int16_t table[500];\nextern int32_t counter;\n"
OTHER += "const int16_t table[500] = {[499] = 5};\nint32_t counter = 3;\n"
LOOP = "int main(void) {\n    for (;;) {\n    }\n}\n"
FAULT = "#include <stdint.h>\nint main(void) {\n    return *(volatile int32_t *)(uintptr_t)0xF0000000u;\n}\n"


@pytest.fixture(params=BOARDS.values(), ids=BOARDS)
def board(request: pytest.FixtureRequest) -> Board:
    if request.param.missing():
        pytest.skip(f"{request.param.missing()} not installed")
    return request.param


def built(board: Board, folder: Path, *texts: str) -> Path:
    sources = []
    for number, text in enumerate(texts):
        sources.append(folder / f"source{number}.c")
        sources[-1].write_text(text)
    return build(board, sources, folder / "program.elf")


def test_a_program_gives_back_output_status_and_files(board, tmp_path):
    program = built(board, tmp_path, PROGRAM, OTHER)
    status, said = run(board, program, folder=tmp_path, seconds=60)
    assert (status, said) == (7, f"last {999 * 999 + 5 + 3}")
    assert (tmp_path / "said.txt").read_text() == str(999 * 999 + 5 + 3)


def test_sizes_are_those_of_the_arrays(board, tmp_path):
    program = built(board, tmp_path, PROGRAM, OTHER)
    first, second = (sizes_in_map(program.with_suffix(".map"), [f"source{n}"]) for n in (0, 1))
    assert (first.bss, first.data) == (4000, 0)
    assert (second.bss, second.data) == (0, 4)
    assert 1000 <= second.text < 1016
    assert sizes_in_map(program.with_suffix(".map")).ram >= 4004


def test_a_program_that_never_ends_is_stopped(board, tmp_path):
    assert run(board, built(board, tmp_path, LOOP), seconds=2)[0] == TIMED_OUT


def test_a_fault_ends_the_program(tmp_path):
    board = BOARDS["cortex-m4"]
    if board.missing():
        pytest.skip(f"{board.missing()} not installed")
    status, _ = run(board, built(board, tmp_path, FAULT), seconds=30)
    assert status not in (0, TIMED_OUT)


def test_an_error_of_the_compiler_is_told(board, tmp_path):
    with pytest.raises(InputError, match="undeclared"):
        built(board, tmp_path, "int main(void) { return nothing; }\n")


def test_an_unknown_board_is_named():
    with pytest.raises(InputError, match=r"did you mean cortex-m4\?"):
        board_named("cortex-m44")


def test_a_missing_tool_is_named_with_its_package(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="apt install gcc-arm-none-eabi"):
        build(BOARDS["cortex-m3"], [], tmp_path / "x.elf")
