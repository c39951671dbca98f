"""The trainer: learns, equals its definition, is deterministic, and never hides a dead step."""

from __future__ import annotations

import dataclasses
import threading
import tracemalloc

import numpy as np
import pytest

from fxpgrad.errors import InputError, LoweringError, TrainingError
from fxpgrad.program.execute import run_program, run_reference
from fxpgrad.program.program import Program, constants_sha256
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.objective import LinearCrossEntropy
from fxpgrad.trainer.replay import replay
from fxpgrad.trainer.report import StepReport
from fxpgrad.trainer.trainable import distribution_code
from fxpgrad.trainer.trainer import Trainer
from fxpgrad.trainer.watch import Watch
from fxpgrad_kernels.loss.cross_entropy_ref import cross_entropy_linear_ref
from fxpgrad_kernels.random.distributions import direction_table
from tests.trainer.small_programs import dense_integers, dense_program, image_program

FAST = TrainerConfig(epsilon=1e-2, learning_rate=2e-2, seed=3)


def _train(config: TrainerConfig, steps: int = 40, program: Program | None = None) -> Trainer:
    chosen = dense_program() if program is None else program
    x, y = dense_integers(chosen)
    trainer = Trainer(chosen, config, LinearCrossEntropy(), len(x))
    trainer.fit(x, y, steps)
    return trainer


def _digest(trainer: Trainer) -> str:
    return constants_sha256({item.name: item.values for item in trainer.trainables})


@pytest.mark.parametrize("scope", ["ft", "lp"])
@pytest.mark.parametrize("form", ["exact", "paper"])
def test_training_lowers_the_loss_and_raises_the_accuracy(scope: str, form: str) -> None:
    program = dense_program()
    x, y = dense_integers(program)
    config = dataclasses.replace(FAST, scope=scope, form=form)  # type: ignore[arg-type]
    trainer = Trainer(program, config, LinearCrossEntropy(), len(x))
    report = trainer.fit(x, y, 120)
    before = (run_program(program, x).argmax(1) == y).mean()
    after = (run_program(trainer.adapted(), x).argmax(1) == y).mean()
    assert report.steps[-1].mean_loss < 0.6 * report.steps[0].mean_loss
    assert after > max(before, 0.8)
    assert report.forwards == 2 * 3 * 120


def test_rademacher_directions_learn_too() -> None:
    trainer = _train(dataclasses.replace(FAST, distribution="rademacher"), 120)
    x, y = dense_integers(trainer.program)
    assert (run_program(trainer.adapted(), x).argmax(1) == y).mean() > 0.8


@pytest.mark.parametrize("paired", [True, False])
def test_one_step_equals_its_definition_from_references(paired: bool) -> None:
    program, x, y = image_program()
    trainer = Trainer(program, FAST, LinearCrossEntropy(), len(x), paired=paired)
    table = direction_table(distribution_code(FAST))
    before = {item.name: item.values.copy() for item in trainer.trainables}
    report = trainer.step(x, y)
    losses: dict[int, list[int]] = {1: [], -1: []}
    scale = program.constants[program.calls[-1].constants["bias"]].scale
    assert scale is not None
    objective = trainer._objective
    for direction in range(3):
        for sign in (1, -1):
            perturbed = {}
            for item in trainer.trainables:
                flat = item.perturb.reference(
                    before[item.name].reshape(-1), item.epsilon, table, 3, 0, direction,
                    item.tensor, sign, 0, 0,
                )  # fmt: skip
                perturbed[item.name] = flat.reshape(before[item.name].shape)
            out = run_reference(program.with_constants(perturbed), x)[program.outputs[0]]
            losses[sign].append(
                int(cross_entropy_linear_ref(out, objective._multiplier, objective._shift, y).sum())
            )
    assert report.losses_plus == tuple(losses[1])
    assert report.losses_minus == tuple(losses[-1])
    assert report.scalars == tuple(int(np.sign(p - m)) for p, m in zip(losses[1], losses[-1], strict=True))
    for item in trainer.trainables:
        expected, _ = item.update.reference(
            before[item.name].reshape(-1), np.array(report.scalars, np.int32), item.multiplier, item.shift,
            table, 3, 0, item.tensor, 1, 0,
        )  # fmt: skip
        np.testing.assert_array_equal(item.values.reshape(-1), expected)


def test_same_seed_gives_the_same_weights_in_two_runs_and_two_threads() -> None:
    alone = _digest(_train(FAST))
    assert _digest(_train(FAST)) == alone
    together: list[str] = []
    threads = [threading.Thread(target=lambda: together.append(_digest(_train(FAST)))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == [alone, alone]
    assert _digest(_train(dataclasses.replace(FAST, seed=4))) != alone


@pytest.mark.parametrize("directions", [1, 3])
@pytest.mark.parametrize("scope", ["ft", "lp"])
def test_threads_and_pairing_change_no_bit(scope: str, directions: int) -> None:
    program, x, y = image_program()
    config = dataclasses.replace(FAST, scope=scope, num_directions=directions)  # type: ignore[arg-type]
    seen = set()
    for threads in (1, 2, 3, 7):
        for paired in (True, False):
            trainer = Trainer(program, config, LinearCrossEntropy(), len(x), threads=threads, paired=paired)
            report = trainer.fit(x, y, 3)
            seen.add((_digest(trainer), report))
    assert len(seen) == 1


@pytest.mark.parametrize("schedule", ["constant", "linear"])
@pytest.mark.parametrize("rounding", ["nearest", "stochastic", "floor"])
def test_a_run_replays_from_its_signs(rounding: str, schedule: str) -> None:
    config = dataclasses.replace(FAST, rounding=rounding, schedule=schedule)  # type: ignore[arg-type]
    program = dense_program()
    x, y = dense_integers(program)
    trainer = Trainer(program, config, LinearCrossEntropy(), len(x))
    report = trainer.fit(x, y, 15)
    signs = [step.scalars for step in report.steps]
    again = Trainer(program, config, LinearCrossEntropy(), len(x))
    replay(again, signs)
    assert _digest(again) == _digest(trainer)
    beginning, first = (Trainer(program, config, LinearCrossEntropy(), len(x)) for _ in range(2))
    replay(beginning, signs[:6], 15)
    seen: list[str] = []
    first.fit(x, y, 15, lambda report: seen.append(_digest(first)))
    assert _digest(beginning) == seen[5]


def test_what_cannot_be_replayed_is_refused() -> None:
    program = dense_program()
    trainer = Trainer(program, FAST, LinearCrossEntropy(), 8)
    one = (1,) * FAST.num_directions
    for scalars, steps, message in (
        ([one], 0, "steps must be the length of the whole run, 1 or more; got 0"),
        ([one], 1.5, "got 1.5"),
        ([(1,) * 9], None, "scalars must be"),
        ([one, one, (2,) * FAST.num_directions], None, "scalars must be"),
        ([(0.5,) * FAST.num_directions], None, r"integers in \[-1, 1\]; got \(0.5"),
        ([("1",) * FAST.num_directions], None, "scalars must be"),
        ([1], None, "scalars must be"),
        (None, None, "scalars must be a sequence, an entry a step; got NoneType"),
    ):
        with pytest.raises(InputError, match=message):
            replay(trainer, scalars, steps)  # type: ignore[arg-type]
        assert trainer.steps_taken == 0
    trainer.apply(one)
    with pytest.raises(InputError, match="has taken 1 steps"):
        replay(trainer, [one])
    exact = Trainer(program, dataclasses.replace(FAST, scope="lp", head="exact"), LinearCrossEntropy(), 8)
    with pytest.raises(InputError, match="depend on the data"):
        replay(exact, [one])


def test_linear_probing_moves_the_last_layer_only_and_runs_the_rest_once() -> None:
    program, x, y = image_program()
    trainer = Trainer(program, dataclasses.replace(FAST, scope="lp"), LinearCrossEntropy(), len(x))
    trainer.fit(x, y, 5)
    adapted = trainer.adapted()
    head = set(program.calls[-1].constants.values())
    for name, constant in program.constants.items():
        same = np.array_equal(constant.data, adapted.constants[name].data)
        assert same == (name not in head), name
    assert [bound.call.name for bound in trainer._executor.calls] == [program.calls[-1].name]


def test_full_fine_tuning_moves_every_weight_tensor() -> None:
    program, x, y = image_program()
    trainer = Trainer(program, FAST, LinearCrossEntropy(), len(x))
    trainer.fit(x, y, 3)
    for item in trainer.trainables:
        assert not np.array_equal(item.values, program.constants[item.name].data), item.name
    untouched = {constant.name for constant in program.constants.values()} - {
        item.name for item in trainer.trainables
    }
    assert all(name.endswith(("multiplier", "shift")) for name in untouched)


def test_the_given_program_is_never_written_to() -> None:
    program = dense_program()
    before = program.constants_sha256()
    _train(FAST, 5, program)
    assert program.constants_sha256() == before


def test_scratch_is_the_arena_and_one_layer_in_the_planner_and_in_the_allocator() -> None:
    program, x, y = image_program()
    trainer = Trainer(program, FAST, LinearCrossEntropy(), len(x), paired=False)
    executor = trainer._executor
    layers = [
        [program.constants[call.constants[role]].data for role in ("weights", "bias")]
        + list(executor.prepared[call.name].values())
        for call in program.calls
        if "weights" in call.constants
    ]
    largest = max(sum(array.nbytes for array in arrays) for arrays in layers)
    lines = 64 * max(len(arrays) for arrays in layers)
    assert trainer.scratch_bytes <= executor.plan.peak_bytes + largest + lines
    trainer.step(x, y)
    tracemalloc.start()
    try:
        trainer.step(x, y)
        tracemalloc.clear_traces()
        tracemalloc.reset_peak()
        trainer.step(x, y)
        traces = tracemalloc.take_snapshot().filter_traces(
            [tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)]
        )
        arrays = sum(trace.size for trace in traces.traces)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert arrays == 0, "a step leaves no array behind"
    assert peak < 32 * 1024, "a step allocates no array of a layer's or an activation's size"


def test_a_probe_of_zero_steps_is_refused_before_training() -> None:
    with pytest.raises(TrainingError, match=r"epsilon 1e-09 rounds to zero .* use epsilon of at least"):
        _train(dataclasses.replace(FAST, epsilon=1e-9))


def test_eight_bit_weights_refuse_the_papers_epsilon() -> None:
    with pytest.raises(TrainingError, match="16-bit weights"):
        _train(dataclasses.replace(FAST, epsilon=1e-4), program=dense_program(8))


def test_dead_steps_are_reported_and_end_the_run() -> None:
    program = dense_program()
    x, y = dense_integers(program)
    config = dataclasses.replace(FAST, learning_rate=1e-9, rounding="nearest", train_bias=False, patience=4)
    trainer = Trainer(program, config, LinearCrossEntropy(), len(x))
    reports = []
    with pytest.raises(TrainingError, match=r"4 dead steps in a row \(no weight moved\); raise the learning"):
        trainer.fit(x, y, 50, reports.append)
    assert [report.dead for report in reports] == ["no weight moved"] * 4


def test_equal_losses_are_reported_and_end_the_run() -> None:
    program = dense_program()
    x, y = dense_integers(program)
    nothing = np.full_like(x, program.tensors[program.inputs[0]].zero_point)  # real zeros: no weight matters
    config = dataclasses.replace(FAST, patience=3, train_bias=False)
    trainer = Trainer(program, config, LinearCrossEntropy(), len(x))
    with pytest.raises(TrainingError, match=r"3 dead steps in a row \(equal losses\); raise epsilon"):
        trainer.fit(nothing, y, 10)


def test_a_run_whose_loss_is_zero_is_done_and_not_hopeless() -> None:
    program = dense_program()
    head = program.calls[-1].constants
    one_class = program.with_constants(
        {head["bias"]: np.array([2**30, -(2**30), -(2**30)], np.int32)}  # class 0 wins by far
    )
    x, y = dense_integers(program)
    config = dataclasses.replace(FAST, scope="lp", patience=3)
    trainer = Trainer(one_class, config, LinearCrossEntropy(), len(x))
    report = trainer.fit(x, np.zeros_like(y), 6)
    assert [step.dead for step in report.steps] == ["zero loss"] * 6


def test_saturated_steps_are_reported_and_a_runaway_run_ends() -> None:
    program = dense_program()
    x, y = dense_integers(program)
    trainer = Trainer(program, dataclasses.replace(FAST, learning_rate=50.0), LinearCrossEntropy(), len(x))
    reports = []
    with pytest.raises(TrainingError, match=r"clipped|beyond int32"):
        trainer.fit(x, y, 10, reports.append)
    assert reports[0].saturated


def test_a_diverging_run_ends() -> None:
    def report(step: int, loss: float) -> StepReport:
        total = round(loss * 2**24)
        return StepReport(step, (total,), (total,), (1,), 0, 5, 0, 1)

    watch = Watch(patience=3, values=100, num_classes=3)
    for step, loss in enumerate((0.5, 2.0, 0.5, 0.5, 1.0, 1.5)):
        watch.observe(report(step, loss))
    watch.observe(report(6, 2.0))
    with pytest.raises(TrainingError, match=r"step 7: the loss rose from 0.5 to 1.83 .* lower the learning"):
        watch.observe(report(7, 2.0))


def test_minibatches_are_a_function_of_seed_and_step() -> None:
    program = dense_program()
    x, y = dense_integers(program, 48)
    digests = set()
    for _ in range(2):
        trainer = Trainer(program, FAST, LinearCrossEntropy(), 8)
        trainer.fit(x, y, 6)
        digests.add(_digest(trainer))
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epsilon": 0.0}, "epsilon must be a positive"),
        ({"learning_rate": float("nan")}, "learning_rate must be a positive"),
        ({"num_directions": 0}, "num_directions must be an integer in"),
        ({"num_directions": 65}, "num_directions must be an integer in"),
        ({"scope": "all"}, "scope must be one of ft, lp"),
        ({"seed": -1}, "seed must be an integer"),
        ({"rounding": "up"}, "rounding must be one of"),
        ({"form": "paper", "distribution": "rademacher"}, "form 'paper'"),
    ],
)
def test_bad_settings_are_refused_by_name(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        dataclasses.replace(FAST, **change)  # type: ignore[arg-type]


def test_bad_data_is_refused_by_name() -> None:
    program = dense_program()
    x, y = dense_integers(program)
    trainer = Trainer(program, FAST, LinearCrossEntropy(), len(x))
    with pytest.raises(InputError, match="must be int8"):
        trainer.fit(x.astype(np.float32), y, 1)
    with pytest.raises(InputError, match="labels must be int32"):
        trainer.fit(x, y.astype(np.int64), 1)
    with pytest.raises(InputError, match="cannot fill a batch"):
        trainer.fit(x[:5], y[:5], 1)
    with pytest.raises(InputError, match="label"):
        trainer.fit(x, y + 1, 1)
    with pytest.raises(InputError, match="steps"):
        trainer.fit(x, y, 0)


def test_a_cut_through_a_residual_branch_is_refused() -> None:
    program, _, _ = image_program()
    from fxpgrad.program.head import split_before

    with pytest.raises(LoweringError, match="tensors cross the cut"):
        split_before(program, 1)
