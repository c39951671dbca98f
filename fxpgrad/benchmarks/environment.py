"""What the machine was when something was measured."""

from __future__ import annotations

import datetime
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from fxpgrad import __version__
from fxpgrad.benchmarks.peers.peer import Peer

_INSTRUCTIONS = (
    "sse4_1", "avx2", "avx512bw", "avx_vnni", "avx512_vnni", "amx_int8", "asimd", "asimddp", "i8mm", "sve",
)  # fmt: skip
_LIBRARIES = ("numpy", "numba", "llvmlite", "scipy")


@dataclass(frozen=True, slots=True)
class Environment:
    """Machine, software and load at the start of a run.

    instructions: those that multiply small integers, of the ones that the system names.
    """

    cpu: str
    cores: int
    load_average: tuple[float, ...]
    system: str
    python: str
    date: str
    versions: dict[str, str]
    instructions: tuple[str, ...] = ()


def record_environment(peers: Sequence[Peer] = ()) -> Environment:
    """Return what can be found out of the machine, without importing any peer."""
    versions = {"fxpgrad": __version__}
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    versions |= {peer.distribution: peer.version for peer in peers if peer.installed}
    return Environment(
        cpu_name(),
        usable_cores(),
        load_average(),
        platform.platform(),
        platform.python_version() + ("" if sys.implementation.name == "cpython" else " (not CPython)"),
        datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        versions,
        integer_instructions(),
    )


def cpu_name() -> str:
    """Return the processor's name as the system knows it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("model name", "Hardware")):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown"


def integer_instructions() -> tuple[str, ...]:
    """Return which vector extensions for products of small integers the processor has (Linux only)."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ()
    known = {word for line in lines if line.startswith(("flags", "Features")) for word in line.split()}
    return tuple(name for name in _INSTRUCTIONS if name in known)


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def load_average() -> tuple[float, ...]:
    """Return the load over 1, 5 and 15 minutes, or nothing where the system does not tell."""
    try:
        return tuple(round(value, 2) for value in os.getloadavg())
    except (AttributeError, OSError):
        return ()
