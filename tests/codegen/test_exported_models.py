"""Published models as C: their Programs' integers on 100 inputs or more, in no more RAM than TFLM takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fxpgrad.codegen.golden_runs import sample_inputs
from fxpgrad.importers.model_file import load_program
from fxpgrad.program.program import Program
from fxpgrad.program.real_values import quantize_input
from fxpgrad.tasks import backbone
from fxpgrad.tasks.omniglot import load_omniglot
from tests.codegen.compilers import COMPILERS, needed
from tests.codegen.exported import Built, assert_equal_outputs, run_all
from tests.data_folder import DATA, needs_data
from tests.golden.whole_models import MODELS

pytest.importorskip("tflite")

ROWS = 100
# What `print_allocations` of tflite-micro 0.dev20261023182759 says: the whole arena, its tensors alone.
TFLM_ARENA = {
    "kws_ref_model": (24272, 16000),
    "vww_96_int8": (103680, 73728),
    "pretrainedResnet_quant": (55984, 49152),
    "ad01_int8": (3984, 768),
    "person_detect": (85264, 55296),
    "micro_speech_quantized": (7584, 5968),
}


def mixed_rows(program: Program, real: list[np.ndarray]) -> np.ndarray:
    """Return rows of every set in turn, filled up to `ROWS` with random ones and extremes."""
    most = ROWS // len(real)
    chosen = np.concatenate([x[:most] for x in real])
    filled = sample_inputs(program, ROWS - len(chosen) + 8)[program.inputs[0]]
    return np.concatenate([chosen, filled])


def check(program: Program, x: np.ndarray, folder: Path, compiler: str) -> Built:
    assert len(x) >= 100
    built = Built(program, folder / "project")
    assert "all equal" in built.make(compiler, "all", "check", flags="-O2", afresh=True)
    feed = {program.inputs[0]: x}
    assert_equal_outputs(built.infer(feed), run_all(program, feed))
    return built


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("name", [pytest.param(n, marks=needs_data(MODELS[n].file)) for n in TFLM_ARENA])
def test_published_models(name: str, compiler: str, tmp_path: Path) -> None:
    needed(compiler)
    program = load_program(DATA / MODELS[name].file)
    real = []
    for chosen in MODELS[name].sets():
        try:
            real.append(MODELS[name].inputs(chosen, DATA)[0])
        except FileNotFoundError:  # a data set that is not there: the other sets do
            continue
    built = check(program, mixed_rows(program, real), tmp_path, compiler)
    whole, tensors = TFLM_ARENA[name]
    assert built.project.text.plan.peak_bytes <= tensors <= whole


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("weights", backbone.PROGRAMS)
def test_the_bundled_backbone(weights: str, compiler: str, tmp_path: Path) -> None:
    needed(compiler)
    program = backbone.load_program(weights)
    images = load_omniglot().images(np.arange(0, 20 * ROWS, 20)).astype(np.float64)
    real = quantize_input(program.tensors[program.inputs[0]], images)
    built = check(program, mixed_rows(program, [real]), tmp_path, compiler)
    assert built.project.text.plan.peak_bytes == 25872  # the sums of its blocks write over an operand
