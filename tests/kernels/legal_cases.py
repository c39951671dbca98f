"""A legal case for every registered kernel, by name: what the tests of single kernels draw, with odd tails.

A case holds every input, constant, state and parameter by name, what the reference takes beside them
("output_size", "samples", "before"), and

    "shapes"    the shapes of the outputs by name
    "sizes"     elements of workspaces by name, where a caller may choose them
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fxpgrad_kernels.arithmetic.profiles import PROFILES, Rounding
from fxpgrad_kernels.random.distributions import direction_table
from fxpgrad_kernels.registry import kernel_named, kernels
from fxpgrad_kernels.spec import KernelSpec
from tests.kernels import (
    test_average_pool_tosa,
    test_batch_matmul,
    test_conv2d,
    test_depthwise_conv2d,
    test_elementwise,
    test_elementwise_products,
    test_fully_connected,
    test_layers_16x8,
    test_lookup,
    test_lookup_pair,
    test_narrow_accumulator,
    test_normalization,
    test_pooling,
    test_quantization,
    test_rearrange,
    test_reduction,
    test_rescaling,
    test_resize,
    test_shape,
    test_softmax,
    test_sum_table,
    test_svdf,
    test_transpose_conv2d,
)
from tests.kernels.legal_numbers import any_profile, integers, requantization
from tests.kernels.legal_training_cases import by_position, direction, outer_products, trained_layer, training
from tests.kernels.loss import test_cross_entropy, test_prototypes, test_residuals
from tests.kernels.random import test_philox
from tests.kernels.training import test_alignment, test_scalars

Case = dict[str, Any]
Generator = np.random.Generator
Draw = Callable[[KernelSpec, Generator], Case]

LENGTHS = (15, 16, 17, 31, 33, 47, 63, 64, 65, 100, 127, 129, 255, 257, 515)
WIDTHS = (3, 5, 8, 15, 16, 17, 31, 33, 47, 65)


def weights_dtype(spec: KernelSpec) -> str:
    return next(a.dtype for a in spec.arguments if a.name == "weights")


def shaped(case: Case, *names: str) -> Case:
    """Move "output_shape" to "shapes", for one output."""
    shape = case.pop("output_shape")
    return {**case, "shapes": dict.fromkeys(names or ("output",), shape)}


def requantized(spec: KernelSpec, rng: Generator) -> Case:
    n, codes = int(rng.integers(1, 40)), spec.of_role("parameter")[0]
    legal = [p for p in PROFILES.values() if codes.low <= int(p.rounding) <= codes.high]
    profile = legal[rng.integers(len(legal))]
    values = integers(rng, (n,), "int32").astype(spec.arguments[0].dtype)
    case = {"accumulator": values, **requantization(rng, profile, n, 2.0**31, 2.0**20)}
    if profile.rounding == Rounding.WIDE_16:
        case["shift"] = np.minimum(case["shift"], np.int32(7))
    return {**case, "rounding": int(profile.rounding), "output_shape": (n,)}


def shifted(spec: KernelSpec, rng: Generator) -> Case:
    n = int(rng.integers(1, 40))
    values, amount = integers(rng, (n,), "int32").astype(np.int64), rng.integers(0, 40, n)
    return {
        **{"value": values, "amount": amount.astype(np.int32), "mode": int(rng.integers(4))},
        "output_shape": (n,),
    }


def image(spec: KernelSpec, rng: Generator) -> Case:
    """Return a convolution: any small one, or one with more rows than a block of the product holds."""
    dtype = weights_dtype(spec)
    case = test_conv2d.legal_case(rng, any_profile(rng), dtype)
    if rng.random() < 0.3:
        height, width = int(rng.integers(7, 13)), int(rng.integers(9, 13))
        channels, filters = int(rng.integers(1, 20)), int(rng.choice([1, 7, 16, 19, 33]))
        taps = (int(rng.choice([1, 1, 2, 3])), int(rng.choice([1, 1, 2, 3])))
        case["weights"] = integers(rng, (filters, *taps, channels), dtype)
        case |= {"input": integers(rng, (2, height, width, channels), "int8"), "groups": 1}
        case |= {"bias": test_conv2d.legal_bias(rng, case["weights"], filters)}
        case |= {"output_size": (height, width), "output_shape": (2, height, width, filters)}
        case |= dict.fromkeys(("stride_h", "stride_w", "dilation_h", "dilation_w"), 1)
        case |= {"pad_top": taps[0] - 1, "pad_left": taps[1] - 1}
        case = test_conv2d.with_requantization(rng, any_profile(rng), case)
    return case


def depthwise(spec: KernelSpec, rng: Generator) -> Case:
    vectors = bool(rng.random() < 0.6)
    return test_depthwise_conv2d.legal_case(rng, any_profile(rng), weights_dtype(spec), vectors=vectors)


def dense(spec: KernelSpec, rng: Generator) -> Case:
    """Return a dense layer: any small one, or one of more rows than are multiplied or widened at a time."""
    case = test_fully_connected.legal_case(rng, any_profile(rng), weights_dtype(spec))
    if rng.random() < 0.2:
        rows = int(rng.choice([24, 25, 47, 96, 97, 100]))
        case["input"] = integers(rng, (rows, case["input"].shape[1]), "int8")
        case["output_shape"] = (rows, *case["output_shape"][1:])
    return case


def widened(case: Case, rng: Generator) -> Case:
    """Return a case of an operator that treats channels alike with other channels, half of the time."""
    if rng.random() < 0.5:
        width = int(rng.choice(WIDTHS))
        case["input"] = np.resize(case["input"], (*case["input"].shape[:-1], width))
        case["output_shape"] = (*case["output_shape"][:-1], width)
    return case


def viewed(spec: KernelSpec, rng: Generator, case: Case) -> Case:
    """Give a reduction that was drawn for [outer, reduced, inner] a longer last axis."""
    if rng.random() < 0.5:
        inner, old = int(rng.choice(WIDTHS)), case["inner"]
        rows = case["input"].size // old
        case["input"] = np.resize(case["input"], rows * inner)
        case |= {"inner": inner, "output_shape": (rows // case["reduced"] * inner,)}
    return case


def reduction(spec: KernelSpec, rng: Generator) -> Case:
    if spec.name == "sum_table_a8":
        return viewed(spec, rng, test_sum_table.draw(rng))
    if spec.name in test_reduction.SUM_NAMES:
        return viewed(spec, rng, test_reduction.sum_case(rng, spec.name, any_profile(rng)))
    return viewed(spec, rng, test_reduction.view(rng, spec.name))


def clamped(spec: KernelSpec, rng: Generator) -> Case:
    dtype = spec.arguments[0].dtype
    low, high = sorted(integers(rng, (2,), dtype).tolist())
    return {
        "input": integers(rng, (9,), dtype), "clamp_low": low, "clamp_high": high, "output_shape": (9,),
    }  # fmt: skip


def linear(spec: KernelSpec, rng: Generator) -> Case:
    draw = test_elementwise.add_case if spec.name.endswith("a8") else test_elementwise.case_of_16_bits
    case = draw(rng, any_profile(rng))
    if "mixed" in spec.name:
        case["operand_rounding"] = case["rounding"]
    return case


def product(spec: KernelSpec, rng: Generator) -> Case:
    return dict(test_elementwise_products.CASES)[spec](rng, any_profile(rng), spec)


def selected(spec: KernelSpec, rng: Generator) -> Case:
    values = {a.name: integers(rng, (9,), a.dtype) for a in spec.of_role("input")}
    return {**values, "output_shape": (9,)}


def lengthened(spec: KernelSpec, rng: Generator, case: Case) -> Case:
    """Return the case of an elementwise kernel with other numbers of elements, half of the time."""
    if rng.random() < 0.5:
        return case
    n = int(rng.choice(LENGTHS))
    taken = {a.name: np.resize(case[a.name], n) for a in spec.of_role("input")}
    return {**case, **taken, "output_shape": (n,)}


def elementwise(draw: Draw) -> Draw:
    return lambda spec, rng: lengthened(spec, rng, draw(spec, rng))


def blocks(spec: KernelSpec, rng: Generator) -> Case:
    case = test_shape.block_case(rng, spec)
    return {**case, "output_shape": case["before"].shape}


def cross_entropy(spec: KernelSpec, rng: Generator) -> Case:
    drawn: Any
    if spec.name == "cross_entropy_logits":
        drawn = test_cross_entropy.any_logits(rng)
    elif spec.name == "residuals_linear":
        drawn = test_residuals.any_rows(rng)
        return {**by_position(spec, drawn), "output_shape": drawn[0].shape}
    else:
        drawn = test_cross_entropy.linear_case(rng)
    return {**by_position(spec, drawn), "output_shape": drawn[-1].shape}


def prototypes(spec: KernelSpec, rng: Generator) -> Case:
    case = test_prototypes.any_case(rng)
    classes, (batch, width) = case.pop("classes"), case["embeddings"].shape
    shapes = {"sums": (classes, width), "counts": (classes,), "losses": (batch,)}
    if spec.name != "prototype_distances":
        return {**case, "output_size": classes, "shapes": shapes}
    sums, counts = kernel_named("prototype_sums").reference(
        case["embeddings"], case["labels"], output_size=classes
    )
    taken = {"queries": case["embeddings"], "sums": sums, "counts": counts}
    return {**taken, "shapes": {"output": (batch, classes)}}


def directions(spec: KernelSpec, rng: Generator) -> Case:
    case: Case = dict(test_philox.any_case(rng))
    count = case.pop("count")
    table = direction_table(case["distribution"])
    return {**case, "table": table, "output_size": count, "shapes": {"z": (count,)}}


def named(draw: Callable[[str, Generator, Any], Case]) -> Draw:
    return lambda spec, rng: draw(spec.name, rng, any_profile(rng))


def plain(draw: Callable[[Generator], Case]) -> Draw:
    return lambda spec, rng: draw(rng)


# The first prefix of a kernel's name that is here draws for it.
DRAWS: dict[str, Draw] = {
    "clamp": elementwise(clamped),
    "hard_swish": elementwise(plain(test_rescaling.swish_case)),
    **dict.fromkeys(
        ("leaky_relu", "abs"),
        elementwise(lambda spec, rng: test_rescaling.rescaling_case(rng, any_profile(rng), spec)),
    ),
    "requantize": requantized,
    "rounding_shift": shifted,
    "batch_matmul": named(test_batch_matmul.legal_case),
    **dict.fromkeys(
        ("conv2d_a16", "depthwise_conv2d_a16", "fully_connected_a16", "transpose_conv2d_a16"),
        named(test_layers_16x8.legal_case),
    ),
    **dict.fromkeys(
        ("conv2d_narrow", "depthwise_conv2d_narrow", "fully_connected_narrow"),
        named(test_narrow_accumulator.legal_case),
    ),
    "conv2d": image,
    "depthwise": depthwise,
    "fully_connected": dense,
    "transpose_conv2d": lambda spec, rng: test_transpose_conv2d.legal_case(
        rng, any_profile(rng), weights_dtype(spec)
    ),
    **dict.fromkeys(("add_a", "sub_a", "add_mixed"), elementwise(linear)),
    **dict.fromkeys(("mul", "squared_difference", "prelu"), elementwise(product)),
    **dict.fromkeys(("maximum", "minimum", "reshape"), elementwise(selected)),
    "lookup_pair": elementwise(plain(test_lookup_pair.draw)),
    "lookup": elementwise(plain(test_lookup.lookup_case)),
    **dict.fromkeys(("logistic", "tanh"), elementwise(plain(test_lookup.sigmoid_case))),
    **dict.fromkeys(("cross_entropy_l", "residuals"), cross_entropy),
    **dict.fromkeys(("cross_entropy_prototypes", "prototype"), prototypes),
    "l2_normalization": plain(test_normalization.case_of),
    "average_pool2d_tosa": lambda spec, rng: widened(test_average_pool_tosa.window_case(rng), rng),
    **dict.fromkeys(
        ("max_pool", "average_pool"),
        lambda spec, rng: widened(test_pooling.window_case(rng, spec.name), rng),
    ),
    "quantize": elementwise(lambda spec, rng: test_quantization.mixed_case(rng, any_profile(rng), spec)),
    "draw_directions": directions,
    **dict.fromkeys(("reduce", "arg", "sum", "mean"), reduction),
    "resize": lambda spec, rng: widened(test_resize.case_of(rng, spec.name), rng),
    "rearrange": lambda spec, rng: test_rearrange.rearrange_case(rng, spec),
    "gather": lambda spec, rng: test_rearrange.gather_case(rng, spec),
    "concatenate_block": blocks,
    "constant": lambda spec, rng: test_shape.constant_case(rng, spec),
    **dict.fromkeys(("softmax", "log_softmax"), lambda spec, rng: test_softmax.softmax_case(rng, spec.name)),
    "svdf": named(test_svdf.legal_case),
    "channel_moments": plain(test_alignment.any_values),
    "align_channels": plain(test_alignment.any_alignment),
    **dict.fromkeys(("channel", "scale_multipliers"), trained_layer),
    "add_outer_products": outer_products,
    **dict.fromkeys(
        ("fill_d", "guide_d", "thin_d", "mask_d", "add_direction", "perturb_along", "perturb_split"),
        direction,
    ),
    "scale_differences": plain(test_scalars.any_differences),
    **dict.fromkeys(("perturb", "update", "descend"), training),
}


def legal_case(name: str, rng: Generator) -> Case:
    """Return a legal case of one kernel."""
    spec = kernels()[name]
    draw = next(draw for prefix, draw in DRAWS.items() if name.startswith(prefix))
    case = draw(spec, rng)
    return case if "shapes" in case else shaped(case, *(a.name for a in spec.of_role("output")))
