"""Make onnx_qdq_*.onnx and onnxruntime_networks.npz: small QDQ networks and what ONNX Runtime computes.

Run from the repository's root with onnx and onnxruntime installed:
    python tests/golden/make_onnxruntime_networks.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[2])]

from tests.importers.onnx_models import run  # noqa: E402
from tests.importers.onnx_networks import integer_tensors, network_inputs, residual_network  # noqa: E402

NETWORKS = {"int8_per_channel": ("int8", True), "int8_per_tensor": ("int8", False)}


def main() -> None:
    """Write the files beside this script."""
    folder = Path(__file__).parent
    x = network_inputs(7, 12)
    arrays = {"x": x}
    for name, (dtype, per_channel) in NETWORKS.items():
        made = residual_network(7, dtype, True, per_channel)
        (folder / f"onnx_qdq_{name}.onnx").write_bytes(made.SerializeToString())
        arrays[f"{name}/y"] = run(made, {"x": x})["y"]
        for tensor in integer_tensors(made):
            arrays[f"{name}/{tensor}"] = run(made, {"x": x}, [tensor])[tensor]
    np.savez_compressed(folder / "onnxruntime_networks.npz", **arrays)


if __name__ == "__main__":
    main()
