"""Make litert_tables.npz: functions of one int8 value, run by LiteRT.

Needs the PyPI packages ai-edge-litert and tflite-micro (whose schema builds the models) in one environment::

    python -m venv both && both/bin/pip install --pre ai-edge-litert==2.3.0 tflite-micro==0.dev20261023182759
    both/bin/python tests/golden/make_litert_tables.py

Arrays are stored as "<function>/<name>", one row a case: `quantization` float64 [cases, 2, 2] holds (scale,
zero point) of input and output, `output` int8 [cases, 256] the results of all 256 inputs, ascending. All
three resolvers (reference, optimized, XNNPACK) gave the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import interpreter
from one_operator_model import Array, OneOperator

SEED = 20261124
CASES = 16
ALL_INT8 = np.arange(-128, 128).astype(np.int8)
RESOLVERS = interpreter.OpResolverType
KINDS: dict[str, tuple[str, int, str, dict[str, Any]]] = {
    "logistic": ("LOGISTIC", 1, "", {}),
    "tanh": ("TANH", 1, "", {}),
    "elu": ("ELU", 1, "", {}),
    "exp": ("EXP", 2, "ExpOptions", {}),
    "gelu": ("GELU", 2, "GeluOptions", {"approximate": False}),
    "gelu_approximate": ("GELU", 2, "GeluOptions", {"approximate": True}),
    "rsqrt": ("RSQRT", 3, "", {}),
}


def results(content: bytes, without_reference: bool) -> Array:
    """Return the output under every resolver, which must be the same."""
    outputs = []
    for resolver in (RESOLVERS.BUILTIN_REF, RESOLVERS.BUILTIN_WITHOUT_DEFAULT_DELEGATES, RESOLVERS.AUTO):
        if without_reference and resolver == RESOLVERS.BUILTIN_REF:
            continue
        runner = interpreter.Interpreter(model_content=content, experimental_op_resolver_type=resolver)
        runner.allocate_tensors()
        runner.set_tensor(runner.get_input_details()[0]["index"], ALL_INT8)
        runner.invoke()
        outputs.append(runner.get_tensor(runner.get_output_details()[0]["index"]))
    assert all((output == outputs[0]).all() for output in outputs)
    return outputs[0]


def main() -> None:
    """Write the vectors beside this file."""
    stored: dict[str, Array] = {}
    for number, (name, (builtin, version, kind, options)) in enumerate(KINDS.items()):
        quantizations, outputs = [], []
        for case in range(CASES):
            rng = np.random.default_rng([SEED, number, case])
            size = 0.05 * 8 ** rng.uniform(-1, 1)
            scale = float(np.float32(size)) if case % 3 else float(2.0 ** np.round(np.log2(size)))
            zero = -128 if name == "rsqrt" else int(rng.choice([-128, -3, 0, 5, 127]))
            if name == "exp":
                scale /= 4
            size = 1 / np.sqrt(scale * 128) / 20 if name == "rsqrt" else scale
            output_scale = float(np.float32(size * rng.uniform(0.5, 2)))
            output = {"logistic": (2.0**-8, -128), "tanh": (2.0**-7, 0)}.get(
                name, (output_scale, int(rng.choice([-128, -3, 0, 5, 127])))
            )
            net = OneOperator()
            net.graph.inputs = [net.tensor(ALL_INT8.shape, "int8", scale, zero)]
            result = net.tensor(ALL_INT8.shape, "int8", *output)
            net.operator(builtin, version, net.graph.inputs, result, kind, **options)
            quantizations.append([(scale, zero), output])
            outputs.append(results(net.content(), name == "elu"))
        stored[f"{name}/quantization"], stored[f"{name}/output"] = np.array(quantizations), np.stack(outputs)
    np.savez_compressed(Path(__file__).resolve().parent / "litert_tables.npz", **stored)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
