"""The main job: its numbers depend on its settings alone, and its report says where each comes from."""

from __future__ import annotations

import _thread
import dataclasses
import json
import signal
import threading

import numpy as np
import pytest

from fxpgrad.errors import InputError, MissingExtraError, StoreError, TrainingError
from fxpgrad.experiments import backprop_source, demo
from fxpgrad.experiments.backprop_source import Recorded, choose_source, load_recorded, require_fit
from fxpgrad.experiments.demo import DemoSettings, run_demo, task_episode
from fxpgrad.experiments.few_shot import accuracy, prototype_classifier, to_integers
from fxpgrad.program.execute import Executor
from fxpgrad.tasks.backbone import distance_scale, load_program

QUICK = DemoSettings(tasks=2, queries=3, ff_lp_steps=2, ff_ft_steps=1, bp_steps=1)
RUN = {
    "provenance": {"made_by": "a test"},
    "sampling": "alphabet",
    "seed": 0,
    "accuracies": [0.5, 1.0, 0.9],
    "steps": 20,
    "learning_rate": 3e-5,
}


@pytest.fixture
def without_torch(monkeypatch):
    def fail() -> None:
        raise MissingExtraError("backpropagation needs PyTorch")

    monkeypatch.setattr(backprop_source, "import_torch", fail)


@pytest.fixture
def recorded(tmp_path, monkeypatch, without_torch):
    """The bundled recorded run, in a folder of the test's own."""
    path = tmp_path / backprop_source.RECORDED
    path.write_text(json.dumps(RUN))
    monkeypatch.setattr(backprop_source, "recorded_file", lambda: path)
    return path


def integer_part(report):
    return [result for result in report.results if result.method != "bp_ft"]


def test_integer_results_do_not_depend_on_threads_but_on_the_seed(without_torch):
    one, two = run_demo(QUICK, 1), run_demo(QUICK, 2)
    assert integer_part(one) == integer_part(two)
    assert one.memory == two.memory
    other = run_demo(dataclasses.replace(QUICK, seed=1), 2)
    for method in (1, 2):
        digests = [report.results[method].weights_sha256 for report in (one, other)]
        assert digests[0] is not None
        assert digests[0] != digests[1]


def test_report_counts_forwards_and_memory(without_torch):
    report = run_demo(QUICK)
    by_method = {result.method: result for result in report.results}
    assert list(by_method) == ["zero_shot", "ff_lp", "ff_ft", "bp_ft"]
    assert by_method["zero_shot"].forwards == 0
    assert by_method["zero_shot"].weights_sha256 is None
    assert by_method["ff_lp"].forwards == 2 * QUICK.ff_lp.num_directions * 2
    assert by_method["ff_ft"].forwards == 2 * QUICK.ff_ft.num_directions
    memory = report.memory
    program = load_program("16w8a")
    prepared = Executor(program).prepared
    layers = [
        [program.constants[call.constants[role]].data for role in ("weights", "bias")]
        + list(prepared[call.name].values())
        for call in program.calls
        if "weights" in call.constants
    ]
    largest = max(sum(array.nbytes for array in arrays) for arrays in layers)
    extra = memory.ff_scratch_bytes - memory.inference_arena_bytes
    panels = max(sum(array.nbytes for array in arrays.values()) for arrays in prepared.values())
    assert panels < extra < largest + 64 * len(layers[0])  # the arrays are aligned to 64 bytes
    assert memory.bp_scratch_bytes > 5 * memory.ff_scratch_bytes
    assert memory.weights_bytes == program.weights_bytes


def test_zero_shot_is_the_prototype_classifier_of_each_task(without_torch):
    program = load_program("16w8a")
    wanted = []
    for index in range(QUICK.tasks):
        episode = to_integers(program, task_episode(QUICK, index))
        classifier = prototype_classifier(program, episode.support_x, episode.support_y, distance_scale())
        wanted.append(accuracy(classifier, episode.query_x, episode.query_y))
    result = run_demo(QUICK).results[0]
    assert result.accuracies == tuple(wanted)
    assert result.accuracy == np.mean(wanted)


def test_one_task_gives_no_interval(without_torch):
    report = run_demo(dataclasses.replace(QUICK, tasks=1))
    assert report.results[0].ci95 is None


def test_tasks_come_from_one_alphabet_or_from_all():
    one = task_episode(QUICK, 0)
    both = task_episode(dataclasses.replace(QUICK, sampling="all"), 0)
    assert not np.array_equal(one.characters, both.characters)


def test_live_baseline_runs_where_torch_is_installed():
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    report = run_demo(QUICK, 2)
    assert report.bp_ft_source.kind == "live"
    assert report.bp_ft_source.provenance == {"torch": torch.__version__}
    result = report.results[3]
    assert result.accuracies is not None
    assert len(result.accuracies) == 2
    assert result.forwards == 1
    assert result == run_demo(QUICK, 1).results[3]
    assert torch.get_num_threads() == threads


def test_recorded_baseline_stands_in_with_its_provenance(recorded):
    report = run_demo(QUICK)
    assert report.bp_ft_source.kind == "recorded"
    assert report.bp_ft_source.provenance == {"made_by": "a test", "steps": 20, "learning_rate": 3e-5}
    assert report.results[3].accuracies == (0.5, 1.0)
    assert report.results[3].forwards == 20


def test_baseline_that_does_not_fit_is_unavailable_with_the_reason(recorded):
    for arguments, word in (
        ((1, "alphabet", 2), "seed"),
        ((0, "all", 2), "sampling"),
        ((0, "alphabet", 4), "3"),
    ):
        source = choose_source(*arguments)
        assert source.kind == "unavailable"
        assert word in source.reason
    recorded.unlink()
    source = choose_source(0, "alphabet", 2)
    assert source.kind == "unavailable"
    assert "PyTorch" in source.reason
    assert "cannot be read" in source.reason
    result = run_demo(QUICK).results[3]
    assert (result.accuracies, result.accuracy, result.ci95, result.forwards) == (None, None, None, None)


@pytest.mark.parametrize(
    "change",
    [
        {"accuracies": [2.0]},
        {"accuracies": ["much"]},
        {"accuracies": [float("nan")]},
        {"provenance": 3},
        {"seed": None},
    ],
)
def test_malformed_recorded_run_is_refused(tmp_path, change):
    path = tmp_path / "run.json"
    path.write_text(json.dumps(RUN | change))
    with pytest.raises(StoreError, match="recorded run"):
        load_recorded(path)
    path.write_text("{")
    with pytest.raises(StoreError, match="recorded run"):
        load_recorded(path)


def test_recorded_run_must_have_enough_tasks():
    run = Recorded({}, "all", 3, (0.5,), 1, 0.1)
    require_fit(run, 3, "all", 1)
    with pytest.raises(InputError, match="1 tasks, not 2"):
        require_fit(run, 3, "all", 2)


def test_progress_rises_to_the_whole(without_torch):
    seen: list[tuple[float, int]] = []
    run_demo(QUICK, 2, lambda share, tasks: seen.append((share, tasks)))
    shares = [share for share, _ in seen]
    assert shares == sorted(shares)
    assert seen[-1] == (1.0, 2)


def test_interruption_stops_every_thread(without_torch):
    settings = dataclasses.replace(QUICK, tasks=50, ff_ft_steps=1000)
    calls = 0

    def interrupt(_share: float, _tasks: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            _thread.interrupt_main()

    before = threading.active_count()
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    try:
        with pytest.raises(KeyboardInterrupt):
            run_demo(settings, 2, interrupt)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert threading.active_count() == before


def test_hopeless_training_in_one_task_ends_the_run(monkeypatch, without_torch):
    def hopeless(*_arguments: object) -> None:
        raise TrainingError("hopeless")

    monkeypatch.setattr(demo, "adapt_prototypes", hopeless)
    with pytest.raises(TrainingError, match="hopeless"):
        run_demo(dataclasses.replace(QUICK, tasks=50), 2)


@pytest.mark.parametrize(
    "change",
    [
        {"tasks": 0},
        {"seed": -1},
        {"seed": 2**39},
        {"shots": 1},
        {"ff_ft_steps": 0},
        {"sampling": "some"},
        {"ways": True},
    ],
)
def test_settings_out_of_range_are_refused(change):
    with pytest.raises(InputError, match=next(iter(change))):
        dataclasses.replace(QUICK, **change)


def test_more_images_than_a_character_has_are_refused(without_torch):
    with pytest.raises(InputError, match="at most 20"):
        run_demo(dataclasses.replace(QUICK, shots=10, queries=11))


def test_threads_must_be_positive():
    with pytest.raises(InputError, match="threads"):
        run_demo(QUICK, 0)
