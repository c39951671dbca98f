"""A legal case for every registered kernel, by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fxpgrad.conformance.cases.activation import (
    clamp_case,
    hard_swish_case,
    quantize_case,
    rescaling_case,
)
from fxpgrad.conformance.cases.batch_matmul import batch_matmul_case
from fxpgrad.conformance.cases.conv2d import conv2d_case
from fxpgrad.conformance.cases.depthwise_conv2d import depthwise_conv2d_case
from fxpgrad.conformance.cases.directions import direction_case, draw_directions_case
from fxpgrad.conformance.cases.draws import Draws
from fxpgrad.conformance.cases.elementwise import (
    multiply_case,
    prelu_case,
    selection_case,
    squared_difference_case,
    sum_of_two_case,
)
from fxpgrad.conformance.cases.fully_connected import fully_connected_case
from fxpgrad.conformance.cases.layers_16x8 import any_layer_16x8
from fxpgrad.conformance.cases.lookup import lookup_case, lookup_pair_case, sigmoid_case
from fxpgrad.conformance.cases.loss import cross_entropy_case, prototype_case
from fxpgrad.conformance.cases.movement import block_case, constant_case, gather_case, rearrange_case
from fxpgrad.conformance.cases.narrow_accumulator import narrow_accumulator_case
from fxpgrad.conformance.cases.numbers import Case
from fxpgrad.conformance.cases.pooling import resize_case, tosa_window_case, window_case
from fxpgrad.conformance.cases.reduction import extreme_case, sum_case, sum_table_case
from fxpgrad.conformance.cases.requantize import requantize_case, rounding_shift_case
from fxpgrad.conformance.cases.roundings import drawn_profile
from fxpgrad.conformance.cases.softmax import normalization_case, softmax_case
from fxpgrad.conformance.cases.svdf import svdf_case
from fxpgrad.conformance.cases.trained_layers import (
    alignment_case,
    any_descent_case,
    channel_case,
    differences_case,
    gain_case,
    moments_case,
    outer_products_case,
)
from fxpgrad.conformance.cases.transpose_conv2d import transpose_conv2d_case
from fxpgrad.conformance.cases.weights import any_perturb_case, any_update_case
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.registry import kernel_named
from fxpgrad_kernels.spec import KernelSpec

Draw = Callable[[KernelSpec, Draws, Profile], Case]

LENGTHS = (15, 16, 17, 31, 33, 47, 63, 64, 65, 100, 127, 129, 255, 257, 515)
WIDTHS = (3, 5, 8, 15, 16, 17, 31, 33, 47, 65)


def lengthened(draw: Draw) -> Draw:
    """Return a draw of an elementwise kernel that takes other numbers of elements, half of the time."""

    def drawn(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
        case = draw(spec, rng, profile)
        if rng.random() < 0.5:
            n = int(rng.choice(LENGTHS))
            taken = {a.name: np.resize(case[a.name], n) for a in spec.of_role("input")}
            case = {**case, **taken, "output_shape": (n,)}
        return case

    return drawn


def widened(draw: Draw) -> Draw:
    """Return a draw of an operator that treats channels alike, with other channels, half of the time."""

    def drawn(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
        case = draw(spec, rng, profile)
        if rng.random() < 0.5:
            width = int(rng.choice(WIDTHS))
            case["input"] = np.resize(case["input"], (*case["input"].shape[:-1], width))
            case["output_shape"] = (*case["output_shape"][:-1], width)
        return case

    return drawn


def viewed(draw: Draw) -> Draw:
    """Return a draw of a reduction of [outer, reduced, inner] with a longer last axis, half of the time."""

    def drawn(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
        case = draw(spec, rng, profile)
        if rng.random() < 0.5:
            inner, old = int(rng.choice(WIDTHS)), case["inner"]
            rows = case["input"].size // old
            case["input"] = np.resize(case["input"], rows * inner)
            case |= {"inner": inner, "output_shape": (rows // case["reduced"] * inner,)}
        return case

    return drawn


def plain(draw: Callable[[Draws], Case]) -> Draw:
    """Return a draw that needs neither spec nor profile."""
    return lambda spec, rng, profile: draw(rng)


# The first prefix of a kernel's name that is here draws for it.
DRAWS: dict[str, Draw] = {
    "clamp": lengthened(clamp_case),
    "hard_swish": lengthened(hard_swish_case),
    **dict.fromkeys(("leaky_relu", "abs"), lengthened(rescaling_case)),
    "requantize": requantize_case,
    "rounding_shift": rounding_shift_case,
    "batch_matmul": batch_matmul_case,
    **dict.fromkeys(
        ("conv2d_a16", "depthwise_conv2d_a16", "fully_connected_a16", "transpose_conv2d_a16"), any_layer_16x8
    ),
    **dict.fromkeys(
        ("conv2d_narrow", "depthwise_conv2d_narrow", "fully_connected_narrow"), narrow_accumulator_case
    ),
    "conv2d": conv2d_case,
    "depthwise": depthwise_conv2d_case,
    "fully_connected": fully_connected_case,
    "transpose_conv2d": transpose_conv2d_case,
    **dict.fromkeys(("add_a", "sub_a", "add_mixed"), lengthened(sum_of_two_case)),
    "mul": lengthened(multiply_case),
    "squared_difference": lengthened(squared_difference_case),
    "prelu": lengthened(prelu_case),
    **dict.fromkeys(("maximum", "minimum", "reshape"), lengthened(selection_case)),
    "lookup_pair": lengthened(lookup_pair_case),
    "lookup": lengthened(lookup_case),
    **dict.fromkeys(("logistic", "tanh"), lengthened(sigmoid_case)),
    **dict.fromkeys(("cross_entropy_l", "residuals"), cross_entropy_case),
    **dict.fromkeys(("cross_entropy_prototypes", "prototype"), prototype_case),
    "l2_normalization": normalization_case,
    "average_pool2d_tosa": widened(tosa_window_case),
    **dict.fromkeys(("max_pool", "average_pool"), widened(window_case)),
    "quantize": lengthened(quantize_case),
    "draw_directions": draw_directions_case,
    "sum_table": viewed(sum_table_case),
    **dict.fromkeys(("sum", "mean"), viewed(sum_case)),
    **dict.fromkeys(("reduce", "arg"), viewed(extreme_case)),
    "resize": widened(resize_case),
    "rearrange": rearrange_case,
    "gather": gather_case,
    "concatenate_block": block_case,
    "constant": constant_case,
    **dict.fromkeys(("softmax", "log_softmax"), softmax_case),
    "svdf": svdf_case,
    "channel_moments": plain(moments_case),
    "align_channels": plain(alignment_case),
    "channel": channel_case,
    "scale_multipliers": gain_case,
    "add_outer_products": outer_products_case,
    **dict.fromkeys(
        ("fill_d", "guide_d", "thin_d", "mask_d", "add_direction", "perturb_along", "perturb_split"),
        direction_case,
    ),
    "scale_differences": plain(differences_case),
    "perturb": any_perturb_case,
    "update": any_update_case,
    "descend": any_descent_case,
}


def shaped(case: Case, spec: KernelSpec) -> Case:
    """Move "output_shape" to "shapes", for every output."""
    shape = case.pop("output_shape")
    return {**case, "shapes": {a.name: shape for a in spec.of_role("output")}}


def case_under(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return a legal case that requantizes as `profile.rounding` says."""
    draw = next(draw for prefix, draw in DRAWS.items() if spec.name.startswith(prefix))
    case = draw(spec, rng, profile)
    return case if "shapes" in case else shaped(case, spec)


def legal_case(name: str, rng: Draws, profile: Profile | None = None) -> Case:
    """Return a legal case of one kernel: what its contract allows, with odd tails and extremes.

    Parameters
    ----------
    name : str
        A registered kernel.
    rng : Draws
        A `numpy.random.Generator`, or what draws in its place.
    profile : Profile, optional
        Requantize as a Program under this profile may; any rounding without it.

    Returns
    -------
    dict
        Every input, constant, state and parameter by name, and "shapes": the shapes of the outputs by name.
        Where they are needed: what the reference takes beside the arguments ("output_size", "samples",
        "before", "gains"), and "sizes": elements of workspaces by name, where a caller may choose them.

    Raises
    ------
    UnknownKernelError
        No kernel has the name.
    InputError
        No Program under the profile calls the kernel.
    """
    spec = kernel_named(name)
    return case_under(spec, rng, drawn_profile(rng, spec, profile))
