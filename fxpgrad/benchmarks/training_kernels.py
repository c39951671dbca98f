"""What drawing z and moving weights cost by themselves, beside what others need for normal numbers alone."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from fxpgrad.benchmarks.candidate import Built, Candidate, Case
from fxpgrad.benchmarks.peers.peer import PeerError, attempt
from fxpgrad_kernels.random.distributions import Distribution, direction_table
from fxpgrad_kernels.registry import kernels
from fxpgrad_kernels.spec import KernelSpec

_WEIGHTS, _CHANNELS = 2**20, 2**10
# Kernel: what it is called in the tables. One that is not registered is left out.
KERNELS = {
    "perturb_w16": "z + perturb",
    "perturb_pair_w16": "z + perturb, both signs",
    "update_w16": "z + update",
}
BASE = "z + perturb, gaussian"
# A probe of some steps; an update that moves a weight now and then.
_VALUES: Mapping[str, int] = {"epsilon": 30, "multiplier": 2**30, "shift": -40, "signs": 1, "sign": 1}


def kernel_case() -> Case:
    """Return the case."""
    return Case("2²⁰ 16-bit weights", _build, BASE)


def _build() -> Built:
    candidates = []
    for name, words in KERNELS.items():
        spec = kernels().get(name)
        if spec is None:
            continue
        for law in (Distribution.GAUSSIAN, Distribution.RADEMACHER):
            arguments = bound_arguments(spec, law, _WEIGHTS, _CHANNELS)
            run = functools.partial(spec.function, *arguments)
            candidates.append(Candidate(f"{words}, {law.name.lower()}", run, units=_WEIGHTS))
    notes: list[str] = []
    try:
        candidates.append(attempt("torch.randn", _torch_normals))
    except PeerError as error:
        notes.append(str(error))
    return Built((*candidates, _numpy_normals()), tuple(notes))


def bound_arguments(spec: KernelSpec, law: Distribution, weights: int, channels: int) -> list[Any]:
    """Return arrays and integers for a training kernel, by its spec alone."""
    sizes = {"N": weights, "C": channels, "M": 1}
    rng = np.random.default_rng(0)
    parameters = {
        argument.name: int(law) if argument.name == "distribution" else _VALUES.get(argument.name, 0)
        for argument in spec.of_role("parameter")
    }
    arrays: dict[str, Any] = {}
    for argument in spec.arguments:
        if argument.role in ("parameter", "workspace"):
            continue
        shape = tuple(int(letter) if letter.isdigit() else sizes.get(letter, 1) for letter in argument.shape)
        if argument.name == "table":
            arrays["table"] = direction_table(law)
        elif argument.name in _VALUES:
            arrays[argument.name] = np.full(shape, _VALUES[argument.name], argument.dtype)
        elif argument.role == "output":
            arrays[argument.name] = np.zeros(shape, argument.dtype)
        else:
            half = argument.high // 2
            arrays[argument.name] = rng.integers(-half, half + 1, shape).astype(argument.dtype)
    if spec.workspace is not None:
        elements = spec.workspace({name: array.shape for name, array in arrays.items()}, parameters)
        for argument in spec.of_role("workspace"):
            leading = (1,) * (len(argument.shape) - 1)
            arrays[argument.name] = np.zeros((*leading, elements[argument.name]), argument.dtype)
    return [{**arrays, **parameters}[argument.name] for argument in spec.arguments]


def _numpy_normals() -> Candidate:
    rng = np.random.Generator(np.random.SFC64(0))
    draw = functools.partial(rng.standard_normal, out=np.empty(_WEIGHTS, np.float32), dtype=np.float32)
    return Candidate("numpy standard_normal float32, alone", draw, units=_WEIGHTS)


def _torch_normals() -> Candidate:
    import torch  # noqa: PLC0415

    torch.set_num_threads(1)
    draw = functools.partial(torch.randn, _WEIGHTS, out=torch.empty(_WEIGHTS))
    return Candidate("torch.randn float32, alone", draw, units=_WEIGHTS)
