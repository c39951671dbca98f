"""The judge, judged: Python callables that are right, or wrong in one way each."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fxpgrad.conformance.conform import Setup, Verdict, check_case, conform
from fxpgrad.conformance.sandbox import last_words
from fxpgrad.errors import InputError
from tests.conformance import mock_targets
from tests.guarded_memory import needs_guards


def verdict_on(name: str, **options) -> Verdict:
    setup = options.pop("setup", Setup(timeout=1.0))
    chosen = {"cases": 40, "shrink_seconds": 1.0, **options}
    return conform(f"tests.conformance.mock_targets:{name}", "add_a8", setup=setup, **chosen)


@pytest.mark.parametrize("name", ["right", "prints"])
def test_a_right_target_passes(name):
    verdict = verdict_on(name)
    assert verdict.passed
    assert verdict.cases == 40
    assert verdict.findings == ()


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        ("forgets_output_zero_point", "values", "1 of 1 elements of output differ"),
        ("wrong_in_long_arrays", "values", "1 of 5 elements of output differ"),
        ("raises", "exception", "KeyError: 'no such zero point'"),
        ("leaves", "exception", "SystemExit: 3"),
        ("crashes", "crash", "SIGSEGV"),
        ("aborts", "crash", "SIGABRT; it said: assertion failed: size"),
        ("exits_quietly", "crash", "exit status 0"),
        ("hangs", "hang", "no answer within 1 s"),
        pytest.param("reads_behind", "bounds", "behind the end of input_b", marks=needs_guards),
        ("writes_before", "bounds", "input_a before its start"),
        ("writes_an_input", "modified", "writes to input_a"),
        ("is_unstable", "unstable", "when the same call is made again"),
        ("is_too_wide", "shape", "output is int32"),
        ("returns_two", "shape", "returned 2 arrays instead of 1"),
        ("returns_text", "exception", "returned dict, no arrays"),
        ("no_such_function", "load", "no attribute 'no_such_function'"),
    ],
)
def test_a_wrong_target_is_found_out(name, kind, told):
    verdict = verdict_on(name)
    assert [finding.kind for finding in verdict.findings] == [kind]
    assert told in verdict.findings[0].text


def test_a_counter_example_is_minimal():
    (finding,) = verdict_on("forgets_output_zero_point", shrink_seconds=10.0).findings
    assert finding.case["input_a"].tolist() == finding.case["input_b"].tolist() == [0]
    assert abs(finding.case["output_zero_point"]) == 1
    assert (finding.case["clamp_low"], finding.case["clamp_high"]) == (-128, 127)
    assert (finding.output, finding.index, finding.got) == ("output", (0,), 0)


def test_a_case_that_hangs_is_made_small_too():
    (finding,) = verdict_on("hangs", shrink_seconds=10.0).findings
    assert len(finding.case["input_a"]) == 3


def test_without_guards_reads_go_unnoticed_and_writes_do_not():
    setup = Setup(timeout=1.0, guards=False)
    assert verdict_on("reads_behind", setup=setup).passed
    (finding,) = verdict_on("writes_before", setup=setup).findings
    assert finding.text == "writes input_a before its start"


def test_one_stall_is_no_hang(tmp_path, monkeypatch):
    monkeypatch.setenv("FXPGRAD_MOCK_STALL", str(tmp_path / "stalled"))
    assert verdict_on("stalls_once").passed
    assert (tmp_path / "stalled").exists()


def test_the_same_seed_finds_the_same():
    one, other = (verdict_on("wrong_in_long_arrays", seed=5) for _ in range(2))
    assert one.cases == other.cases


def test_time_ends_a_run():
    verdict = verdict_on("right", cases=10**6, seconds=2.0)
    assert verdict.passed
    assert 0 < verdict.cases < 10**6


def test_a_function_itself_is_a_target():
    assert conform(mock_targets.right, "add_a8", cases=5).passed
    assert not conform(mock_targets.leaves, "add_a8", cases=5, shrink_seconds=0.5).passed


def test_a_function_inside_another_is_no_target():
    with pytest.raises(InputError, match="inside another"):
        conform(lambda **case: None, "add_a8")


def test_one_case_can_be_checked():
    (finding,) = verdict_on("forgets_output_zero_point").findings
    check_case(mock_targets.right, "add_a8", finding.case)
    with pytest.raises(AssertionError, match=r"output\[0\] is 0, must be"):
        check_case(mock_targets.forgets_output_zero_point, "add_a8", finding.case)
    with pytest.raises(AssertionError, match="no attribute"):
        check_case("tests.conformance.mock_targets:nothing", "add_a8", finding.case)


@pytest.mark.parametrize(
    ("target", "setup", "told"),
    [
        ("no such thing", Setup(), "neither a file nor module:function"),
        ("missing.so", Setup(), "there is no file"),
        ("missing.py:f", Setup(), "there is no file"),
        (None, Setup(), "name a target"),
        ("a:b", Setup(command="cat {in} {out}"), "not both"),
        ("a:b", Setup(alignment=3), "power of two"),
        (None, Setup(command="cat"), "must hold"),
        (None, Setup(command="no-such-program {in} {out}"), "there is no program"),
        (None, Setup(command='"'), "is no command"),
        ("a:b", Setup(symbol="c"), "symbol says how a shared library is called"),
        (None, Setup(command="cat {in} {out}", abi="cmsis"), "the target is a command"),
        ("mine.py", Setup(), "name a function of mine.py"),
        ("a:b", Setup(timeout=float("nan")), "timeout must be from 0.05 to 1e"),
        ("a:b", Setup(timeout=float("inf")), "timeout must be"),
    ],
)
def test_bad_usage_is_an_error(target, setup, told):
    with pytest.raises(InputError, match=told):
        conform(target, "add_a8", setup=setup)


@pytest.mark.parametrize("number", [{"cases": 0}, {"seed": -1}, {"seconds": float("nan")}, {"seconds": 0.0}])
def test_numbers_out_of_range_are_an_error(number):
    with pytest.raises(InputError, match="must be"):
        conform("a:b", "add_a8", **number)


def test_of_what_a_process_said_the_telling_line_is_taken():
    assert last_words("a\nb\n") == "b"
    assert last_words("") == ""
    assert last_words("x.c:3: runtime error: index 5 out of bounds\nmore") == (
        "x.c:3: runtime error: index 5 out of bounds"
    )
    assert last_words("==1==ERROR: A\n#0\nSUMMARY: AddressSanitizer: heap\n==1==ABORTING") == (
        "SUMMARY: AddressSanitizer: heap"
    )


def test_nothing_runs_on_when_a_verdict_is_there():
    before = set(children())
    verdict_on("hangs", shrink_seconds=0.5)
    assert set(children()) <= before


def children() -> list[str]:
    """Return the processes whose parent is this one."""
    own = Path(f"/proc/{os.getpid()}/task")
    if not own.is_dir():
        pytest.skip("reads /proc")
    found = []
    for task in own.iterdir():
        found += (task / "children").read_text().split()
    return found
