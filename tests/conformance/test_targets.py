"""Libraries, files of Python, commands: what is no target is a finding or an error, never our crash."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from fxpgrad.codegen.host_compiler import found_compiler, run_compiler
from fxpgrad.conformance.conform import Setup, conform
from fxpgrad.errors import StoreError

needs_compiler = pytest.mark.skipif(
    shutil.which("cc") is None and shutil.which("gcc") is None, reason="needs a C compiler"
)
CLAMP = """
#include <stdint.h>
void {name}(const int8_t *input, int8_t *output, int32_t N, int32_t clamp_low, int32_t clamp_high) {{
    for (int32_t i = 0; i < N; i++) {{
        const int32_t x = input[i] < clamp_low ? clamp_low : input[i];
        output[i] = (int8_t)(x > clamp_high ? clamp_high : x);
    }}
}}
"""
PROGRAM = """
import sys
import numpy as np
case = np.load(sys.argv[1])
np.savez(sys.argv[2], output=np.clip(case["input"], case["clamp_low"], case["clamp_high"]).astype(np.int8))
"""
PROGRAM_ON_BYTES = """
import json, sys
from pathlib import Path
given, made = Path(sys.argv[1]), Path(sys.argv[2])
case = json.loads((given / "case.json").read_text())
assert case["arrays"]["input"]["dtype"] == case["outputs"]["output"]["dtype"] == "int8"
low, high = case["parameters"]["clamp_low"], case["parameters"]["clamp_high"]
values = [(b ^ 128) - 128 for b in (given / "input.bin").read_bytes()]
(made / "output.bin").write_bytes(bytes(min(max(v, low), high) & 255 for v in values))
"""


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return compiled(tmp_path, CLAMP.format(name="fxp_clamp_a8"))


def compiled(folder: Path, text: str) -> Path:
    source, path = folder / "target.c", folder / "target.so"
    source.write_text(text)
    run_compiler([found_compiler(), "-fPIC", "-shared", source, "-o", path])
    return path


def python_command(folder: Path, text: str, arguments: str) -> Setup:
    program = folder / "program.py"
    program.write_text(text)
    return Setup(command=f"{sys.executable} {program} {arguments}", timeout=30.0)


@needs_compiler
def test_a_library_of_ones_own_passes(library):
    assert conform(library, "clamp_a8", cases=50).passed
    assert conform(library, "clamp_a8", cases=50, setup=Setup(alignment=64)).passed


@needs_compiler
def test_a_missing_function_is_a_finding_and_another_name_helps(tmp_path):
    path = compiled(tmp_path, CLAMP.format(name="my_clamp"))
    (finding,) = conform(path, "clamp_a8", cases=10).findings
    told = "has no function fxp_clamp_a8; --symbol NAME if it is called otherwise"
    assert (finding.kind, finding.text) == ("load", told)
    assert conform(path, "clamp_a8", cases=10, setup=Setup(symbol="my_clamp")).passed


@needs_compiler
def test_a_library_of_another_machine_is_a_finding(library):
    binary = bytearray(library.read_bytes())
    if binary[:4] != b"\x7fELF":
        pytest.skip("writes the header of an ELF file")
    binary[18:20] = (0x28).to_bytes(2, "little")  # 32-bit ARM
    library.write_bytes(binary)
    (finding,) = conform(library, "clamp_a8", cases=10).findings
    assert finding.kind == "load"
    assert "OSError" in finding.text


def test_a_file_that_is_no_library_is_a_finding(tmp_path):
    path = tmp_path / "target.so"
    path.write_text("int main")
    (finding,) = conform(path, "clamp_a8", cases=10).findings
    assert finding.kind == "load"


@needs_compiler
def test_a_library_that_dies_while_it_is_loaded_is_a_finding(tmp_path):
    path = compiled(
        tmp_path, "#include <stdlib.h>\n__attribute__((constructor)) static void start(void) { abort(); }"
    )
    (finding,) = conform(path, "clamp_a8", cases=10).findings
    assert finding.kind == "load"
    assert "SIGABRT" in finding.text


def test_a_function_of_a_file_is_a_target(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "import numpy as np\n"
        "def clamp(input, clamp_low, clamp_high):\n"
        "    return np.clip(input, clamp_low, clamp_high).astype(np.int8)\n"
    )
    assert conform(f"{path}:clamp", "clamp_a8", cases=20).passed
    (finding,) = conform(f"{path}:missing", "clamp_a8", cases=20).findings
    assert finding.kind == "load"


@pytest.mark.parametrize(
    ("program", "arguments"), [(PROGRAM, "{in} {out}"), (PROGRAM_ON_BYTES, "{in_dir} {out_dir}")]
)
def test_a_command_is_a_target(tmp_path, program, arguments):
    assert conform(None, "clamp_a8", cases=4, setup=python_command(tmp_path, program, arguments)).passed


@pytest.mark.parametrize(
    ("program", "arguments", "kind", "told"),
    [
        (PROGRAM.replace("clamp_low", "clamp_high"), "{in} {out}", "values", "differ"),
        (
            "import sys; sys.exit('out of sheep')",
            "{in} {out}",
            "crash",
            "exit status 1; it said: out of sheep",
        ),
        ("import os; os.abort()", "{in} {out}", "crash", "SIGABRT"),
        ("", "{in} {out}", "shape", "wrote no .npz file"),
        ("", "{in_dir} {out_dir}", "shape", "did not write output"),
        (PROGRAM_ON_BYTES.replace("(bytes(", "(b'x' + bytes("), "{in_dir} {out_dir}", "shape", "bytes"),
        ("open(__import__('sys').argv[2], 'w').write('x')", "{in} {out}", "shape", "wrote no .npz file"),
        (
            "import numpy, sys; numpy.save(open(sys.argv[2], 'wb'), numpy.zeros(3, 'i1'))",
            "{in} {out}",
            "shape",
            "wrote no .npz file",
        ),
    ],
)
def test_a_wrong_command_is_found_out(tmp_path, program, arguments, kind, told):
    setup = python_command(tmp_path, program, arguments)
    verdict = conform(None, "clamp_a8", cases=10, shrink_seconds=0.5, setup=setup)
    assert [finding.kind for finding in verdict.findings] == [kind]
    assert told in verdict.findings[0].text


def test_a_command_that_does_not_end_is_a_finding(tmp_path):
    setup = python_command(tmp_path, "import time; time.sleep(60)", "{in} {out}")
    slow = Setup(command=setup.command, timeout=0.5)
    (finding,) = conform(None, "clamp_a8", cases=10, shrink_seconds=0.5, setup=slow).findings
    assert (finding.kind, finding.text) == ("hang", "no end within 0.5 s")


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
def test_a_command_that_is_ended_takes_what_it_has_started_with_it(tmp_path):
    trace = tmp_path / "trace"
    child = f"import time; time.sleep(1.5); open({str(trace)!r}, 'w')"
    text = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    setup = Setup(command=python_command(tmp_path, text, "{in} {out}").command, timeout=0.7)
    (finding,) = conform(None, "clamp_a8", cases=1, shrink_seconds=0.1, setup=setup).findings
    assert finding.kind == "hang"
    time.sleep(2.0)
    assert not trace.exists()


def test_a_case_that_cannot_be_written_is_an_error_of_ours(tmp_path, monkeypatch):
    def full(path, text):
        raise OSError(errno.ENOSPC, "No space left on device")

    setup = python_command(tmp_path, PROGRAM_ON_BYTES, "{in_dir} {out_dir}")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StoreError, match=r"cannot write a case to .*: No space left on device; TMPDIR"):
        conform(None, "clamp_a8", cases=4, setup=setup)
