"""Cases of pooling and bilinear resizing."""

from __future__ import annotations

from dataclasses import dataclass

from fxpgrad.conformance.cases.draws import Draws
from fxpgrad.conformance.cases.elementwise import width
from fxpgrad.conformance.cases.numbers import Case, clamp_bounds, integers, zero_point
from fxpgrad_kernels.arithmetic.profiles import Profile, Rounding, ShiftRounding
from fxpgrad_kernels.spec import KernelSpec

MODES = ((0, 0), (1, 0), (0, 1))


@dataclass(frozen=True, slots=True)
class Axis:
    """Windows along one axis."""

    extent: int
    size: int
    stride: int
    padding: int
    output: int


def one_axis(rng: Draws) -> Axis:
    """Return extent, size, stride, padding and output size: every window meets the image."""
    extent, size, stride = (int(n) for n in rng.integers(1, (7, 5, 4)))
    padding = int(rng.integers(0, size))
    most = (extent - 1 + padding) // stride + 1
    return Axis(extent, size, stride, padding, int(rng.integers(1, most + 1)))


def window_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return an image and windows, every one of which meets it."""
    rows, columns = one_axis(rng), one_axis(rng)
    batch, channels = int(rng.integers(1, 3)), int(rng.choice([1, 2, 3, 17]))
    return {
        "input": integers(rng, (batch, rows.extent, columns.extent, channels), spec.arguments[0].dtype),
        **{"size_h": rows.size, "size_w": columns.size},
        **{"stride_h": rows.stride, "stride_w": columns.stride},
        **{"pad_top": rows.padding, "pad_left": columns.padding},
        **clamp_bounds(rng, width(spec)),
        "output_size": (rows.output, columns.output),
        "output_shape": (batch, rows.output, columns.output, channels),
    }


def tosa_window_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return windows with zero points, usually the same for input and output."""
    same = zero_point(rng)
    output = zero_point(rng) if rng.random() < 0.3 else same
    return {
        **window_case(spec, rng, profile),
        **{"input_zero_point": same, "output_zero_point": output},
    }


def resize_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return an image, the size that it is to get, and the ways to place its pixels and to round."""
    height, width_, channels = (int(n) for n in rng.choice([1, 2, 3, 5, 8], 3))
    target = tuple(int(n) for n in rng.choice([1, 2, 3, 4, 7, 16], 2))
    batch, (align, half) = int(rng.integers(1, 3)), MODES[rng.integers(3)]
    once = profile.element_rounding == Rounding.SINGLE
    return {
        "input": integers(rng, (batch, height, width_, channels), spec.arguments[0].dtype),
        **{"align_corners": align, "half_pixel_centers": half},
        "ties": int(ShiftRounding.NEAREST_UP if once else ShiftRounding.NEAREST_AWAY),
        **{"output_size": target, "output_shape": (batch, *target, channels)},
    }
