"""What is timed: candidates side by side in a case, cases in a suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fxpgrad.benchmarks.peers.peer import Peer
from fxpgrad.benchmarks.timing import Timing

OURS = "fxpgrad"
PEAK = "multiply-add peak"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to do a case's work.

    Attributes
    ----------
    name : str
        Unique in its case.
    run : callable
        Does the work once; everything that can be prepared has been.
    macs : int or None
        Multiply-adds of one run, if they are counted.
    result : str
        What is known of its numbers: "exact", "inexact: ...", "bits equal", or nothing.
    units : int
        Weights (or numbers) that one run goes through, for its nanoseconds per weight; 0: not counted.
    """

    name: str
    run: Callable[[], object]
    macs: int | None = None
    result: str = ""
    units: int = 0


@dataclass(frozen=True, slots=True)
class Built:
    """The candidates of a case, ready to run, and remarks on those that are missing.

    timings: given where the case has timed itself (other processes, say). derived: figures in words and
    numbers that follow from the timings, made after they are taken.
    """

    candidates: tuple[Candidate, ...]
    notes: tuple[str, ...] = ()
    timings: Mapping[str, Timing] | None = None
    derived: Callable[[Mapping[str, Timing]], dict[str, float]] | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A piece of work that several candidates do; `build` is called just before it is measured.

    base: the candidate whose time is 1 in the ratios of this case. wall: take wall times, because a
    candidate works on several threads at once. large: a product of long sums over many rows, which also
    counts in a mean over all suites.
    """

    label: str
    build: Callable[[], Built]
    base: str = OURS
    wall: bool = False
    large: bool = False


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is done.

    Attributes
    ----------
    peers : sequence of Peer
        The peers to compare with; those that are not installed are reported and left out.
    rounds : int
        Times that every candidate is sampled, in turn.
    seconds : float
        Time for all samples of one candidate.
    threads : int
        Threads that every peer may use; above 1 all times are wall times.
    models : sequence of paths
        Model files of the suite `nets`.
    only : str
        Measure only cases whose label holds this text.
    wide : bool
        Measure the layers with 16-bit weights too.
    """

    peers: Sequence[Peer] = ()
    rounds: int = 15
    seconds: float = 0.2
    threads: int = 1
    models: Sequence[str] = ()
    only: str = ""
    wide: bool = False
