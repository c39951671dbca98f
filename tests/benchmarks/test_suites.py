"""The suites: names, cases, and one tiny run of each kind. Nothing is asserted about time."""

from __future__ import annotations

import numpy as np
import pytest

from fxpgrad.benchmarks import compile_time
from fxpgrad.benchmarks.candidate import OURS, PEAK, Case, Options
from fxpgrad.benchmarks.layer import Geometry
from fxpgrad.benchmarks.layer_suites import layer_cases
from fxpgrad.benchmarks.nets import model_files, net_cases
from fxpgrad.benchmarks.peak import multiply_add, peak_arrays, peak_sums
from fxpgrad.benchmarks.peers.table import peers_named
from fxpgrad.benchmarks.step import FORWARD, STEP, UPDATE, build_step, step_cases
from fxpgrad.benchmarks.suites import SUITES, Suite, plan_cases, run_case, run_suites, suites_named
from fxpgrad.benchmarks.training_kernels import KERNELS, bound_arguments
from fxpgrad.benchmarks.training_programs import LAST_BLOCK, training_program
from fxpgrad.errors import InputError, LoweringError, StoreError
from fxpgrad_kernels.random.distributions import Distribution
from fxpgrad_kernels.registry import kernels

QUICK = Options((), rounds=1, seconds=1e-4)
TINY = (Geometry("dense", 2, 8, 4), Geometry("depthwise", 1, 4, 4, 4, 3))


def test_names_in_the_suites_own_order():
    assert [suite.name for suite in suites_named(["conv", "gemm"])] == ["gemm", "conv"]
    assert len(suites_named([])) == len(SUITES)


def test_unknown_suite_names_the_nearest():
    with pytest.raises(InputError, match="'gem'; did you mean gemm"):
        suites_named(["gem"])


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
def test_cases_have_unique_labels(suite):
    labels = [case.label for case in suite.cases(QUICK)]
    assert len(set(labels)) == len(labels)
    assert labels or suite.needs_models


def test_only_selects_by_label():
    planned = plan_cases(suites_named(["gemm", "conv"]), Options(only="84²"))
    assert planned["gemm"] == []
    assert [case.label for case in planned["conv"]] == ["3x3, 84² 64→64, batch 1"]


def test_a_run_measures_each_case_and_reports_progress():
    suite = Suite("tiny", "", lambda options: layer_cases(TINY, options))
    seen: list[tuple[str, str]] = []
    options = Options(peers_named(["numpy"]), rounds=2, seconds=1e-3, wide=True)
    report = run_suites([suite], options, lambda *names: seen.append(names))
    assert seen == [("tiny", geometry.label) for geometry in TINY]
    dense, depthwise = report.suites[0].cases
    names = [row.name for row in dense.rows]
    assert names[0] == OURS
    assert {PEAK, f"{OURS} a8w16", f"{OURS} a8w16 int64", "numpy-int32", "numpy-float32"} < set(names)
    assert [row.name for row in depthwise.rows] == [OURS]
    assert all(len(row.samples) == 2 for row in dense.rows)


def test_what_is_refused_becomes_a_remark():
    def refuse():
        raise LoweringError("cannot be proved")

    found = run_case(Case("refused", refuse), QUICK)
    assert found.rows == ()
    assert found.notes == ("not measured: cannot be proved",)


def test_peak_loop_sums_what_it_says():
    operands, weights, sums = peak_arrays()
    sums[:] = -1
    multiply_add(operands, weights, sums, 5)
    np.testing.assert_array_equal(sums, peak_sums(operands, weights, 5))
    assert np.any(sums != 0)


def test_net_runs_and_is_compared_with_its_reference(tmp_path):
    pytest.importorskip("tflite")
    litert = pytest.importorskip("fxpgrad.benchmarks.peers.litert")
    pytest.importorskip("ai_edge_litert")
    layer = pytest.importorskip("fxpgrad.benchmarks.layer").make_layer(Geometry("conv", 1, 4, 4, 6, 3))
    path = tmp_path / "net.tflite"
    path.write_bytes(litert.one_operator_model(layer))
    files = model_files([], [str(tmp_path)])
    assert files == (str(path),)
    options = Options(peers_named(["litert", "tflm"]), rounds=1, seconds=1e-4, models=files)
    one, many = net_cases(options)
    assert (one.label, many.label) == ("net, batch 1", "net, batch 25")
    rows = {row.name: row for row in run_case(many, options).rows}
    assert rows[OURS].result == "bits equal (tflite_double)"
    assert rows[f"{OURS} tosa_single"].result == "bits equal (tosa_single)"
    assert rows["litert-xnnpack"].result
    assert "litert-16x8" not in rows
    if peers_named(["tflm"])[0].installed:
        assert rows["tflm-reference"].result == "outputs equal ours"


def test_a_model_that_cannot_be_read_as_integers_is_a_remark(tmp_path):
    path = tmp_path / "broken.tflite"
    path.write_bytes(b"....TFL3" + bytes(64))
    (case,) = net_cases(Options(models=(str(path),)))
    found = run_case(case, QUICK)
    assert found.rows == ()
    assert found.notes[0].startswith("left out: ")


def test_model_files_are_checked(tmp_path):
    with pytest.raises(StoreError, match=r"missing\.tflite"):
        model_files([str(tmp_path / "missing.tflite")], [])
    with pytest.raises(StoreError, match="not a directory"):
        model_files([], [str(tmp_path / "missing")])
    with pytest.raises(InputError, match=r"no \.tflite file"):
        model_files([], [str(tmp_path)])


def test_step_case_runs_every_kind_of_step():
    found = run_case(Case("step", lambda: build_step("dense", 16, 3), FORWARD), QUICK)
    assert found.notes == ("442 trained values",), found
    assert found.rows[0].name == FORWARD
    names = {row.name for row in found.rows}
    assert {STEP, UPDATE, f"{STEP}, paired", f"{STEP}, rademacher", f"{STEP}, 3 directions"} <= names
    assert all(row.ratio is not None for row in found.rows)


@pytest.mark.parametrize("words", ["last block only", "scope lp"])
def test_partial_steps_run(words):
    case = next(case for case in step_cases(QUICK) if words in case.label)
    found = run_case(case, QUICK)
    assert any(row.name.startswith(STEP) for row in found.rows), found.notes
    assert {row.clock for row in found.rows} == {"thread"}


@pytest.mark.parametrize("work", ["forward", "3 directions"])
def test_two_threads_are_compared_with_one_in_wall_time(work):
    case = next(case for case in step_cases(QUICK) if f"{work}, threads" in case.label)
    found = run_case(case, QUICK)
    assert [row.name for row in found.rows] == ["2 threads", "1 thread"], found.notes
    assert {row.clock for row in found.rows} == {"wall"}


def test_residual_network_can_be_cut_before_its_last_block():
    program = training_program("resnet8", 4)
    assert any(call.name.startswith(LAST_BLOCK) for call in program.calls)
    assert program.tensors[program.outputs[0]].dtype == "int32"


@pytest.mark.parametrize("law", [Distribution.GAUSSIAN, Distribution.RADEMACHER])
@pytest.mark.parametrize("name", [name for name in KERNELS if name in kernels()])
def test_training_kernels_are_bound_by_their_spec(name, law):
    spec = kernels()[name]
    arguments = bound_arguments(spec, law, 64, 4)
    before = [np.copy(argument) for argument in arguments]
    spec.function(*arguments)
    after = dict(zip((argument.name for argument in spec.arguments), arguments, strict=True))
    changed = [
        argument.name
        for argument, old in zip(spec.arguments, before, strict=True)
        if argument.role != "parameter" and not np.array_equal(old, after[argument.name])
    ]
    assert set(changed) & {"output", "plus", "minus", "weights", "block", "counts"}, changed


def test_a_new_process_says_how_long_it_took():
    times = compile_time.run_once(None, dict(compile_time.os.environ))
    assert times.keys() == {"import", "first", "total", "cpu"}
    assert min(times.values()) > 0


def test_a_new_process_that_fails_is_one_line(tmp_path):
    with pytest.raises(InputError, match="cannot be run in a new process"):
        compile_time.run_once(str(tmp_path / "missing.tflite"), dict(compile_time.os.environ))
