"""Write a float Graph by hand, one method for each operator, checked as it grows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fxpgrad.errors import GraphError
from fxpgrad.graph.check import check_graph
from fxpgrad.graph.graph import Graph, Node, Tensor
from fxpgrad.graph.operator import Shape
from fxpgrad.graph.operators.table import check_attributes, output_shape
from fxpgrad.graph.operators.windows import same_padding

Pair = tuple[int, int]
Padding = Literal["same", "valid"] | tuple[int, int, int, int]


class GraphBuilder:
    """Collects nodes; each method adds one and returns the name of its output tensor.

    A node and its output share a name: `name` if given, else the operator and a count ("conv2d_1").
    Constants are called after the node and their role ("conv2d_1/weights"). Arrays are converted to
    float32 and copied.

    Examples
    --------
    >>> import numpy as np
    >>> builder = GraphBuilder("tiny")
    >>> x = builder.input("image", (8, 8, 1))
    >>> x = builder.conv2d(x, np.ones((4, 3, 3, 1), np.float32), activation="relu")
    >>> x = builder.global_average_pool2d(x)
    >>> graph = builder.build(builder.fully_connected(x, np.ones((2, 4), np.float32)))
    >>> graph.tensors[graph.outputs[0]].shape
    (2,)
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._tensors: dict[str, Tensor] = {}
        self._nodes: list[Node] = []
        self._inputs: list[str] = []
        self._counts: dict[str, int] = {}

    def input(self, name: str, shape: Sequence[int]) -> str:
        """Add a graph input of `shape` (without the batch)."""
        self._add_tensor(Tensor(name, tuple(int(extent) for extent in shape), "float32"))
        self._inputs.append(name)
        return name

    def conv2d(
        self,
        x: str,
        weights: ArrayLike,
        bias: ArrayLike | None = None,
        *,
        stride: Pair = (1, 1),
        padding: Padding = "same",
        dilation: Pair = (1, 1),
        groups: int = 1,
        activation: str = "none",
        name: str | None = None,
    ) -> str:
        """Add a convolution; weights [out, kernel height, kernel width, in / groups], bias [out] or zeros."""
        filters = self._constant(weights, 4, "weights")
        attributes = {
            "stride": _pair("stride", stride),
            "padding": self._padding(x, padding, filters.shape[1:3], stride, dilation),
            "dilation": _pair("dilation", dilation),
            "groups": groups,
            "activation": activation,
        }
        return self._weighted("conv2d", x, filters, bias, filters.shape[0], attributes, name)

    def depthwise_conv2d(
        self,
        x: str,
        weights: ArrayLike,
        bias: ArrayLike | None = None,
        *,
        stride: Pair = (1, 1),
        padding: Padding = "same",
        dilation: Pair = (1, 1),
        activation: str = "none",
        name: str | None = None,
    ) -> str:
        """Add a depthwise convolution; weights [1, kernel height, kernel width, out].

        With out = multiplier * in, output channel c reads input channel c // multiplier.
        """
        filters = self._constant(weights, 4, "weights")
        attributes = {
            "stride": _pair("stride", stride),
            "padding": self._padding(x, padding, filters.shape[1:3], stride, dilation),
            "dilation": _pair("dilation", dilation),
            "activation": activation,
        }
        return self._weighted("depthwise_conv2d", x, filters, bias, filters.shape[3], attributes, name)

    def fully_connected(
        self,
        x: str,
        weights: ArrayLike,
        bias: ArrayLike | None = None,
        *,
        activation: str = "none",
        name: str | None = None,
    ) -> str:
        """Add a dense layer; weights [out, in], bias [out] or zeros. The input must have rank 1."""
        matrix = self._constant(weights, 2, "weights")
        return self._weighted(
            "fully_connected", x, matrix, bias, matrix.shape[0], {"activation": activation}, name
        )

    def batch_norm(
        self,
        x: str,
        gamma: ArrayLike,
        beta: ArrayLike,
        mean: ArrayLike,
        variance: ArrayLike,
        *,
        epsilon: float = 1e-3,
        name: str | None = None,
    ) -> str:
        """Add gamma * (x - mean) / sqrt(variance + epsilon) + beta over the last axis; all four [C]."""
        constants = {
            role: self._constant(value, 1, role)
            for role, value in (("gamma", gamma), ("beta", beta), ("mean", mean), ("variance", variance))
        }
        return self._add("batch_norm", (x,), constants, {"epsilon": float(epsilon)}, name)

    def max_pool2d(
        self,
        x: str,
        size: Pair,
        stride: Pair | None = None,
        padding: Padding = "valid",
        activation: str = "none",
        name: str | None = None,
    ) -> str:
        """Add a maximum over windows; padding never wins. `stride` defaults to `size`."""
        return self._pool("max_pool2d", x, size, stride, padding, activation, name)

    def average_pool2d(
        self,
        x: str,
        size: Pair,
        stride: Pair | None = None,
        padding: Padding = "valid",
        activation: str = "none",
        name: str | None = None,
    ) -> str:
        """Add a mean over windows; padding is not counted. `stride` defaults to `size`."""
        return self._pool("average_pool2d", x, size, stride, padding, activation, name)

    def global_average_pool2d(self, x: str, name: str | None = None) -> str:
        """Add the mean over height and width: [H, W, C] to [C]."""
        return self._add("global_average_pool2d", (x,), {}, {}, name)

    def add(self, first: str, second: str, activation: str = "none", name: str | None = None) -> str:
        """Add two tensors of one shape."""
        return self._add("add", (first, second), {}, {"activation": activation}, name)

    def activation(self, x: str, activation: str, name: str | None = None) -> str:
        """Add a clamp: "relu", "relu6" or "relu_n1_to_1"."""
        return self._add("activation", (x,), {}, {"activation": activation}, name)

    def pad(self, x: str, padding: tuple[int, int, int, int], name: str | None = None) -> str:
        """Add zeros around height and width: (top, bottom, left, right)."""
        return self._add("pad", (x,), {}, {"padding": (*padding, 0, 0), "value": 0}, name)

    def concat(self, inputs: Sequence[str], axis: int, name: str | None = None) -> str:
        """Join tensors along `axis`, which leaves the batch out; a negative axis counts from the end."""
        if axis < 0 and inputs:
            axis += len(self._tensor(inputs[0]).shape)
        return self._add("concat", tuple(inputs), {}, {"axis": axis}, name)

    def reshape(self, x: str, shape: Sequence[int], name: str | None = None) -> str:
        """Give the values, in order, another shape (without the batch)."""
        return self._add("reshape", (x,), {}, {}, name, tuple(int(extent) for extent in shape))

    def build(self, outputs: str | Sequence[str]) -> Graph:
        """Return the checked Graph with the given outputs."""
        names = (outputs,) if isinstance(outputs, str) else tuple(outputs)
        graph = Graph(self._name, dict(self._tensors), tuple(self._nodes), tuple(self._inputs), names)
        check_graph(graph)
        return graph

    def _pool(
        self,
        op: str,
        x: str,
        size: Pair,
        stride: Pair | None,
        padding: Padding,
        activation: str,
        name: str | None,
    ) -> str:
        step = size if stride is None else stride
        attributes = {
            "size": _pair("size", size),
            "stride": _pair("stride", step),
            "padding": self._padding(x, padding, size, step, (1, 1)),
            "activation": activation,
        }
        return self._add(op, (x,), {}, attributes, name)

    def _weighted(
        self,
        op: str,
        x: str,
        weights: NDArray[np.float32],
        bias: ArrayLike | None,
        channels: int,
        attributes: dict[str, Any],
        name: str | None,
    ) -> str:
        offsets = np.zeros(channels, np.float32) if bias is None else self._constant(bias, 1, "bias")
        return self._add(op, (x,), {"weights": weights, "bias": offsets}, attributes, name)

    def _padding(self, x: str, padding: Padding, kernel: Any, stride: Pair, dilation: Pair) -> Any:
        if not isinstance(padding, str):
            return tuple(padding)
        if padding == "valid":
            return (0, 0, 0, 0)
        if padding != "same":
            raise GraphError(f"padding must be 'same', 'valid' or four ints; got {padding!r}")
        shape = self._tensor(x).shape
        if len(shape) != 3:
            raise GraphError(f"{x} must be [height, width, channels] here; got {list(shape)}")
        pairs = (_pair("size", kernel), _pair("stride", stride), _pair("dilation", dilation))
        return same_padding((shape[0], shape[1]), *pairs)

    def _constant(self, value: ArrayLike, rank: int, role: str) -> NDArray[np.float32]:
        array = np.array(value, np.float32, order="C")
        if array.ndim != rank:
            raise GraphError(f"{role} must have rank {rank}; got the shape {list(array.shape)}")
        return array

    def _tensor(self, name: str) -> Tensor:
        if name not in self._tensors:
            raise GraphError(f"there is no tensor {name!r} yet; add its node first")
        return self._tensors[name]

    def _add_tensor(self, tensor: Tensor) -> None:
        if tensor.name in self._tensors:
            raise GraphError(f"the name {tensor.name!r} is taken; choose another")
        self._tensors[tensor.name] = tensor

    def _add(
        self,
        op: str,
        inputs: tuple[str, ...],
        constants: dict[str, NDArray[np.float32]],
        attributes: dict[str, Any],
        name: str | None,
        declared: Shape | None = None,
    ) -> str:
        if name is None:
            self._counts[op] = self._counts.get(op, 0) + 1
            name = f"{op}_{self._counts[op]}"
        where = f"node {name} ({op})"
        check_attributes(where, op, attributes)
        shapes = [self._tensor(source).shape for source in inputs]
        constant_shapes: dict[str, Shape] = {role: array.shape for role, array in constants.items()}
        try:
            shape = output_shape(op, shapes, constant_shapes, attributes, declared)
        except GraphError as error:
            raise GraphError(f"{where}: {error}") from None
        constant_names = tuple(f"{name}/{role}" for role in constants)
        self._add_tensor(Tensor(name, shape, "float32"))
        for constant_name, array in zip(constant_names, constants.values(), strict=True):
            self._add_tensor(Tensor(constant_name, array.shape, "float32", data=array))
        self._nodes.append(Node(name, op, inputs + constant_names, name, attributes))
        return name


def _pair(label: str, value: Any) -> Pair:
    """Return `value` as a pair of positive ints; SAME arithmetic divides by them."""
    if not (isinstance(value, (tuple, list)) and len(value) == 2 and all(int(item) >= 1 for item in value)):
        raise GraphError(f"{label} must be a pair of ints >= 1 (height, width); got {value!r}")
    return (int(value[0]), int(value[1]))
