"""Cases that aim at something: ties of the rounding, saturation, the ends of ranges, the smallest shapes.

Each starts as a legal case and stays one: some draw otherwise, others change what may have any value of its
range, others are the best of some draws. What a kernel has no argument for is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fxpgrad.conformance.calls import kernel_outputs, written_names
from fxpgrad.conformance.cases.numbers import Case
from fxpgrad.conformance.cases.roundings import drawn_profile
from fxpgrad.conformance.cases.table import case_under
from fxpgrad_kernels.arithmetic.profiles import LIMITS, Profile, Rounding
from fxpgrad_kernels.spec import Argument, KernelSpec

Values = Literal["any", "lowest", "highest", "ends"]
_ROUNDINGS = ("rounding", "ties", "mode")  # parameters that say how a kernel rounds
_TRIES, _TIE_DRAWS = 24, 8
_WIDEST_LEFT = 10  # shifts to the left that saturate everything
_GREATEST_SHIFT = 29  # that every profile of 32-bit products takes


@dataclass(frozen=True, slots=True)
class Directed:
    """A case, what it is called, and what it aims at."""

    name: str
    aim: str
    case: Case


class DirectedDraws:
    """Draws of a generator, but for the least sizes or for the ends of every range of values.

    A range without 0 in it is one of sizes. Nothing special happens (`random` is nearly 1).
    """

    def __init__(self, rng: np.random.Generator, *, least: bool = False, values: Values = "any") -> None:
        """Take the generator, whether sizes are the least, and which values of their ranges arrays hold."""
        self._rng, self._least, self._values = rng, least, values

    def integers(self, low: Any, high: Any = None, size: Any = None) -> Any:
        """Return integers in [low, high), or [0, low) without `high`; of kinds of draws the first."""
        if high is None:
            return self._rng.integers(low, size=size) if self._values == "any" else 0
        if size is None:
            drawn = self._rng.integers(low, high)
            return np.where(np.asarray(low) > 0, low, drawn) if self._least else drawn
        if self._least and low > 0:
            return np.full(size, low)
        return self._of_ends(low, high - 1, lambda: self._rng.integers(low, high, size), size)

    def _of_ends(self, low: int, high: int, drawn: Callable[[], Any], size: Any) -> Any:
        if self._values == "any":
            return drawn()
        if self._values == "ends":
            return self._rng.choice([low, high], size)
        return np.full(size, low if self._values == "lowest" else high)

    def choice(self, a: Any, size: Any = None, *, p: Any = None) -> Any:
        """Return one of `a`, or an array of them."""
        if self._least and all(value > 0 for value in a):
            return a[0] if size is None else np.full(size, a[0])
        if size is None:
            return self._rng.choice(a, p=p)
        return self._of_ends(min(a), max(a), lambda: self._rng.choice(a, size), size)

    def random(self, size: Any = None) -> Any:
        """Return what makes nothing special happen."""
        return 0.999 if size is None else np.full(size, 0.999)

    def permutation(self, x: int) -> Any:
        """Return 0 to `x` - 1 in some order."""
        return self._rng.permutation(x)


def directed_cases(
    spec: KernelSpec, rng: np.random.Generator, profile: Profile | None = None
) -> Iterator[Directed]:
    """Yield the directed cases of a kernel, each of another draw."""

    def draw(**how: Any) -> Case:
        effective = drawn_profile(rng, spec, profile)
        return case_under(spec, DirectedDraws(rng, **how), effective)

    def usual() -> Case:
        return case_under(spec, rng, drawn_profile(rng, spec, profile))

    yield Directed("smallest", "every size the least", draw(least=True))
    yield Directed("lowest", "every array at the low end of what is drawn for it", draw(values="lowest"))
    yield Directed("highest", "every array at the high end of what is drawn for it", draw(values="highest"))
    yield Directed("ends", "every element at one of its ends", draw(values="ends"))
    for at in ("lowest", "highest"):
        if any(_is_activation(argument) for argument in spec.arguments):
            yield Directed(f"inputs_{at}", f"every input the {at} of its type", _filled(spec, usual(), at))
    for at in ("lowest", "highest"):
        if _zero_points(spec):
            case = _with_zero_points(spec, usual(), at)
            yield Directed(f"zero_points_{at}", f"every zero point the {at}", case)
    yield from _clamped(spec, usual)
    ties, count = _most_ties(spec, usual)
    if count:
        yield Directed("ties", f"{count} outputs depend on how ties are rounded", ties)
    saturated = _saturated(spec, usual)
    if saturated is not None:
        yield Directed("saturated", "outputs at both ends of their range", saturated)


def _is_activation(argument: Argument) -> bool:
    return argument.role == "input" and argument.name.startswith(("input", "accumulator"))


def _filled(spec: KernelSpec, case: Case, at: str) -> Case:
    filled = {
        a.name: np.full_like(case[a.name], a.low if at == "lowest" else a.high)
        for a in spec.arguments
        if _is_activation(a)
    }
    return {**case, **filled}


def _zero_points(spec: KernelSpec) -> list[Argument]:
    found = [a for a in spec.of_role("parameter") if a.name.endswith("zero_point")]
    return [a for a in found if a.low < a.high]


def _with_zero_points(spec: KernelSpec, case: Case, at: str) -> Case:
    """Move every zero point to one end; sums that were proved for another need 64 bits."""
    points = {a.name: a.low if at == "lowest" else a.high for a in _zero_points(spec)}
    wide = {a.name: 64 for a in spec.of_role("parameter") if a.name == "accumulator_bits" and a.high == 64}
    return {**case, **points, **wide}


def _clamped(spec: KernelSpec, usual: Callable[[], Case]) -> Iterator[Directed]:
    bounds = {a.name: a for a in spec.of_role("parameter") if a.name in ("clamp_low", "clamp_high")}
    if len(bounds) < 2:
        return
    yield Directed("one_value", "both clamps the same", {**usual(), "clamp_low": -1, "clamp_high": -1})
    case = usual()
    zero = int(case.get("output_zero_point", 0))
    high = bounds["clamp_high"].high
    yield Directed(
        "relu", "clamped below the output's zero point", {**case, "clamp_low": zero, "clamp_high": high}
    )


def _first_output(spec: KernelSpec, case: Case) -> NDArray[Any]:
    return kernel_outputs(spec, case)[written_names(spec)[0]]


def _has_pairs(spec: KernelSpec) -> bool:
    return {"multiplier", "shift"} <= {a.name for a in spec.of_role("constant")}


def _tie_candidates(spec: KernelSpec, case: Case) -> Iterator[Case]:
    """Yield the case, and with multipliers that are powers of two and every usual shift of the last step."""
    yield case
    if not _has_pairs(spec):
        return
    halves = np.full_like(case["multiplier"], 2**30)
    low = next(a.low for a in spec.arguments if a.name == "shift")
    for shift in range(-1, max(low, -20) - 1, -1):
        yield {**case, "multiplier": halves, "shift": np.full_like(case["shift"], shift)}
        last = case["shift"].copy()
        last[-1] = shift
        yield {**case, "multiplier": halves, "shift": last}


def _other_ways(way: Argument, case: Case) -> list[int]:
    """Return the other ways to round that take the case's shifts; those of 32-bit products only."""
    if way.name != "rounding":
        return [code for code in range(way.low, way.high + 1) if code != case[way.name]]
    greatest = int(np.max(case.get("shift", 0)))
    usual = range(way.low, min(way.high, Rounding.TOSA_DOUBLE) + 1)
    return [
        code for code in usual if code != case[way.name] and greatest <= LIMITS[Rounding(code)].shift_high
    ]


def _most_ties(spec: KernelSpec, usual: Callable[[], Case]) -> tuple[Case, int]:
    """Return the case in which most outputs depend on how the kernel rounds, and how many do."""
    ways = [a for a in spec.of_role("parameter") if a.name in _ROUNDINGS]
    best, most = usual(), 0
    draws = _TIE_DRAWS if _has_pairs(spec) else 5 * _TIE_DRAWS
    for way in ways:
        for _ in range(draws):
            for case in _tie_candidates(spec, usual()):
                output = _first_output(spec, case)
                others = [_first_output(spec, {**case, way.name: other}) for other in _other_ways(way, case)]
                count = int(np.any([output != other for other in others], axis=0).sum())
                if count > most:
                    best, most = case, count
    return best, most


def _saturated(spec: KernelSpec, usual: Callable[[], Case]) -> Case | None:
    """Return a case whose first output holds both of its ends; None if no draw has one."""
    written = next(a for a in spec.arguments if a.name == written_names(spec)[0])
    if written.dtype not in ("int8", "int16"):
        return None
    for _ in range(_TRIES):
        drawn = usual()
        for left in (0, 2, 5, _WIDEST_LEFT):
            case = dict(drawn)
            if left and not isinstance(case.get("shift"), np.ndarray):
                break
            if left:
                shift = next(a for a in spec.arguments if a.name == "shift")
                high = min(shift.high, LIMITS[Rounding(case.get("rounding", 0))].shift_high, _GREATEST_SHIFT)
                case["shift"] = np.minimum(case["shift"].astype(np.int64) + left, high).astype(np.int32)
            ends = case.get("clamp_low", written.low), case.get("clamp_high", written.high)
            if ends[0] < ends[1] and set(ends) <= set(np.unique(_first_output(spec, case)).tolist()):
                return case
    return None
