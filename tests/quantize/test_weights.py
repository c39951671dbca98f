"""Layers: half a step of error, legal multipliers, biases that fit, accumulators that cannot overflow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxpgrad.errors import GraphError, InputError
from fxpgrad.graph.graph import Quantization
from fxpgrad.quantize import asymmetric_int8, dequantize_array
from fxpgrad.quantize.weights import QuantizedLayer, quantize_layer


def drawn_layer(seed: int) -> dict[str, Any]:
    """Arguments of `quantize_layer`: ordinary layers, dead channels, huge biases, extreme scales."""
    rng = np.random.default_rng(seed)
    depthwise = bool(rng.random() < 0.3)
    channels = int(rng.integers(1, 6))
    shape = (1, 3, 3, channels) if depthwise else (channels, *rng.integers(1, 5, size=3))
    weights = rng.normal(size=shape) * 10.0 ** rng.integers(-3, 3)
    axis = 3 if depthwise else 0
    bias = rng.normal(size=channels) * 10.0 ** rng.integers(-3, 5)
    rows = np.moveaxis(weights, axis, 0)
    if rng.random() < 0.5:
        rows[rng.random(channels) < 0.5] = 0
    if rng.random() < 0.3:  # constant weights: the largest sum of |w| there is
        rows[0] = rng.choice((-1.0, 1.0))
    source = asymmetric_int8(-float(rng.random()), float(rng.random()) * 10.0 ** rng.integers(-3, 3))
    return {
        "where": "node layer",
        "weights": weights.astype(np.float32),
        "bias": bias.astype(np.float32),
        "channel_axis": axis,
        "weight_bits": int(rng.choice((8, 16))),
        "source": source,
        "output_scale": 10.0 ** rng.uniform(-6, 2),
        "per_channel": bool(rng.random() < 0.8),
    }


def check_layer(layer: QuantizedLayer, drawn: dict[str, Any]) -> None:
    """State every law of a quantized layer."""
    input_scale, zero_point = float(drawn["source"].scale[0]), int(drawn["source"].zero_point[0])
    scale = layer.weight_quantization.scale
    limit = 2 ** (drawn["weight_bits"] - 1) - 1
    assert str(layer.weights.dtype) == f"int{drawn['weight_bits']}"
    assert np.abs(layer.weights.astype(np.int64)).max() <= limit
    error = np.abs(dequantize_array(layer.weights, layer.weight_quantization) - drawn["weights"])
    step = np.moveaxis(np.ones(layer.weights.shape), drawn["channel_axis"], -1) * scale
    assert (np.moveaxis(error, drawn["channel_axis"], -1) <= step * 0.5000001).all()
    np.testing.assert_array_equal(layer.bias_quantization.scale, input_scale * scale)
    assert layer.bias.dtype == np.int32
    assert np.abs(layer.bias.astype(np.int64)).max() <= 2**30
    bias_error = np.abs(dequantize_array(layer.bias, layer.bias_quantization) - drawn["bias"])
    assert (bias_error <= layer.bias_quantization.scale * 0.5000001).all()
    multiplier = input_scale * scale / drawn["output_scale"]
    assert (multiplier > 2.0**-30).all()
    assert (multiplier < 2.0**30).all()
    rows = np.abs(np.moveaxis(layer.weights.astype(np.int64), drawn["channel_axis"], 0))
    reach = max(127 - zero_point, zero_point + 128)
    worst = rows.reshape(rows.shape[0], -1).sum(axis=1) * reach + np.abs(layer.bias.astype(np.int64))
    assert worst.max() < 2**31


@given(st.integers(0, 2**32 - 1))
def test_every_layer_obeys_the_laws(seed: int) -> None:
    drawn = drawn_layer(seed)
    check_layer(quantize_layer(**drawn), drawn)


def test_the_laws_catch_planted_faults() -> None:
    drawn = drawn_layer(0)
    drawn |= {"weight_bits": 16, "per_channel": True, "output_scale": 0.1}
    layer = quantize_layer(**drawn)
    check_layer(layer, drawn)
    double = Quantization(layer.weight_quantization.scale * 2, layer.weight_quantization.zero_point, 0)
    for fault in (
        QuantizedLayer(layer.weights - 1, layer.weight_quantization, layer.bias, layer.bias_quantization),
        QuantizedLayer(layer.weights, double, layer.bias, layer.bias_quantization),
        QuantizedLayer(layer.weights, layer.weight_quantization, layer.bias + 1, layer.bias_quantization),
    ):
        with pytest.raises(AssertionError):
            check_layer(fault, drawn)


def ordinary(**changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "where": "node layer",
        "weights": np.array([[0.5, -0.25], [0.1, 0.2]], np.float32),
        "bias": np.zeros(2, np.float32),
        "channel_axis": 0,
        "weight_bits": 16,
        "source": asymmetric_int8(0.0, 1.0),
        "output_scale": 0.01,
    }
    return arguments | changes


def test_an_ordinary_channel_uses_all_of_its_bits() -> None:
    for bits, limit in ((16, 32767), (8, 127)):
        layer = quantize_layer(**ordinary(weight_bits=bits))
        np.testing.assert_array_equal(np.abs(layer.weights.astype(np.int64)).max(axis=1), limit)


def test_one_scale_for_all_channels_is_the_largest() -> None:
    layer = quantize_layer(**ordinary(per_channel=False))
    assert layer.weight_quantization.axis is None
    np.testing.assert_allclose(layer.weight_quantization.scale, [0.5 / 32767], rtol=1e-6)


def test_a_huge_bias_enlarges_the_scale_of_its_channel_only() -> None:
    plain = quantize_layer(**ordinary())
    layer = quantize_layer(**ordinary(bias=np.array([0.0, 1e5], np.float32)))
    assert layer.weight_quantization.scale[0] == plain.weight_quantization.scale[0]
    assert layer.weight_quantization.scale[1] > plain.weight_quantization.scale[1]
    assert layer.bias[1] == 2**30


def test_a_dead_channel_takes_the_scale_of_its_neighbours() -> None:
    weights = np.array([[0.5, -0.25], [0, 0], [0.1, 0.3], [0, 0.4]], np.float32)
    layer = quantize_layer(**ordinary(weights=weights, bias=np.zeros(4, np.float32)))
    np.testing.assert_allclose(layer.weight_quantization.scale[1], 0.4 / 32767, rtol=1e-6)
    alone = quantize_layer(**ordinary(weights=np.zeros((2, 2), np.float32)))
    np.testing.assert_allclose(alone.weight_quantization.scale, 1 / 32767)


def test_a_dead_channel_never_makes_the_multiplier_illegal() -> None:
    arguments = ordinary(weights=np.zeros((2, 2), np.float32), output_scale=1e-20)
    layer = quantize_layer(**arguments)
    assert (layer.bias_quantization.scale / 1e-20 < 2.0**30).all()


def test_a_tiny_weight_is_held_above_the_smallest_multiplier() -> None:
    layer = quantize_layer(**ordinary(weights=np.full((2, 2), 1e-12, np.float32)))
    assert (layer.bias_quantization.scale / 0.01 > 2.0**-30).all()


def test_many_equal_weights_cannot_overflow_the_accumulator() -> None:
    weights = np.ones((1, 4096), np.float32)
    drawn = ordinary(weights=weights, bias=np.full(1, 3.0, np.float32), per_channel=True)
    layer = quantize_layer(**drawn)
    check_layer(layer, drawn)
    assert layer.weights.max() > 1000  # and still ten bits are left


def test_what_no_scale_can_express_is_refused() -> None:
    with pytest.raises(GraphError, match=r"node layer: channel 0 .* below 2\*\*30"):
        quantize_layer(**ordinary(output_scale=1e-20))
    with pytest.raises(InputError, match="weight_bits must be 8 or 16"):
        quantize_layer(**ordinary(weight_bits=4))
    with pytest.raises(GraphError, match="cannot be summed"):
        quantize_layer(**ordinary(weights=np.zeros((1, 9_000_000), np.float32), bias=np.zeros(1, np.float32)))
