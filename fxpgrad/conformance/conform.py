"""Judge somebody's implementation of a kernel: from what a person writes to a verdict."""

from __future__ import annotations

import functools
import importlib.util
import inspect
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fxpgrad.conformance.calls import Case
from fxpgrad.conformance.cmsis_abi import CmsisAbi
from fxpgrad.conformance.command_target import CommandTarget
from fxpgrad.conformance.definition import expected_of
from fxpgrad.conformance.diagnosis import Diagnosis
from fxpgrad.conformance.examine import Finding, examine
from fxpgrad.conformance.port_abi import Abi, PortAbi
from fxpgrad.conformance.target import LibraryTarget, PythonTarget, Target
from fxpgrad.errors import InputError, MissingExtraError
from fxpgrad_kernels.arithmetic.profiles import profile_named
from fxpgrad_kernels.registry import kernel_named
from fxpgrad_kernels.spec import KernelSpec

AbiName = Literal["fxpgrad", "cmsis", "cmsis-wrapper"]
ABIS: Mapping[str, Callable[[KernelSpec, str | None], Abi]] = {
    "fxpgrad": PortAbi,
    "cmsis": CmsisAbi,
    "cmsis-wrapper": functools.partial(CmsisAbi, upscale=False),
}
_LIBRARIES = (".so", ".dylib", ".dll")
_LEAST_TIMEOUT, _MOST_SECONDS = 0.05, 1e6
_CALLABLE = re.compile(r"(?P<module>[\w./\\-]+):(?P<function>[A-Za-z_][\w.]*)")


@dataclass(frozen=True, slots=True)
class Setup:
    """How a target is called.

    Attributes
    ----------
    command : str or None
        A command that stands in the place of a target: see `CommandTarget`.
    symbol : str or None
        The function in a library, if it is not called as the ABI says.
    abi : {"fxpgrad", "cmsis", "cmsis-wrapper"}
        The signature of a library's function: that of our C ports, that of CMSIS-NN's functions, or that of
        those among them that take no dimensions of an upscaling.
    timeout : float
        Seconds that one call may take.
    alignment : int
        Arrays start at multiples of so many bytes, a power of two: what vector instructions may need.
    guards : bool
        Put pages that fault behind and before all arrays; without them only writes are noticed.
    """

    command: str | None = None
    symbol: str | None = None
    abi: AbiName = "fxpgrad"
    timeout: float = 5.0
    alignment: int = 1
    guards: bool = True


_USUAL = Setup()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of a target.

    Attributes
    ----------
    target, kernel : str
    place : str or None
        The target as it is named to `conform`; None for a command.
    profile : str or None
        None: every rounding that the kernel knows.
    seed : int
    setup : Setup
    cases : int
        Cases that were run.
    refused : mapping
        Cases drawn that the target's signature cannot express, by reason.
    findings : tuple of Finding
        Empty if nothing is wrong.
    diagnosis : Diagnosis or None
        Why results are wrong, if they are.
    seconds : float
    """

    target: str
    kernel: str
    place: str | None
    profile: str | None
    seed: int
    setup: Setup
    cases: int
    refused: Mapping[str, int]
    findings: tuple[Finding, ...]
    diagnosis: Diagnosis | None
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def conform(
    target: str | Path | Callable[..., Any] | None,
    kernel: str,
    *,
    profile: str | None = None,
    cases: int = 1000,
    seconds: float | None = None,
    seed: int = 0,
    shrink_seconds: float = 10.0,
    setup: Setup | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Verdict:
    """Test an implementation of a kernel against its definition on drawn cases.

    Parameters
    ----------
    target : str, Path or callable, optional
        A shared library, "module:function", "file.py:function" or a function of a module; None for
        `Setup.command`.
    kernel : str
        A registered kernel, such as "conv2d_a8w8".
    profile : str, optional
        Requantize only as this runtime does; by default in every way that the kernel knows. For CMSIS-NN's
        signatures the default is "cmsis_default".
    cases : int
    seconds : float, optional
        When to stop, whatever the number of cases.
    seed : int
        The same seed draws the same cases.
    shrink_seconds : float
        What making a failing case small may take, twice: once by Hypothesis, once by `Minimizer`.
    setup : Setup, optional
    progress : callable
        Is told how many cases have passed.

    Raises
    ------
    InputError
        The target is none, or can take no case; a number is out of range.
    UnknownKernelError, UnknownProfileError
    MissingExtraError
        Hypothesis is not installed.
    """
    judge_module = _judge_module()
    setup = setup or Setup()
    spec = kernel_named(kernel)
    if cases < 1 or seed < 0:
        raise InputError(f"cases must be at least 1 and seed at least 0; got {cases} and {seed}")
    if seconds is not None:
        require_seconds("seconds", seconds, 0.1)
    if profile is None and setup.abi != "fxpgrad":
        profile = "cmsis_default"
    chosen = None if profile is None else profile_named(profile)
    opened = open_target(target, spec, setup)
    try:
        effort = judge_module.Effort(cases, seconds, seed, shrink_seconds)
        record = judge_module.Judge(opened, spec, chosen, effort).run(progress)
    finally:
        opened.close()
    return Verdict(
        target=opened.name,
        kernel=kernel,
        place=None if target is None else _name_of(target),
        profile=profile,
        seed=seed,
        setup=setup,
        cases=record.cases,
        refused=dict(record.refused),
        findings=tuple(record.findings),
        diagnosis=record.diagnosis,
        seconds=record.seconds,
    )


def check_case(
    target: str | Path | Callable[..., Any] | None, kernel: str, case: Case, setup: Setup | None = None
) -> None:
    """Run an implementation of a kernel on one case.

    Raises
    ------
    AssertionError
        Something is wrong with it; the message says what.
    InputError
        The target is none.
    """
    spec = kernel_named(kernel)
    opened = open_target(target, spec, setup or Setup())
    try:
        loaded = opened.load()
        if loaded.failure:
            raise AssertionError(f"{opened.name} {loaded.text}")
        finding = examine(opened, case, expected_of(spec, case))
    finally:
        opened.close()
    if finding is not None:
        where = f": {finding.output}{list(finding.index)} is {finding.got}, must be {finding.expected}"
        raise AssertionError(f"{opened.name}: {finding.text}{where if finding.output else ''}")


def open_target(target: str | Path | Callable[..., Any] | None, spec: KernelSpec, setup: Setup) -> Target:
    """Return what a person calls a target.

    Raises
    ------
    InputError
        It is none.
    """
    require_seconds("timeout", setup.timeout, _LEAST_TIMEOUT)
    if setup.command is not None:
        if target is not None:
            raise InputError(f"name a target ({target}) or a command ({setup.command}), not both")
        _require_library(setup, "a command")
        return CommandTarget(setup.command, spec, timeout=setup.timeout)
    if target is None:
        raise InputError("name a target: a shared library, module:function, or a command")
    if setup.alignment < 1 or setup.alignment > 256 or setup.alignment & (setup.alignment - 1):
        raise InputError(f"the alignment must be a power of two, at most 256; got {setup.alignment}")
    memory: dict[str, Any] = {
        **{"timeout": setup.timeout, "alignment": setup.alignment, "guards": setup.guards}
    }
    name = _name_of(target)
    if Path(name).suffix == ".py":
        raise InputError(f"name a function of {name}: {name}:FUNCTION")
    if Path(name).suffix in _LIBRARIES or Path(name).is_file():
        if not Path(name).is_file():
            raise InputError(f"there is no file {name}")
        return LibraryTarget(name, spec, ABIS[setup.abi](spec, setup.symbol), **memory)
    found = _CALLABLE.fullmatch(name)
    if found is None:
        raise InputError(
            f"{name} is neither a file nor module:function: name a shared library (mine.so), a Python "
            "callable (module:function or file.py:function), or a command"
        )
    _require_library(setup, "a Python callable")
    module, folder = found["module"], os.getcwd()
    if module.endswith(".py"):
        if not Path(module).is_file():
            raise InputError(f"there is no file {module}")
        module, folder = Path(module).stem, str(Path(module).resolve().parent)
    return PythonTarget(module, found["function"], spec, search=folder, **memory)


def require_seconds(name: str, seconds: float, least: float) -> None:
    """Raise `InputError` unless a time lies between `least` and eleven days."""
    if not least <= seconds <= _MOST_SECONDS:  # NaN is refused, too
        raise InputError(f"{name} must be from {least:g} to {_MOST_SECONDS:g} seconds; got {seconds:g}")


def _require_library(setup: Setup, what: str) -> None:
    for name in ("symbol", "abi"):
        if getattr(setup, name) != getattr(_USUAL, name):
            raise InputError(f"{name} says how a shared library is called; the target is {what}")


def _name_of(target: str | Path | Callable[..., Any]) -> str:
    return _callable_name(target) if callable(target) else str(target)


def _callable_name(function: Callable[..., Any]) -> str:
    """Return module:function, or file.py:function if another process would find no such module."""
    name, module = function.__qualname__, function.__module__
    if "<" in name:
        raise InputError(f"{name} is a function inside another: another process cannot find it")
    file = inspect.getsourcefile(function)
    try:
        known = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        known = None
    if known is not None and (file is None or known.origin == file):
        return f"{module}:{name}"
    return f"{file}:{name}"


def _judge_module() -> Any:
    """Import what needs Hypothesis."""
    try:
        from fxpgrad.conformance import judge  # noqa: PLC0415 - needs Hypothesis
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "hypothesis":
            raise
        raise MissingExtraError(
            "judging a target needs Hypothesis: pip install 'fxpgrad[conform]' (or pip install hypothesis)"
        ) from error
    return judge
