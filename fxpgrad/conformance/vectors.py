"""Golden vectors: inputs with the outputs that a kernel or a model must give, and where they come from."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fxpgrad
from fxpgrad.conformance.calls import kernel_outputs, reference_outputs
from fxpgrad.conformance.cases.numbers import Case
from fxpgrad.conformance.cases.table import legal_case
from fxpgrad.conformance.directed import Directed, directed_cases
from fxpgrad.errors import FxpgradError, InputError
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.registry import kernel_named
from fxpgrad_kernels.spec import KernelSpec

Arrays = dict[str, NDArray[Any]]
OnCase = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class VectorCase:
    """One case.

    Attributes
    ----------
    name, aim : str
        What it is called, unique among the cases, and what it is for.
    arguments : dict
        Of a kernel: a legal case, as `fxpgrad.testing.cases` draws them (arrays and integers by argument
        name, "shapes", and what the reference takes beside them). Of a model: one row of each input by name.
    expected : dict of arrays
        Of a kernel: what it writes, by argument name. Of a model: every tensor after its last write, one row.
    """

    name: str
    aim: str
    arguments: Case
    expected: Arrays

    @property
    def arrays(self) -> Arrays:
        """The arrays among the arguments."""
        return {key: value for key, value in self.arguments.items() if isinstance(value, np.ndarray)}


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """Cases of one kernel or model.

    Attributes
    ----------
    kind : {"kernel", "model"}
    name : str
        The kernel, or the model's name.
    provenance : dict
        fxpgrad's and NumPy's version, the sha256 of the definition or model, profile, seed, command.
    cases : tuple of VectorCase
    """

    kind: str
    name: str
    provenance: dict[str, Any]
    cases: tuple[VectorCase, ...]


def provenance_of(command: str, profile: str | None, seed: int | None, **digests: Any) -> dict[str, Any]:
    """Return where vectors come from; no date, so that the same command gives the same bytes."""
    return {
        "fxpgrad": fxpgrad.__version__,
        "numpy": np.__version__,
        **digests,
        "profile": profile,
        "seed": seed,
        "command": command,
    }


def definition_sha256(spec: KernelSpec) -> str:
    """Return the sha256 of a kernel's definition: its reference's source, then contract.md beside it."""
    source = Path(inspect.getfile(spec.reference))
    digest = hashlib.sha256(source.read_bytes())
    contract = source.parent / "contract.md"
    if contract.exists():
        digest.update(contract.read_bytes())
    return digest.hexdigest()


def require_counts(cases: int, seed: int) -> None:
    """Raise `InputError` unless there is a case to draw and a seed to draw it by."""
    if cases < 1:
        raise InputError(f"cases must be at least 1; got {cases}")
    if seed < 0:
        raise InputError(f"seed must be at least 0; got {seed}")


def kernel_vectors(
    name: str,
    *,
    cases: int = 20,
    seed: int = 0,
    profile: Profile | None = None,
    command: str = "",
    on_case: OnCase | None = None,
) -> Vectors:
    """Return directed and random cases of a kernel with what its definition says.

    Parameters
    ----------
    name : str
        A registered kernel.
    cases : int
        Random legal cases, beside the directed ones.
    seed : int
        Equal seeds give equal vectors.
    profile : Profile, optional
        Requantize only as a Program under this profile may.
    command : str
        What is said to have made them.
    on_case : callable, optional
        Called with the name of each case when it is done.

    Raises
    ------
    UnknownKernelError
        No kernel has the name; the message names the nearest.
    InputError
        `cases` or `seed` is out of range, or no Program under the profile calls the kernel.
    FxpgradError
        The kernel as compiled here does not give what its definition says.
    """
    spec = kernel_named(name)
    require_counts(cases, seed)
    drawn: list[VectorCase] = []
    for directed in _directed_and_random(spec, cases, seed, profile):
        case = VectorCase(directed.name, directed.aim, directed.case, _expected(spec, directed))
        drawn.append(case)
        if on_case is not None:
            on_case(case.name)
    origin = provenance_of(
        command, None if profile is None else profile.name, seed, definition_sha256=definition_sha256(spec)
    )
    return Vectors("kernel", name, origin, tuple(drawn))


def _directed_and_random(
    spec: KernelSpec, cases: int, seed: int, profile: Profile | None
) -> Iterator[Directed]:
    key = list(spec.name.encode())
    yield from directed_cases(spec, np.random.default_rng([seed, *key]), profile)
    for number in range(cases):
        rng = np.random.default_rng([seed, number, *key])
        yield Directed(f"random_{number:04d}", "any legal case", legal_case(spec.name, rng, profile))


def _expected(spec: KernelSpec, directed: Directed) -> Arrays:
    expected = reference_outputs(spec, directed.case)
    found = kernel_outputs(spec, directed.case)
    for name, values in expected.items():
        if not np.array_equal(values, found[name]) or values.dtype != found[name].dtype:
            raise FxpgradError(
                f"{spec.name} as compiled here differs from its definition in {name} of {directed.name}: "
                "nothing is written; please report this with the command"
            )
    return expected
