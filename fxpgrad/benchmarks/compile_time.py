"""How long a new process takes to its first result: machine code cached, and compiled anew."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from fxpgrad.benchmarks.candidate import Built, Candidate, Case, Options
from fxpgrad.benchmarks.statistics import median
from fxpgrad.benchmarks.timing import Timing
from fxpgrad.errors import InputError

WARM, COLD = "cached", "compiled anew"
_WARM_RUNS = 3
_TIME_LIMIT = 900.0


def compile_cases(options: Options) -> list[Case]:
    """Return one case for every model file, or one for a network of random weights."""
    paths: list[str | None] = list(options.models) or [None]
    return [
        Case(
            "ResNet-8 (random weights)" if path is None else Path(path).stem,
            functools.partial(_build, path),
            WARM,
        )
        for path in paths
    ]


def _build(path: str | None) -> Built:
    with tempfile.TemporaryDirectory(prefix="fxpgrad-bench-") as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        cold = run_once(path, environment)
        warm = [run_once(path, environment) for _ in range(_WARM_RUNS)]
    timings = {
        WARM: Timing(tuple(run["cpu"] for run in warm), "process"),
        COLD: Timing((cold["cpu"],), "process"),
    }
    figures = {
        "seconds to import, cached": median([run["import"] for run in warm]),
        "seconds from there to the first result, cached": median([run["first"] for run in warm]),
        "seconds in all, cached (wall time)": median([run["total"] for run in warm]),
        "seconds in all, compiled anew (wall time)": cold["total"],
    }
    candidates = tuple(Candidate(name, lambda: None) for name in timings)
    return Built(candidates, ("CPU time of a whole new process",), timings, lambda _: figures)


def run_once(path: str | None, environment: Mapping[str, str]) -> dict[str, float]:
    """Return the times that a new process prints (see `first_result`).

    Raises
    ------
    InputError
        The process failed.
    """
    command = [sys.executable, "-m", "fxpgrad.benchmarks.first_result", *([] if path is None else [path])]
    paths = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run(
        command,
        env={**environment, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=_TIME_LIMIT,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise InputError(f"{path or 'the network'} cannot be run in a new process: {lines[-1]}")
    times: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return times
