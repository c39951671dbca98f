"""The suites by name, and the loop that measures them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fxpgrad.benchmarks.candidate import Case, Options
from fxpgrad.benchmarks.compile_time import compile_cases
from fxpgrad.benchmarks.environment import record_environment
from fxpgrad.benchmarks.layer_suites import conv_cases, depthwise_cases, gemm_cases, pointwise_cases
from fxpgrad.benchmarks.nets import net_cases
from fxpgrad.benchmarks.peak import peak_cases
from fxpgrad.benchmarks.peers.numpy import limit_blas_threads
from fxpgrad.benchmarks.report import CaseResult, Report, SuiteResult, make_case_result
from fxpgrad.benchmarks.step import step_cases
from fxpgrad.benchmarks.timing import interleave
from fxpgrad.errors import FxpgradError, InputError
from fxpgrad.graph.attributes import nearest
from fxpgrad_kernels.errors import KernelError

OnCase = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Suite:
    """A named list of cases; needs_models: it measures nothing without model files."""

    name: str
    about: str
    cases: Callable[[Options], list[Case]]
    needs_models: bool = False
    uses_peers: bool = True


SUITES = {
    suite.name: suite
    for suite in (
        Suite("peak", "multiply-adds that this core can do at all", peak_cases, uses_peers=False),
        Suite("gemm", "matrix products", gemm_cases),
        Suite("conv", "3x3 convolutions", conv_cases),
        Suite("pointwise", "1x1 convolutions", pointwise_cases),
        Suite("depthwise", "depthwise 3x3 convolutions", depthwise_cases),
        Suite("nets", "whole networks from model files", net_cases, needs_models=True),
        Suite("step", "training steps", step_cases, uses_peers=False),
        Suite("compile", "a new process's first result", compile_cases, uses_peers=False),
    )
}


def suites_named(names: Sequence[str]) -> tuple[Suite, ...]:
    """Return the suites, in their own order; all of them for no name.

    Raises
    ------
    InputError
        A name is unknown; the message gives the nearest.
    """
    for name in names:
        if name not in SUITES:
            raise InputError(f"there is no suite {name!r}{nearest(name, tuple(SUITES))}")
    return tuple(suite for suite in SUITES.values() if not names or suite.name in names)


def plan_cases(suites: Sequence[Suite], options: Options) -> dict[str, list[Case]]:
    """Return the cases of each suite that `options.only` leaves."""
    return {
        suite.name: [case for case in suite.cases(options) if options.only.lower() in case.label.lower()]
        for suite in suites
    }


def run_suites(suites: Sequence[Suite], options: Options, on_case: OnCase | None = None) -> Report:
    """Measure suites; Ctrl-C ends the run with what has been measured.

    on_case: called with (suite, case) just before each case is built.
    """
    compared = [peer for peer in options.peers if any(suite.uses_peers for suite in suites)]
    environment = record_environment(compared)
    notes = {peer.absence for peer in compared if not peer.installed}
    planned = plan_cases(suites, options)
    limit_blas_threads(options.threads)  # also for the exact sums: its idle threads spin for a while
    measured: dict[str, list[CaseResult]] = {suite.name: [] for suite in suites}
    finished = False
    with contextlib.suppress(KeyboardInterrupt):
        for suite in suites:
            for case in planned[suite.name]:
                if on_case is not None:
                    on_case(suite.name, case.label)
                measured[suite.name].append(run_case(case, options))
        finished = True
    results = tuple(
        SuiteResult(suite.name, tuple(measured[suite.name]), suite.uses_peers) for suite in suites
    )
    return Report(
        environment, options.rounds, options.seconds, options.threads, results, tuple(sorted(notes)), finished
    )


def run_case(case: Case, options: Options) -> CaseResult:
    """Build and time one case; what this package refuses to do becomes a remark."""
    try:
        built = case.build()
        timings = built.timings
        if timings is None:
            runs = {candidate.name: candidate.run for candidate in built.candidates}
            wall = case.wall or options.threads > 1
            timings = interleave(runs, options.rounds, options.seconds, wall=wall)
        return make_case_result(case, built, timings)
    except (FxpgradError, KernelError) as error:
        return CaseResult(case.label, case.base, (), (f"not measured: {error}",))
