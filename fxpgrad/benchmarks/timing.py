"""Interleaved timing: every candidate is sampled once a round, in turn, so that a disturbance hits all alike.

The clock is the calling thread's CPU time, which other jobs on the machine do not lengthen. A candidate that
works in threads of its own would look too fast on that clock: it is found out by comparing the thread's CPU
time with the process's, and is then measured by the latter. With more than one thread allowed, all times are
wall times.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fxpgrad.benchmarks.statistics import median

Run = Callable[[], object]
CLOCKS: Mapping[str, Callable[[], int]] = {
    "thread": time.thread_time_ns,
    "process": time.process_time_ns,
    "wall": time.perf_counter_ns,
}
_OWN_THREADS = 1.25  # process time over thread time from which work is taken to go on elsewhere
_JITTER = 200_000  # ns that mean nothing
_ATTEMPTS, _PAUSE = 3, 0.1
_CALLS = 20_000  # at most, in one sample
_OVERDRAFT = 4  # a candidate leaves the rounds when it has taken this many times its share


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds per call of one candidate, one entry a round."""

    samples: tuple[float, ...]
    clock: str

    @property
    def median(self) -> float:
        """The middle sample."""
        return median(self.samples)

    @property
    def minimum(self) -> float:
        """The best sample."""
        return min(self.samples)


def interleave(
    runs: Mapping[str, Run], rounds: int, seconds: float, *, wall: bool = False
) -> dict[str, Timing]:
    """Time callables in turn.

    Parameters
    ----------
    runs : mapping of str to callable
    rounds : int
        Samples of each.
    seconds : float
        Time for all samples of one; a sample is as many calls as fit into its part of it, at least one. What
        needs much more for one call is sampled in fewer rounds.
    wall : bool
        Take wall times.

    Returns
    -------
    dict of str to Timing
    """
    share = seconds / rounds
    clocks = {name: "wall" if wall else choose_clock(run, share) for name, run in runs.items()}
    calls = {name: _calls_in(run, share, CLOCKS[clocks[name]]) for name, run in runs.items()}
    samples: dict[str, list[float]] = {name: [] for name in runs}
    spent = dict.fromkeys(runs, 0.0)
    collecting = gc.isenabled()
    gc.disable()
    try:
        for _ in range(rounds):
            left = [name for name in runs if spent[name] <= _OVERDRAFT * seconds]
            if not left:
                break
            for name in left:
                run = runs[name]
                sample = _sample(run, calls[name], CLOCKS[clocks[name]])
                samples[name].append(sample)
                spent[name] += sample * calls[name]
    finally:
        if collecting:
            gc.enable()
    return {name: Timing(tuple(values), clocks[name]) for name, values in samples.items()}


def choose_clock(run: Run, seconds: float) -> str:
    """Warm a candidate up and return "thread", or "process" if it works in threads of its own.

    Threads of what ran before may go on for a moment: only what shows again after a pause is its own.
    """
    run()
    for attempt in range(_ATTEMPTS):
        thread, process = _both_clocks(run, max(seconds / _ATTEMPTS, 1e-3))
        if process <= _OWN_THREADS * thread + _JITTER:
            return "thread"
        if attempt + 1 < _ATTEMPTS:
            time.sleep(_PAUSE)
    return "process"


def _both_clocks(run: Run, seconds: float) -> tuple[int, int]:
    """Return the CPU nanoseconds of this thread and of the whole process while the candidate runs."""
    deadline = time.perf_counter() + seconds
    thread, process = time.thread_time_ns(), time.process_time_ns()
    while True:
        run()
        if time.perf_counter() > deadline:
            break
    return time.thread_time_ns() - thread, time.process_time_ns() - process


def _calls_in(run: Run, seconds: float, clock: Callable[[], int]) -> int:
    first = _sample(run, 1, clock)
    if first * 10 < seconds:  # one call is too short to be told from the clock
        first = _sample(run, max(1, min(100, int(seconds / 5 / max(first, 1e-6)))), clock)
    return max(1, min(_CALLS, int(seconds / max(first, 1e-8))))


def _sample(run: Run, calls: int, clock: Callable[[], int]) -> float:
    repeats = range(calls)
    start = clock()
    for _ in repeats:
        run()
    return (clock() - start) / calls * 1e-9


def paired_ratio(other: Sequence[float], base: Sequence[float]) -> float:
    """Return the median over rounds of one time over the other: what slows a whole round cancels out."""
    pairs = zip(other, base, strict=False)  # one of them may have left the rounds early
    return median([a / max(b, 1e-12) for a, b in pairs])
