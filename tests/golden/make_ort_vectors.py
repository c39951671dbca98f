"""Make ort_vectors.npz: one-operator int8 models run by ONNX Runtime on the CPU.

Needs the PyPI packages onnx and onnxruntime::

    python -m venv ort && ort/bin/pip install onnx onnxruntime==1.32.0
    ort/bin/python tests/golden/make_ort_vectors.py

Arrays are stored as "<operator>/<case>/<name>"; the names are those of this project's kernel arguments (NHWC
and OHWI; the models are NCHW), `onnx` is the output. QLinearConv, QLinearMatMul, QLinearAdd and
QLinearMul (com.microsoft), int8 activations and int8 weights. One thread, x86-64 with AVX2.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from dialect_cases import KINDS, Array, Case, deep_layer, layer, pair_of_values, value_pairs
from onnx import TensorProto, helper, numpy_helper

SEED = 20261124


def run(
    kind: str,
    data: dict[str, Array],
    constants: dict[str, Any],
    names: list[str],
    *,
    domain: str = "",
    **attributes: Any,
) -> Array:
    """Run one node: its inputs are `names`, of which `data` are fed and `constants` belong to the model."""
    node = helper.make_node(kind, names, ["output"], domain=domain, **attributes)
    inputs = [helper.make_tensor_value_info(k, TensorProto.INT8, v.shape) for k, v in data.items()]
    output = helper.make_tensor_value_info("output", TensorProto.INT8, None)
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    graph = helper.make_graph([node], "one", inputs, [output], stored)
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    result: Array = session.run(None, data)[0]
    return result


def quantization(case: Case, side: str) -> dict[str, Any]:
    """Return scale and zero point of "input", "input_a", "input_b" or "output" as constants of a model."""
    return {f"{side}_s": case[f"{side}_scale"], f"{side}_z": np.int8(case[f"{side}_zero_point"])}


def run_layer(operator: str, case: Case) -> Array:
    """Return ONNX Runtime's output of a layer, in this project's layout."""
    weights, scale = case["weights"], case["weights_scale"]
    around = {**quantization(case, "input"), **quantization(case, "output"), "w_s": scale}
    if operator.startswith("fully_connected"):
        zero = np.zeros(scale.shape, np.int8) if scale.size > 1 else np.int8(0)
        constants = {
            **around,
            "w": weights.T.copy(),
            "w_z": zero,
            "w_s": scale if scale.size > 1 else scale[0],
        }
        names = ["data", "input_s", "input_z", "w", "w_s", "w_z", "output_s", "output_z"]
        return run("QLinearMatMul", {"data": case["input"]}, constants, names)
    depthwise = operator == "depthwise_conv2d"
    filters = weights.transpose(3, 0, 1, 2) if depthwise else weights.transpose(0, 3, 1, 2)
    constants = {**around, "w": filters.copy(), "w_z": np.zeros(scale.size, np.int8), "b": case["bias"]}
    names = ["data", "input_s", "input_z", "w", "w_s", "w_z", "output_s", "output_z", "b"]
    image = np.ascontiguousarray(case["input"].transpose(0, 3, 1, 2))
    groups = scale.size if depthwise else 1
    output = run("QLinearConv", {"data": image}, constants, names, pads=[1, 1, 1, 1], group=groups)
    return np.ascontiguousarray(output.transpose(0, 2, 3, 1))


def run_pair(operator: str, case: Case, first: Array, second: Array) -> Array:
    """Return ONNX Runtime's output of an add or mul."""
    constants = {
        **quantization(case, "input_a"),
        **quantization(case, "input_b"),
        **quantization(case, "output"),
    }
    names = ["a", "input_a_s", "input_a_z", "b", "input_b_s", "input_b_z", "output_s", "output_z"]
    kind = f"QLinear{operator.title()}"
    return run(kind, {"a": first, "b": second}, constants, names, domain="com.microsoft")


def main() -> None:
    """Draw, run and store."""
    rng = np.random.default_rng(SEED)
    stored: dict[str, Any] = {}

    def keep(operator: str, number: int, case: Case, output: Array) -> None:
        for key, value in {**case, "onnx": output}.items():
            stored[f"{operator}/{number}/{key}"] = value

    for operator in ("conv2d", "depthwise_conv2d", "fully_connected", "fully_connected_per_tensor"):
        per_tensor = operator.endswith("per_tensor")
        kernel = operator.removesuffix("_per_tensor")
        cases = [layer(rng, kind, kernel, per_tensor=per_tensor) for kind in KINDS]
        if operator == "fully_connected":
            cases.append(deep_layer(rng))
        for number, case in enumerate(cases):
            if kernel == "fully_connected":
                case["bias"] = np.zeros_like(case["bias"])  # QLinearMatMul has none
            keep(operator, number, case, run_layer(operator, case))
    first, second = value_pairs(rng)
    stored["pairs/input_a"], stored["pairs/input_b"] = first, second
    for operator in ("add", "mul"):
        for number, kind in enumerate(KINDS):
            case = pair_of_values(rng, kind, operator)
            keep(operator, number, case, run_pair(operator, case, first, second))
    np.savez_compressed(Path(__file__).with_name("ort_vectors.npz"), **stored)


if __name__ == "__main__":
    main()
