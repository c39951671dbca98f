"""The table of all kernels, by name."""

from __future__ import annotations

import difflib
import functools
import importlib

from fxpgrad_kernels.errors import UnknownKernelError
from fxpgrad_kernels.spec import KernelSpec

# One module an operator; each defines SPECS, a tuple of KernelSpec.
_MODULES: tuple[str, ...] = (
    "activation.activation",
    "activation.hard_swish",
    "activation.rescaling",
    "arithmetic.requantize",
    "arithmetic.rounding_shift",
    "batch_matmul.batch_matmul",
    "conv2d.conv2d",
    "conv2d.conv2d_16x8",
    "depthwise_conv2d.depthwise_conv2d",
    "depthwise_conv2d.depthwise_conv2d_16x8",
    "elementwise.elementwise",
    "elementwise.multiply",
    "elementwise.prelu",
    "elementwise.selection",
    "fully_connected.fully_connected",
    "fully_connected.fully_connected_16x8",
    "lookup.lookup",
    "lookup.sigmoid",
    "lookup_pair.lookup_pair",
    "loss.cross_entropy",
    "loss.prototypes",
    "loss.residuals",
    "narrow_accumulator.narrow_accumulator",
    "normalization.normalization",
    "pooling.average_pool_tosa",
    "pooling.pooling",
    "quantization.quantization",
    "random.philox",
    "reduction.extremes",
    "reduction.sum_table",
    "reduction.sums",
    "resize.resize",
    "shape.rearrange",
    "shape.shape",
    "softmax.softmax",
    "svdf.svdf",
    "training.accumulator_bound",
    "training.alignment",
    "training.direction",
    "training.exact_gradient",
    "training.gain",
    "training.perturb",
    "training.scalars",
    "training.update",
    "transpose_conv2d.transpose_conv2d",
)


@functools.cache
def kernels() -> dict[str, KernelSpec]:
    """Return every registered kernel by name."""
    table: dict[str, KernelSpec] = {}
    for module in _MODULES:
        for spec in importlib.import_module(f"fxpgrad_kernels.{module}").SPECS:
            if spec.name in table:
                raise AssertionError(f"two kernels are called {spec.name}")
            table[spec.name] = spec
    return table


def kernel_named(name: str) -> KernelSpec:
    """Return the kernel called `name`, or raise `UnknownKernelError` naming the nearest known one."""
    try:
        return kernels()[name]
    except KeyError:
        near = difflib.get_close_matches(name, kernels(), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UnknownKernelError(f"no kernel is called {name!r}{hint}") from None
