"""Make litert_vectors.npz: one-operator int8 models run by LiteRT's optimized kernels and by XNNPACK.

Needs the PyPI packages ai-edge-litert and tflite-micro (whose schema builds the models) in one environment::

    python -m venv both && both/bin/pip install --pre ai-edge-litert==2.3.0 tflite-micro==0.dev20261023182759
    both/bin/python tests/golden/make_litert_vectors.py

Arrays are stored as "<operator>/<case>/<name>"; the names are those of this project's kernel arguments, and
`optimized` and `xnnpack` are the two outputs. One thread, x86-64 with AVX2: NEON may differ.
Each model runs in a process of its own, because LiteRT may abort.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from dialect_cases import KINDS, Array, Case, deep_layer, layer, one_value, pair_of_values, value_pairs
from one_operator_model import OneOperator

SEED = 20261123
RESOLVERS = {
    "optimized": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "xnnpack": OpResolverType.AUTO,
}
WINDOW = {"padding": 0, "strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1}
LAYERS: dict[str, tuple[str, int, str, dict[str, Any]]] = {
    "conv2d": ("CONV_2D", 3, "Conv2DOptions", WINDOW),
    "depthwise_conv2d": ("DEPTHWISE_CONV_2D", 3, "DepthwiseConv2DOptions", {**WINDOW, "depthMultiplier": 1}),
    "fully_connected": ("FULLY_CONNECTED", 12, "FullyConnectedOptions", {}),
    "fully_connected_per_tensor": ("FULLY_CONNECTED", 4, "FullyConnectedOptions", {}),
}
ALL_INT8 = np.arange(-128, 128).astype(np.int8)


def layer_model(operator: str, case: Case) -> OneOperator:
    """Return the model of a layer with weights."""
    name, version, options, attributes = LAYERS[operator]
    model = OneOperator()
    depthwise = operator == "depthwise_conv2d"
    outputs = case["bias"].size
    weights_scale = case["weights_scale"]
    source = model.tensor(case["input"].shape, "int8", case["input_scale"], case["input_zero_point"])
    weights = model.tensor(
        case["weights"].shape, "int8", weights_scale, 0, case["weights"], 3 if depthwise else 0
    )
    bias = model.tensor((outputs,), "int32", case["input_scale"] * weights_scale, 0, case["bias"])
    shape = (*case["input"].shape[:-1], outputs)
    output = model.tensor(shape, "int8", case["output_scale"], case["output_zero_point"])
    model.graph.inputs = [source]
    model.operator(name, version, [source, weights, bias], output, options, **attributes)
    return model


def pair_model(operator: str, case: Case, shape: tuple[int, ...]) -> OneOperator:
    """Return the model of an add, sub or mul."""
    model = OneOperator()
    operands = [
        model.tensor(shape, "int8", case[f"input_{side}_scale"], case[f"input_{side}_zero_point"])
        for side in "ab"
    ]
    output = model.tensor(shape, "int8", case["output_scale"], case["output_zero_point"])
    model.graph.inputs = operands
    model.operator(operator.upper(), 2, operands, output, f"{operator.title()}Options")
    return model


def value_model(operator: str, case: Case) -> OneOperator:
    """Return the model of a quantize or leaky_relu."""
    model = OneOperator()
    source = model.tensor((1, 16, 16, 1), "int8", case["input_scale"], case["input_zero_point"])
    output = model.tensor((1, 16, 16, 1), "int8", case["output_scale"], case["output_zero_point"])
    model.graph.inputs = [source]
    if operator == "quantize":
        model.operator("QUANTIZE", 2, [source], output, "QuantizeOptions")
    else:
        model.operator("LEAKY_RELU", 2, [source], output, "LeakyReluOptions", alpha=float(case["alpha"]))
    return model


def run_here(folder: Path) -> None:
    """Run the model of a folder on its inputs, by both runtimes: what the process of a model does."""
    with np.load(folder / "inputs.npz") as stored:
        values = [stored[key] for key in sorted(stored.files)]
    outputs = {}
    for runtime, resolver in RESOLVERS.items():
        interpreter = Interpreter(
            model_content=(folder / "model.tflite").read_bytes(),
            experimental_op_resolver_type=resolver,
            num_threads=1,
        )
        interpreter.allocate_tensors()
        for detail, value in zip(interpreter.get_input_details(), values, strict=True):
            interpreter.set_tensor(detail["index"], value.reshape(detail["shape"]))
        interpreter.invoke()
        outputs[runtime] = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.savez(folder / "outputs.npz", **outputs)


def run(model: OneOperator, *inputs: Array) -> dict[str, Array]:
    """Return the outputs of both runtimes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model.tflite").write_bytes(model.content())
        np.savez(folder / "inputs.npz", **{str(i): value for i, value in enumerate(inputs)})
        subprocess.run([sys.executable, __file__, name], check=True, capture_output=True)
        with np.load(folder / "outputs.npz") as stored:
            return dict(stored)


def main() -> None:
    """Draw, run and store."""
    rng = np.random.default_rng(SEED)
    stored: dict[str, Any] = {}

    def keep(operator: str, number: int, case: Case, outputs: dict[str, Array]) -> None:
        for key, value in {**case, **outputs}.items():
            stored[f"{operator}/{number}/{key}"] = value

    for operator in LAYERS:
        per_tensor = operator.endswith("per_tensor")
        kernel = operator.removesuffix("_per_tensor")
        cases = [layer(rng, kind, kernel, per_tensor=per_tensor) for kind in KINDS]
        if operator == "fully_connected":
            cases.append(deep_layer(rng))
        for number, case in enumerate(cases):
            keep(operator, number, case, run(layer_model(operator, case), case["input"]))
    first, second = value_pairs(rng)
    stored["pairs/input_a"], stored["pairs/input_b"] = first, second
    shape = (1, 32, 64, 1)
    for operator in ("add", "sub", "mul"):
        for number, kind in enumerate(KINDS):
            case = pair_of_values(rng, kind, operator)
            outputs = run(pair_model(operator, case, shape), first, second)
            keep(operator, number, case, {key: value.ravel() for key, value in outputs.items()})
    for operator in ("quantize", "leaky_relu"):
        for number, kind in enumerate(KINDS):
            case = one_value(rng, kind)
            outputs = run(value_model(operator, case), ALL_INT8)
            keep(operator, number, case, {key: value.ravel() for key, value in outputs.items()})
    np.savez_compressed(Path(__file__).with_name("litert_vectors.npz"), **stored)


if __name__ == "__main__":
    run_here(Path(sys.argv[1])) if len(sys.argv) > 1 else main()
