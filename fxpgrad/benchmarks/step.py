"""What a training step costs, as a multiple of one forward pass of the same Program and batch."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.benchmarks.affine_steps import affine_cases
from fxpgrad.benchmarks.candidate import Built, Candidate, Case, Options
from fxpgrad.benchmarks.nets import random_input
from fxpgrad.benchmarks.training_kernels import kernel_case
from fxpgrad.benchmarks.training_programs import CLASSES, LAST_BLOCK, training_program
from fxpgrad.program.execute import Executor
from fxpgrad.program.head import split_before
from fxpgrad.program.program import Program
from fxpgrad.program.threads import ThreadedExecutor
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.objective import LinearCrossEntropy
from fxpgrad.trainer.trainer import Trainer

FORWARD = "forward"
STEP, UPDATE = "step", "update alone"
_EPSILON = 1e-3
_THREADS = 2
_LEARNING_RATE = 1e-6  # so small that thousands of timed steps leave the weights where they are


def step_cases(options: Options) -> list[Case]:
    """Return the step by batch, width, number of directions, distribution, scope and threads."""
    del options
    cases = [_case("resnet8", 16, batch) for batch in (1, 5, 25)]
    cases += [_case("dense", 1024, batch) for batch in (1, 5, 25)]
    cases += [_case("resnet8", channels, 5) for channels in (8, 32)]
    cases += [_case("dense", width, 25) for width in (256, 512)]
    for batch in (1, 25):
        label = f"ResNet-8, batch {batch}"
        cases += [
            Case(f"{label}, last block only", functools.partial(_build_last_block, batch), FORWARD),
            Case(f"{label}, scope lp", functools.partial(_build_probing, batch), FORWARD),
        ]
    for name, build in (("forward", _build_forward_threads), ("3 directions", _build_step_threads)):
        label = f"ResNet-8, batch 25, {name}, threads (wall time)"
        cases.append(Case(label, build, f"{_THREADS} threads", wall=True))
    cases += affine_cases()
    cases.append(kernel_case())
    return cases


def _case(network: str, width: int, batch: int) -> Case:
    name = (
        f"dense {width}²" if network == "dense" else "ResNet-8" + (f" x{width / 16:g}" if width != 16 else "")
    )
    return Case(f"{name}, batch {batch}", functools.partial(build_step, network, width, batch), FORWARD)


def build_step(network: str, width: int, batch: int) -> Built:
    """Return one forward pass, and steps of several kinds that start from the same weights."""
    program = training_program(network, width)
    make = functools.partial(_trainer, program, batch)
    gaussian = make()
    weights = sum(item.values.size for item in gaussian.trainables)
    candidates = (
        _forward(program, batch),
        _step(gaussian),
        _step(make(paired=True), f"{STEP}, paired"),
        _step(make(distribution="rademacher"), f"{STEP}, rademacher"),
        _step(make(distribution="rademacher", paired=True), f"{STEP}, rademacher, paired"),
        _step(
            make(distribution="rademacher", rounding="nearest", paired=True),
            f"{STEP}, rademacher, paired, nearest",
        ),
        _step(make(num_directions=3), f"{STEP}, 3 directions"),
        _step(make(num_directions=3, paired=True), f"{STEP}, 3 directions, paired"),
        Candidate(UPDATE, functools.partial(make().apply, (1,)), units=weights),
    )
    return Built(candidates, (f"{weights:,} trained values",))


def _build_last_block(batch: int) -> Built:
    """Train the last residual block and the head only: the suffix is all that runs."""
    program = training_program("resnet8", 16)
    first = next(i for i, call in enumerate(program.calls) if call.name.startswith(LAST_BLOCK))
    _, active = split_before(program, first)
    make = functools.partial(_trainer, active, batch)
    return Built(
        (
            _forward(active, batch),
            _step(make()),
            _step(make(paired=True), f"{STEP}, paired"),
            _step(
                make(distribution="rademacher", rounding="nearest", paired=True),
                f"{STEP}, rademacher, paired, nearest",
            ),
            _forward(program, batch, "forward of the whole network"),
        ),
        ("the forward pass of the base is that of the trained suffix",),
    )


def _build_probing(batch: int) -> Built:
    """Train the last layer: `Trainer` splits the frozen calls off by itself."""
    program = training_program("resnet8", 16)
    last = max(i for i, call in enumerate(program.calls) if "weights" in call.constants)
    _, active = split_before(program, last)
    trainer = _trainer(program, batch, scope="lp")
    features = trainer.features(_inputs(program, batch))
    step = functools.partial(trainer.step, features, _labels(batch))
    return Built(
        (
            _forward(active, batch),
            Candidate(STEP, step),
            _forward(program, batch, "forward of the whole network"),
        ),
        ("the forward pass of the base is that of the last layer, some microseconds",),
    )


def _build_forward_threads() -> Built:
    """Share the rows of a batch out; the ratio is the speed-up, on an idle machine."""
    program, batch = training_program("resnet8", 16), 25
    candidates = []
    for threads in (_THREADS, 1):
        executor = ThreadedExecutor(program, batch, threads)
        executor.load_all(_inputs(program, batch))
        candidates.append(Candidate(_threads_text(threads), executor.execute))
    return Built(tuple(candidates))


def _build_step_threads() -> Built:
    """Share the passes of a step out; the ratio is the speed-up, on an idle machine."""
    make = functools.partial(_trainer, training_program("resnet8", 16), 25, num_directions=3)
    return Built(tuple(_step(make(threads=threads), _threads_text(threads)) for threads in (_THREADS, 1)))


def _threads_text(threads: int) -> str:
    return f"{threads} thread{'s' if threads > 1 else ''}"


def _trainer(
    program: Program, batch: int, *, threads: int = 1, paired: bool = False, **settings: Any
) -> Trainer:
    given = {"num_directions": 1, "epsilon": _EPSILON, "learning_rate": _LEARNING_RATE, **settings}
    config = TrainerConfig(**given)
    return Trainer(program, config, LinearCrossEntropy(), batch, threads=threads, paired=paired)


def _step(trainer: Trainer, name: str = STEP) -> Candidate:
    x = _inputs(trainer.program, trainer.batch)
    return Candidate(name, functools.partial(trainer.step, x, _labels(trainer.batch)))


def _forward(program: Program, batch: int, name: str = FORWARD) -> Candidate:
    executor = Executor(program, batch)
    executor.load(_inputs(program, batch))
    return Candidate(name, executor.execute)


def _inputs(program: Program, batch: int) -> NDArray[Any]:
    return random_input(program, batch)


def _labels(batch: int) -> NDArray[np.int32]:
    return (np.arange(batch) % CLASSES).astype(np.int32)
