"""Matrix products: Gemm and MatMul with weights become fully_connected, of two activations batch_matmul."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fxpgrad.importers.onnx_model import OnnxNode
from fxpgrad.importers.onnx_translation import Rule, Target, Translation
from fxpgrad.importers.onnx_values import ActivationValue, ConstantValue, identity
from fxpgrad.importers.onnx_weights import Weights, bias_of, weights_of, with_quantization


def dense(
    translation: Translation,
    node: OnnxNode,
    source: ActivationValue,
    weights: Weights,
    bias: ConstantValue | None,
    target: Target,
    *,
    transposed: bool = False,
) -> None:
    """Add a fully_connected over the last axis: weights [in, out], or [out, in] if `transposed`."""
    if weights.array.ndim != 2:
        raise node.refuse(f"weights of the shape {list(weights.array.shape)}; only matrices are supported")
    channel_axis = 0 if transposed else 1
    if weights.axis not in (None, channel_axis):
        raise node.refuse(f"weights must be quantized along axis {channel_axis}, the outputs")
    rank = len(source.order)
    if rank < 1:
        raise node.refuse("its input has no axis besides the batch")
    tensor = translation.writer.ordered(node, source, identity(rank))
    matrix = weights.array if transposed else weights.array.T
    scale = None if weights.scale is None else translation.writer.kind(tensor).scale * weights.scale
    values = bias_of(translation, node, bias, matrix.shape[0], scale)
    constants = with_quantization(translation, tensor, matrix, weights, 0, values)
    translation.emit(node, "fully_connected", (tensor,), target, identity(rank), {}, constants)


def _gemm(translation: Translation, node: OnnxNode) -> None:
    if int(node.attributes.get("transA", 0)):
        raise node.refuse("transA is not supported: it would mix the rows")
    alpha, beta = (float(node.attributes.get(name, 1.0)) for name in ("alpha", "beta"))
    source, weights = translation.real_activation(node, 0), weights_of(translation, node, 1)
    bias = translation.constant(node, 2)
    if translation.quantized and (alpha != 1 or (beta != 1 and bias is not None)):
        raise node.refuse(f"alpha and beta must be 1; got {alpha} and {beta}")
    if not translation.quantized:
        weights = Weights(weights.array * np.float32(alpha))
        bias = None if bias is None else ConstantValue(bias.real().astype(np.float32) * np.float32(beta))
    target = translation.target(node, fuses=True)
    transposed = bool(node.attributes.get("transB", 0))
    dense(translation, node, source, weights, bias, target, transposed=transposed)


def _mat_mul(translation: Translation, node: OnnxNode) -> None:
    second = translation.value(node, 1)
    if isinstance(second, ActivationValue):
        source, other = translation.real_activation(node, 0), translation.real_activation(node, 1)
        batch_product(translation, node, source, other, translation.target(node, fuses=False))
        return
    source, weights = translation.real_activation(node, 0), weights_of(translation, node, 1)
    following = _bias_behind(translation, node, weights)
    if following is None:
        dense(translation, node, source, weights, None, translation.target(node, fuses=True))
        return
    addition, bias = following
    target = translation.target(addition, fuses=True)
    joined = replace(target, aliases=(addition.outputs[0], *target.aliases))
    dense(translation, node, source, weights, bias, joined)


def _bias_behind(
    translation: Translation, node: OnnxNode, weights: Weights
) -> tuple[OnnxNode, ConstantValue] | None:
    """Return the Add of a constant vector that alone reads this product, and its constant."""
    name = node.outputs[0]
    readers = translation.consumers.get(name, [])
    if name in translation.outputs or len(readers) != 1 or readers[0].op != "Add":
        return None
    addition = readers[0]
    other = addition.inputs[1] if addition.inputs[0] == name else addition.inputs[0]
    value = translation.values.get(other)
    if not isinstance(value, ConstantValue) or weights.array.ndim != 2:
        return None
    outputs = weights.array.shape[1]
    shape = value.array.shape
    fits = bool(shape) and shape[-1] == outputs and value.array.size == outputs
    return (addition, value) if fits else None


def batch_product(
    translation: Translation,
    node: OnnxNode,
    first: ActivationValue,
    second: ActivationValue,
    target: Target,
) -> None:
    """Add a batch_matmul of two activations."""
    rank = len(first.order)
    if rank < 2 or len(second.order) != rank:
        raise node.refuse(
            "a product of two activations needs matrices in every row: at least two axes after the batch, "
            "the same number in both (batch_axis=False imports a model without a batch axis)"
        )
    tensors = [translation.writer.ordered(node, value, identity(rank)) for value in (first, second)]
    attributes = {"adjoint_a": 0, "adjoint_b": 0}
    translation.emit(node, "batch_matmul", tensors, target, identity(rank), attributes)


RULES: dict[str, Rule] = {"Gemm": _gemm, "MatMul": _mat_mul}
