"""Compares whole models with other runtimes, tensor by tensor and value by value.

With stored results nothing else has to be installed; `--deep` runs all inputs, else four of each set::

    python examples/compare_with_tflm.py stored ../shared/data [--deep] [--runtime xnnpack] [--model NAME]

Any .tflite file of one input and one output, with a runtime that is installed in an environment of its own::

    python examples/compare_with_tflm.py live MODEL.tflite --python tflm/bin/python [--input x.npy]

`live` compares twice: whole runs, and each operator alone, fed with the other runtime's own inputs of that
operator, so that a difference is counted where it arises and not again in every layer after it. How to set
up the environments: tests/golden/make_tflm_models.py, make_litert_models.py. Exit code 1: something differs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

# The inputs and the stored results belong to the tests.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.golden.whole_model_results import FEW, digest
from tests.golden.whole_models import MODELS, random_samples
from tests.importers.whole_model_run import FileModel

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden"
# Runtime: its profile, stored results, script.
RUNTIMES = {
    "tflm": ("tflite_double", "tflm_models.json", "make_tflm_models.py"),
    "optimized": ("tflite_x86_optimized", "litert_optimized_models.json", "make_litert_models.py"),
    "xnnpack": ("xnnpack_float32", "litert_xnnpack_models.json", "make_litert_models.py"),
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    stored = commands.add_parser("stored")
    stored.add_argument("data", type=Path)
    stored.add_argument("--model", action="append", choices=MODELS, help="all by default; may be repeated")
    stored.add_argument("--deep", action="store_true", help="all samples, and the accuracies")
    live = commands.add_parser("live")
    live.add_argument("model", type=Path)
    live.add_argument("--python", required=True, help="the interpreter of the runtime's environment")
    live.add_argument("--input", type=Path, help=".npy file, batch first; without it 64 random samples")
    for command in (stored, live):
        command.add_argument("--runtime", choices=RUNTIMES, default="tflm")
    return parser.parse_args()


def compare_set(
    name: str, inputs: str, model: FileModel, entry: dict[str, Any], given: argparse.Namespace
) -> bool:
    """Print one row of the table; return whether everything is equal."""
    stored = entry["sets"][inputs]
    x, labels = MODELS[name].inputs(inputs, given.data)
    if digest(x) != stored["inputs"]:
        raise SystemExit(f"{name}: the inputs {inputs} are not those that were run")
    x, kept = (x, "all") if given.deep else (x[:FEW], "few")
    order = [row[0] for row in entry["tensors"]]
    indices = model.compared(order)
    found, outputs = model.digests(x, indices)
    expected = dict(zip(order, stored[kept], strict=True))
    wrong = [i for i, value in zip(indices, found.all(), strict=True) if value != expected[i]]
    values = sum(int(np.prod(row[3])) for row in entry["tensors"] if row[0] in indices) * len(x)
    remark = f"first: tensor {wrong[0]}" if wrong else "equal"
    if given.deep and labels is not None:
        correct = int(np.sum(np.argmax(outputs.reshape(len(x), -1), axis=1) == labels))
        remark += f"; correct {correct} (runtime {stored['correct']}) of {len(x)}"
    tensors = f"{len(indices)} of {len(order)} tensors"
    head = f"{name:26} {inputs:18} {len(x):5} samples  {tensors:19} {values:>13,} values"
    print(f"{head}  {len(wrong):2} tensors differ; {remark}")
    sys.stdout.flush()
    return not wrong


def compare_stored(given: argparse.Namespace) -> bool:
    profile, file, _ = RUNTIMES[given.runtime]
    stored = json.loads((GOLDEN / file).read_text())
    print(f"profile {profile} against {stored['software']}")
    equal = True
    for name in given.model or MODELS:
        model = FileModel(given.data / MODELS[name].file, profile)
        entry = stored["models"][name]
        for inputs in entry["sets"]:
            equal &= compare_set(name, inputs, model, entry, given)
    return equal


def dump(given: argparse.Namespace, x: np.ndarray) -> dict[int, np.ndarray]:
    """Return the other runtime's tensors by index."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "x.npy", Path(folder) / "tensors.npz"
        np.save(source, x)
        script = GOLDEN / RUNTIMES[given.runtime][2]
        runtime = [] if given.runtime == "tflm" else [given.runtime]
        command = [given.python, script, "dump", given.model, source, target, *runtime]
        subprocess.run([str(part) for part in command], check=True)
        with np.load(target) as arrays:
            return {int(name): arrays[name] for name in arrays.files}


def differing(a: np.ndarray, b: np.ndarray) -> tuple[int, int]:
    """Return how many values differ, and by how much at most."""
    gap = np.abs(a.reshape(-1).astype(np.int64) - b.reshape(-1).astype(np.int64))
    return int(np.count_nonzero(gap)), int(gap.max())


def compare_live(given: argparse.Namespace) -> bool:
    model = FileModel(given.model, RUNTIMES[given.runtime][0])
    info = model.program.tensors[model.input]
    x = np.load(given.input) if given.input else random_samples(info.shape, info.outer_dtype)
    theirs = dump(given, x)
    indices = model.compared(list(theirs))
    parts = list(model.batches(x, 16))
    whole = {i: np.concatenate([part[i] for part in parts]) for i in indices}
    alone = model.alone(theirs)
    kernels = {call.output: call.kernel for call in model.program.calls}
    print(f"{len(x)} samples; differing values (largest difference): whole run, operator alone")
    equal = len(indices) == len(theirs)
    for i in indices:
        name = str(model.imported.tensors[i])
        run, single = differing(whole[i], theirs[i]), differing(alone.get(i, theirs[i]), theirs[i])
        equal &= run[0] == 0
        counts = f"{run[0]:>9,} ({run[1]:3})  {single[0]:>9,} ({single[1]:3})"
        print(f"{i:4} {theirs[i].size:>11,} {counts}  {kernels.get(name, 'input'):26} {name[-50:]}")
    print(f"{len(indices)} of {len(theirs)} tensors compared: {'equal' if equal else 'different'}")
    return equal


def main() -> None:
    given = parse()
    raise SystemExit(0 if (compare_stored if given.command == "stored" else compare_live)(given) else 1)


if __name__ == "__main__":
    main()
