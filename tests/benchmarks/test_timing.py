"""Who is called how often, and by which clock; nothing here depends on how fast anything is."""

from __future__ import annotations

import threading
import time

from fxpgrad.benchmarks.timing import CLOCKS, Timing, interleave, paired_ratio


def test_candidates_take_turns():
    order: list[str] = []

    def candidate(name: str):
        def run() -> None:
            order.append(name)
            time.sleep(0.03)  # longer than its part of the time: one call a sample

        return run

    timings = interleave({name: candidate(name) for name in "ab"}, rounds=5, seconds=0.1, wall=True)
    assert len(timings["a"].samples) == len(timings["b"].samples) == 5
    assert order[-10:] == ["a", "b"] * 5


def test_clocks_are_named():
    for wall, allowed in ((False, {"thread", "process"}), (True, {"wall"})):
        timing = interleave({"a": lambda: None}, 1, 1e-3, wall=wall)["a"]
        assert timing.clock in allowed
        assert timing.clock in CLOCKS


def spin(turns: int) -> None:
    total = 0
    for i in range(turns):
        total += i * i


def in_another_thread() -> None:
    worker = threading.Thread(target=spin, args=(200_000,))
    worker.start()
    worker.join()


def test_work_in_other_threads_is_found_out():
    assert interleave({"a": in_another_thread}, 1, 0.03)["a"].clock == "process"


def test_what_takes_too_long_leaves_the_rounds():
    timing = interleave({"slow": lambda: spin(300_000), "quick": lambda: None}, 10_000, 1e-3, wall=True)
    assert 1 <= len(timing["slow"].samples) < 10_000
    assert min(timing["slow"].samples) > 0


def test_median_and_minimum():
    timing = Timing((3.0, 1.0, 2.0), "thread")
    assert (timing.median, timing.minimum) == (2.0, 1.0)


def test_paired_ratio_cancels_a_slow_round():
    base = (1.0, 10.0, 1.0, 1.0)  # the whole second round was slow
    other = (2.0, 20.0, 2.0, 2.0)
    assert paired_ratio(other, base) == 2.0
    assert paired_ratio(other[:2], base) == 2.0
