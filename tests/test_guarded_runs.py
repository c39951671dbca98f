"""Whole networks and training runs keep every kernel within the views that it is given."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from fxpgrad.conformance.cases import legal_case
from fxpgrad.conformance.guarded_memory import SIDES, Side
from fxpgrad.importers.model_file import load_program
from fxpgrad.program.execute import Executor
from fxpgrad.program.program import Program, constants_sha256
from fxpgrad.trainer import objective as objective_module
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.objective import LinearCrossEntropy, PrototypeCrossEntropy
from fxpgrad.trainer.trainer import Trainer
from fxpgrad_kernels.registry import kernel_named
from fxpgrad_kernels.tape import Tape
from tests.data_folder import DATA, needs_data
from tests.guarded_memory import Crash, Sandbox, needs_guards
from tests.guarded_tape import Note, guarded_tapes
from tests.program.random_programs import random_program, random_samples
from tests.trainer.small_programs import dense_integers, dense_program, image_program
from tests.trainer.test_trainer_accumulators import wide_program

pytestmark = needs_guards
every_side = pytest.mark.parametrize("side", SIDES)
MODELS = ("ad01_int8", "kws_ref_model", "pretrainedResnet_quant", "vww_96_int8")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as opened:
        yield opened


def check_program(note: Note, program: Program, x: Any, side: Side) -> None:
    """Compare all outputs of a run between guards with those of a plain run."""
    expected = Executor(program, len(x)).run_all(x)
    with guarded_tapes(side, note):
        found = Executor(program, len(x)).run_all(x)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, name)


def check_random_programs(note: Note, seeds: range, side: Side) -> None:
    for seed in seeds:
        program = random_program(seed)
        for batch in (1, 3):
            check_program(
                lambda last, seed=seed: note((seed, last)),
                program,
                random_samples(program, seed, batch),
                side,
            )


@every_side
def test_random_programs_keep_to_their_views(side: Side, sandbox: Sandbox) -> None:
    sandbox.call(check_random_programs, range(30), side)


def check_model(note: Note, path: str, side: Side) -> None:
    program = load_program(path)
    check_program(note, program, random_samples(program, 0, 2), side)


@every_side
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=needs_data(f"mlperf_tiny/{n}.tflite")) for n in MODELS]
)
def test_published_models_keep_to_their_views(name: str, side: Side, sandbox: Sandbox) -> None:
    pytest.importorskip("tflite")
    sandbox.call(check_model, str(DATA / "mlperf_tiny" / f"{name}.tflite"), side)


PLAIN = TrainerConfig(epsilon=1e-2, learning_rate=2e-2, seed=3)
CONFIGS: dict[str, dict[str, Any]] = {
    "gaussian": {},
    "rademacher": {"distribution": "rademacher", "rounding": "nearest"},
    "split rows": {"rows": "split", "num_directions": 6},
    "affine": {"scope": "affine", "relative": True},
    "exact head": {"head": "exact"},
    "paper": {"form": "paper", "scope": "lp"},
    "every part": {
        "momentum": 0.5, "sharpness": 0.5, "look_ahead": 1.0, "mask": "random", "density": 0.5, "blocks": 2,
        "scalar": "magnitude",
    },
    "decay": {"weight_decay": 0.01, "look_ahead": 1.0},
    "largest": {"mask": "largest", "density": 0.5},
}  # fmt: skip


def classifier(network: str) -> tuple[Program, Any, Any]:
    if network == "slabs":  # a layer that is perturbed in several runs of channels, the last of one channel
        return wide_program(97)
    if network.startswith("image"):
        return image_program(16 if network.endswith("16") else 8)
    program = dense_program(16 if network.endswith("16") else 8)
    return program, *dense_integers(program)


def features() -> tuple[Program, Any, Any]:
    """Return the small image network without its head."""
    program, x, y = image_program(16)
    head = program.calls[-1]
    tensors = {name: info for name, info in program.tensors.items() if name != head.output}
    return (
        dataclasses.replace(program, calls=program.calls[:-1], outputs=(head.inputs[0],), tensors=tensors),
        x, y,
    )  # fmt: skip


def trained(network: str, config: TrainerConfig, how: dict[str, Any]) -> str:
    alone = network == "features"
    program, x, y = features() if alone else classifier(network)
    objective = PrototypeCrossEntropy(3, 4.0) if alone else LinearCrossEntropy()
    trainer = Trainer(program, config, objective, len(x), **how)
    trainer.fit(x, y, 3)
    return constants_sha256({item.name: item.values for item in trainer.trainables})


def check_training(note: Note, network: str, config: TrainerConfig, how: dict[str, Any], side: Side) -> None:
    expected = trained(network, config, how)
    with guarded_tapes(side, note):
        assert trained(network, config, how) == expected


@every_side
@pytest.mark.parametrize("network", ["dense8", "dense16", "image8", "image16", "slabs"])
@pytest.mark.parametrize("changes", CONFIGS.values(), ids=CONFIGS)
def test_training_keeps_to_its_views(
    changes: dict[str, Any], network: str, side: Side, sandbox: Sandbox
) -> None:
    config = dataclasses.replace(PLAIN, **changes)
    for how in ({"paired": True}, {"threads": 2}):
        sandbox.call(check_training, network, config, how, side)


@every_side
@pytest.mark.parametrize("network", ["dense8", "image8"])
def test_training_of_split_bytes_keeps_to_its_views(network: str, side: Side, sandbox: Sandbox) -> None:
    config = dataclasses.replace(PLAIN, split_bytes=True, distribution="sparse")
    for how in ({"paired": True}, {"threads": 2}):
        sandbox.call(check_training, network, config, how, side)


@every_side
def test_training_of_features_keeps_to_its_views(side: Side, sandbox: Sandbox) -> None:
    sandbox.call(check_training, "features", PLAIN, {}, side)


def maximum_into(note: Note, first: int, size: int) -> list[int]:
    """Take a maximum of 8 values into `size` elements of a larger array, on a tape between guards."""
    room = np.zeros(32, np.int8)
    room[:8] = 7
    spec = kernel_named("maximum_a8")
    values = {"input_a": room[:8], "input_b": room[8:16], "output": room[first : first + size]}
    with guarded_tapes("end", note):
        tape = Tape()
        tape.add(spec.function, spec.arguments, values)
        tape.run()
    return [int(value) for value in room[16:]]


def test_a_guarded_call_writes_where_a_plain_one_does(sandbox: Sandbox) -> None:
    assert sandbox.call(maximum_into, 20, 8) == [0] * 4 + [7] * 8 + [0] * 4


def loss_of_too_few_labels(note: Note) -> int:
    with guarded_tapes("end", note):
        logits, shift = np.zeros((5, 3), np.int32), np.zeros(3, np.int32)
        objective_module.cross_entropy_linear(
            logits, shift, shift, np.zeros(4, np.int32), np.zeros(5, np.int64)
        )
    return 0


def test_a_kernel_that_is_called_without_a_tape_is_guarded_too(sandbox: Sandbox) -> None:
    with pytest.raises(Crash, match=r"SIGSEGV in .*cross_entropy_linear"):
        sandbox.call(loss_of_too_few_labels)


def test_a_view_that_is_too_short_is_a_crash_that_names_the_kernel(sandbox: Sandbox) -> None:
    with pytest.raises(Crash, match=r"SIGSEGV in .*update.*counts"):
        sandbox.call(update_into_one_count)


def update_into_one_count(note: Note) -> None:
    spec, room = kernel_named("update_w8"), np.zeros(3, np.int64)
    case = legal_case("update_w8", np.random.default_rng(0))
    values = {**case, "counts": room[1:2], "block": np.zeros((1, 1000), np.int8)}
    with guarded_tapes("end", note):
        tape = Tape()
        tape.add(spec.function, spec.arguments, values)
        tape.run()


def test_views_that_overlap_in_part_are_refused(sandbox: Sandbox) -> None:
    with pytest.raises(AssertionError, match="maximum is given arrays that overlap in part"):
        sandbox.call(maximum_into, 12, 8)
