"""What one run of `lower` collects, and the questions that every operator's rule asks of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fxpgrad.errors import LoweringError
from fxpgrad.graph.attributes import ACTIVATION_BOUNDS
from fxpgrad.graph.graph import Graph, Node, Quantization, Tensor
from fxpgrad.program.dialects import Dialect
from fxpgrad.program.lowering.movement_plans import Rearrangement
from fxpgrad.program.multiplier import derive_multiplier, real_multiplier
from fxpgrad.program.program import Call, Constant, TensorInfo
from fxpgrad_kernels.arithmetic.profiles import Profile, Rounding
from fxpgrad_kernels.errors import MultiplierError

_BITS = {"int8": 8, "int16": 16, "int32": 32}
# Operators whose fused bounds XNNPACK rounds half to even, after it has added the zero point.
_XNNPACK_CLAMPS = frozenset(
    ("add", "sub", "mul", "conv2d", "depthwise_conv2d", "fully_connected", "transpose_conv2d", "max_pool2d")
)


@dataclass(slots=True)
class Lowering:
    """The Program that is being made of a Graph under one profile.

    A rule appends calls (`call`), and constants and tensors where it needs some of its own. Names of
    what it adds start with the node's name and a slash.
    """

    graph: Graph
    profile: Profile
    dialect: Dialect
    split: bool
    tensors: dict[str, TensorInfo] = field(default_factory=dict)
    constants: dict[str, Constant] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    # --- what is known of tensors

    def scale(self, name: str) -> float:
        """Return an activation's scale."""
        return float(quantization_of(self.graph.tensors[name]).scale[0])

    def zero_point(self, name: str) -> int:
        """Return an activation's zero point."""
        return int(quantization_of(self.graph.tensors[name]).zero_point[0])

    def shape(self, name: str) -> tuple[int, ...]:
        """Return an activation's shape without the batch."""
        return self.graph.tensors[name].shape

    def bits(self, name: str) -> int:
        """Return the width of an activation: 8, 16 or 32."""
        return _BITS[self.graph.tensors[name].dtype]

    def sources(self, node: Node) -> tuple[str, ...]:
        """Return the names of a node's activations."""
        return self.graph.activations_of(node)

    def width(self, node: Node, *allowed: int) -> int:
        """Return the common width of a node's activations, or refuse the node by name."""
        names = (*self.sources(node), node.output)
        widths = {self.bits(name) for name in names}
        if len(widths) != 1 or widths - set(allowed):
            types = ", ".join(f"{name} {self.graph.tensors[name].dtype}" for name in names)
            raise LoweringError(
                f"node {node.name} ({node.op}) must have activations of one type, "
                f"{' or '.join(f'int{bits}' for bits in allowed)}; got {types}"
            )
        return widths.pop()

    # --- integers from real numbers

    def clamps(self, node: Node) -> dict[str, int]:
        """Return the integer bounds that a fused activation means at the output's quantization."""
        low, high = ACTIVATION_BOUNDS[str(node.attributes.get("activation", "none"))]
        limits = np.iinfo(self.graph.tensors[node.output].dtype)
        scale, zero_point = np.float32(self.scale(node.output)), self.zero_point(node.output)
        bounds = {"clamp_low": int(limits.min), "clamp_high": int(limits.max)}
        for key, bound in (("clamp_low", low), ("clamp_high", high)):
            if math.isfinite(bound):  # in float32, as runtimes quantize the bounds
                with np.errstate(over="ignore"):
                    steps = float(np.float32(bound) / scale)
                if self.profile.name == "xnnpack_float32" and node.op in _XNNPACK_CLAMPS:
                    rounded = np.rint(np.float32(steps) + np.float32(zero_point)) - zero_point
                else:
                    rounded = np.rint(steps) if self.dialect.pointwise_float32 else nearest_away(steps)
                bounds[key] = int(np.clip(zero_point + rounded, limits.min, limits.max))
        return bounds

    def real(
        self, node: Node, numerators: Sequence[ArrayLike], denominator: ArrayLike, *, per_tensor: bool = False
    ) -> NDArray[np.float64]:
        """Form a real multiplier of a node as the dialect forms it."""
        formation = self.dialect.formation_of(node.op, per_tensor=per_tensor)
        return real_multiplier(numerators, denominator, formation)

    def scales(self, node: Node, real: ArrayLike, suffix: str = "") -> dict[str, str]:
        """Store the (multiplier, shift) pairs of `real` and return their constants' names by argument."""
        try:
            multiplier, shift = derive_multiplier(real, self.dialect.rule, self.profile)
        except MultiplierError as error:
            raise LoweringError(f"node {node.name}: {error}") from error
        return {
            f"multiplier{suffix}": self.constant(f"{node.name}/multiplier{suffix}", multiplier),
            f"shift{suffix}": self.constant(f"{node.name}/shift{suffix}", shift),
        }

    @property
    def element_rounding(self) -> int:
        """The rounding of everything but layers with weights."""
        return int(self.profile.element_rounding)

    def wide_rounding(self, node: Node) -> int:
        """Return the rounding of 64-bit accumulators, or refuse where the runtime has none."""
        rounding: Rounding | None = self.profile.wide_rounding
        if rounding is None:
            raise LoweringError(
                f"node {node.name} ({node.op}) sums 16-bit activations in 64 bits, which {self.profile.name} "
                "does not define; choose tflite_double"
            )
        return int(rounding)

    # --- what a rule adds

    def constant(
        self, name: str, data: NDArray[Any], scale: NDArray[np.float64] | None = None, axis: int = 0
    ) -> str:
        """Store a constant and return its name."""
        self.constants[name] = Constant(name, np.ascontiguousarray(data), scale, axis)
        return name

    def tensor(self, name: str, shape: tuple[int, ...], like: str) -> str:
        """Add an intermediate activation with the type and quantization of `like`; return its name."""
        info = self.tensors[like]
        self.tensors[name] = TensorInfo(name, shape, info.dtype, info.zero_point, info.scale)
        return name

    def call(
        self,
        node: Node,
        kernel: str,
        parameters: dict[str, int] | None = None,
        constants: dict[str, str] | None = None,
        *,
        inputs: tuple[str, ...] | None = None,
        output: str | None = None,
        suffix: str = "",
    ) -> None:
        """Append a call; inputs and output are the node's own unless given."""
        self.calls.append(
            Call(
                f"{node.name}{suffix}",
                kernel,
                self.sources(node) if inputs is None else inputs,
                constants or {},
                node.output if output is None else output,
                parameters or {},
            )
        )

    def rearrange(
        self,
        node: Node,
        plan: Rearrangement,
        source: str,
        output: str,
        *,
        suffix: str = "",
        constants: str = "",
    ) -> None:
        """Append the call of a movement; `suffix` and `constants` are added to the names of the two."""
        arrays = {
            key: self.constant(f"{node.name}{constants}/{key}", array)
            for key, array in plan.constants().items()
        }
        kernel = f"rearrange_a{self.bits(source)}"
        self.call(node, kernel, plan.parameters(), arrays, inputs=(source,), output=output, suffix=suffix)


Rule = Callable[[Lowering, Node], None]


def nearest_away(value: float) -> float:
    """Round half away from zero, as runtimes quantize the bounds of an activation."""
    return math.copysign(math.floor(abs(value) + 0.5), value) if math.isfinite(value) else value


def quantization_of(tensor: Tensor) -> Quantization:
    """Return a tensor's quantization, or refuse."""
    if tensor.quantization is None:
        raise LoweringError(f"tensor {tensor.name} has no scale: quantize the Graph before lowering it")
    return tensor.quantization
