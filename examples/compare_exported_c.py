"""Exports models as C, compares them with their Programs on many inputs, and tables what they need.

    python examples/compare_exported_c.py DATA [--model NAME] [--keep FOLDER] [--json FILE]

DATA is the folder of published models and data sets (tests/golden/README.md). Each model is built by every
compiler that is installed (gcc, clang; warnings are errors) at -O2 and -O3 and run on its real inputs, on
random ones and on extremes. With the package tflite_micro, its arena and its speed stand beside ours; with
arm-none-eabi-gcc, the bytes of code and stack on a Cortex-M4. Times are of the processor, the best of three.
Exit code 1: an output differs, or our arena is larger.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

# The inputs belong to the tests.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fxpgrad.codegen.c_project import CProject, c_project
from fxpgrad.codegen.golden_runs import sample_inputs
from fxpgrad.codegen.project_folder import write_folder
from fxpgrad.importers.model_file import load_program
from fxpgrad.program.execute import Executor, run_program
from fxpgrad.program.program import Program
from fxpgrad.program.real_values import quantize_input
from fxpgrad.tasks import backbone
from fxpgrad.tasks.omniglot import load_omniglot
from tests.golden.whole_models import MODELS

CHOSEN = (
    "kws_ref_model",
    "vww_96_int8",
    "pretrainedResnet_quant",
    "ad01_int8",
    "person_detect",
    "micro_speech_quantized",
    "hello_world_int8",
)
BACKBONES = {"resnet12_omniglot_16w8a": "16w8a", "resnet12_omniglot_8w8a": "8w8a"}
COMPILERS = ("gcc", "clang")
LEVELS = ("-O2", "-O3")
ROWS = 150  # of each set at most
SAMPLES = 24  # of the self-test, which compares every layer
ARM = "arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb"
Row = dict[str, Any]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", action="append", choices=(*CHOSEN, *BACKBONES), help="all by default")
    parser.add_argument("--keep", type=Path, help="folder for the projects; a temporary one by default")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    return parser.parse_args()


def load(name: str, data: Path) -> tuple[Program, np.ndarray, Path | None]:
    """Return a Program, its inputs, and the .tflite file it came from."""
    if name in BACKBONES:
        program = backbone.load_program(BACKBONES[name])
        images = load_omniglot().images(np.arange(ROWS)).astype(np.float64)
        real = [quantize_input(program.tensors[program.inputs[0]], images)]
        path = None
    else:
        path = data / MODELS[name].file
        program = load_program(path)
        real = [MODELS[name].inputs(chosen, data)[0][:ROWS] for chosen in MODELS[name].sets()]
    return program, np.concatenate([*real, sample_inputs(program, 100)[program.inputs[0]]]), path


def run(words: list[str], folder: Path) -> str:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} in {folder} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def processor_seconds() -> float:
    """Return what the programs that have ended have taken so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compare(project: CProject, folder: Path, x: np.ndarray, expected: np.ndarray) -> Row:
    """Build and run with every compiler; return counts of differing values and microseconds a row."""
    (folder / "in.bin").write_bytes(x.tobytes())
    row: Row = {"differing": {}, "microseconds": {}}
    for compiler in filter(shutil.which, COMPILERS):
        for level in LEVELS:
            run(["make", "-s", "clean"], folder)
            said = run(["make", "-s", f"CC={compiler}", f"CFLAGS={level} -Werror", "all", "check"], folder)
            assert "all equal" in said, said
            best = float("inf")
            for _ in range(3):
                start = processor_seconds()
                run(["./infer", "in.bin", "out.bin"], folder)
                best = min(best, processor_seconds() - start)
            found = np.frombuffer((folder / "out.bin").read_bytes(), expected.dtype).reshape(expected.shape)
            row["differing"][f"{compiler} {level}"] = int(np.count_nonzero(found != expected))
            row["microseconds"][f"{compiler} {level}"] = 1e6 * best / len(x)
    return row


def sizes(project: CProject, folder: Path, compiler: str, size: str, level: str) -> dict[str, int] | None:
    """Return bytes of text (code and constants) and bss (the arena) as a compiler makes them."""
    if shutil.which(compiler.split(maxsplit=1)[0]) is None:
        return None
    lines = run(["make", "-s", "size", f"CC={compiler}", f"SIZE={size}", f"CFLAGS={level}"], folder)
    text, data, bss = map(int, lines.splitlines()[-1].split()[:3])
    return {"flash": text + data, "code": text + data - project.text.constant_bytes, "ram": data + bss}


def stack_bytes(project: CProject, folder: Path) -> int | None:
    """Return the deepest path through the call graph on a Cortex-M4, library functions not counted."""
    if shutil.which(ARM.split(maxsplit=1)[0]) is None:
        return None
    frames, calls = dict[str, int](), dict[str, set[str]]()
    with tempfile.TemporaryDirectory() as scratch:
        for file in [f"{project.text.prefix}.c", *(str(p) for p in (folder / "kernels").glob("*.c"))]:
            target = Path(scratch) / f"{Path(file).stem}.o"
            flags = ["-std=c99", "-Os", "-fcallgraph-info=su", "-c", file, "-o", str(target)]
            run([*ARM.split(), *flags], folder)
            graph = target.with_suffix(".ci").read_text()
            for name, used in re.findall(r'node: \{ title: "(.*?)" label: ".*?(\d+) bytes \(static\)', graph):
                frames[name] = int(used)
            for source, called in re.findall(r'sourcename: "(.*?)" targetname: "(.*?)"', graph):
                calls.setdefault(source, set()).add(called)

    def depth(name: str) -> int:
        return frames.get(name, 0) + max(map(depth, calls.get(name, ())), default=0)

    return depth(f"{project.text.prefix}_infer")


def numba_microseconds(program: Program, x: np.ndarray) -> float:
    executor, rows = Executor(program), x[:64]
    executor.run(rows[:1])
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        for row in range(len(rows)):
            executor.load(rows[row : row + 1], checked=True)
            executor.execute()
        best = min(best, time.process_time() - start)
    return 1e6 * best / len(rows)


_TFLM = """
import sys, time, numpy as np
from tflite_micro import runtime
x = np.load(sys.argv[2])
model = runtime.Interpreter.from_file(sys.argv[1], arena_size=8_000_000)
model.print_allocations()
best = 1e9
for _ in range(3):
    total = 0.0
    for row in x:
        model.set_input(row[None].reshape(model.get_input_details(0)["shape"]), 0)
        start = time.process_time()
        model.invoke()
        total += time.process_time() - start
    best = min(best, total)
print("microseconds", 1e6 * best / len(x))
"""


def tflm(path: Path | None, x: np.ndarray) -> Row | None:
    """Return the arena that TensorFlow Lite Micro reports for a model, and its speed; None without it."""
    if path is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/x.npy", x[:64])
        words = [sys.executable, "-c", _TFLM, str(path), f"{folder}/x.npy"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    said = done.stdout + done.stderr
    found = dict(re.findall(r"Arena allocation (total|head|tail) (\d+) bytes", said))
    speed = float(re.findall(r"microseconds ([\d.]+)", said)[0])
    return {"arena": int(found["total"]), "tensors": int(found["head"]), "microseconds": speed}


def measure(name: str, data: Path, folder: Path) -> Row:
    program, x, path = load(name, data)
    project = c_project(program, samples=SAMPLES)
    target = folder / name
    write_folder(target, project.files, force=True)
    expected = run_program(program, x)
    return {
        "model": name,
        "inputs": len(x),
        "values": int(expected.size),
        **compare(project, target, x, expected),
        "constants": project.text.constant_bytes,
        "ram": project.text.plan.peak_bytes,
        "host": sizes(project, target, "gcc", "size", "-Os"),
        "cortex_m4": sizes(project, target, ARM, "arm-none-eabi-size", "-Os"),
        "stack_cortex_m4": stack_bytes(project, target),
        "tflm": tflm(path, x),
        "numba_microseconds": numba_microseconds(program, x),
    }


def print_tables(rows: list[Row]) -> None:
    print("\n| model | inputs | values | differing |\n|---|---:|---:|---|")
    for r in rows:
        differing = ", ".join(f"{key}: {count}" for key, count in r["differing"].items())
        print(f"| {r['model']} | {r['inputs']} | {r['values']:,} | {differing} |")
    print(
        "\n| model | constants | code, M4 | code, x86-64 | stack, M4 | RAM "
        "| TFLM arena (tensors) | RAM / TFLM |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for r in rows:
        code = ["" if r[key] is None else f"{r[key]['code']:,}" for key in ("cortex_m4", "host")]
        stack = "" if r["stack_cortex_m4"] is None else f"{r['stack_cortex_m4']:,}"
        peer, share = "", ""
        if r["tflm"]:
            peer = f"{r['tflm']['arena']:,} ({r['tflm']['tensors']:,})"
            share = f"{r['ram'] / r['tflm']['arena']:.2f}"
        numbers = (f"{r['constants']:,}", *code, stack, f"{r['ram']:,}", peer, share)
        print(f"| {r['model']} | {' | '.join(numbers)} |")
    keys = list(rows[0]["microseconds"])
    print(
        f"\n| model, µs an inference | {' | '.join(keys)} | Numba | TFLM |\n|---|{'---:|' * (len(keys) + 2)}"
    )
    for r in rows:
        speeds = [r["microseconds"][key] for key in keys] + [r["numba_microseconds"]]
        peer = f"{r['tflm']['microseconds']:,.0f}" if r["tflm"] else ""
        print(f"| {r['model']} | {' | '.join(f'{speed:,.0f}' for speed in speeds)} | {peer} |")


def main() -> None:
    given = parse()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        folder.mkdir(exist_ok=True)
        rows = []
        for name in given.model or (*CHOSEN, *BACKBONES):
            rows.append(measure(name, given.data, folder))
            print(f"{name}: {rows[-1]['differing']}", file=sys.stderr)
    print_tables(rows)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n")
    wrong = any(count for row in rows for count in row["differing"].values())
    larger = [row["model"] for row in rows if row["tflm"] and row["ram"] > row["tflm"]["arena"]]
    if larger:
        print(f"larger than TensorFlow Lite Micro: {', '.join(larger)}")
    raise SystemExit(1 if wrong or larger else 0)


if __name__ == "__main__":
    main()
