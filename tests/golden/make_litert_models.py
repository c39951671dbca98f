"""Make litert_models.json: digests of every tensor of whole models, run by LiteRT's fast paths on x86-64.

Two runtimes: `optimized` is LiteRT without delegates, `xnnpack` with its XNNPACK delegate, one thread each.
Needs the PyPI package ai-edge-litert in an environment of its own, and the data folder::

    python -m venv litert && litert/bin/pip install ai-edge-litert==2.3.0
    litert/bin/python tests/golden/make_litert_models.py make ../shared/data [MODEL ...]
    litert/bin/python tests/golden/make_litert_models.py dump MODEL.tflite INPUT.npy OUTPUT.npz RUNTIME

`dump` writes every tensor of any model with one input, by index, for `examples/compare_with_tflm.py`.
Provenance and meaning: see README.md beside this file.
"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.golden.whole_model_results import Array, dump, model_results, store
from tests.golden.whole_models import MODELS

PROFILES = {"optimized": "tflite_x86_optimized", "xnnpack": "xnnpack_float32"}
RESOLVERS = {
    "optimized": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "xnnpack": OpResolverType.BUILTIN,
    "reference": OpResolverType.BUILTIN_REF,
}


class LitertModel:
    """A model with one input whose inner tensors stay readable, because each is made an output.

    A delegate keeps no inner tensor otherwise. The quantized dimension of vectors is written as 0:
    it can be nothing else, and LiteRT refuses person_detect for its 3.
    """

    def __init__(self, path: Path, runtime: str) -> None:
        model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(path.read_bytes(), 0))
        graph = model.subgraphs[0]
        (self.input,) = [int(i) for i in graph.inputs]
        self.output = int(graph.outputs[0])
        written = [int(i) for operator in graph.operators for i in operator.outputs]
        self.indices = [self.input, *written]
        self.names = [graph.tensors[i].name.decode() for i in self.indices]
        graph.outputs = np.array(written, np.int32)
        model.signatureDefs = []
        for tensor in graph.tensors:
            if tensor.quantization is not None and np.size(tensor.shape) <= 1:
                tensor.quantization.quantizedDimension = 0
        builder = flatbuffers.Builder(len(path.read_bytes()))
        builder.Finish(model.Pack(builder), b"TFL3")
        self.interpreter = Interpreter(
            model_content=bytes(builder.Output()),
            experimental_op_resolver_type=RESOLVERS[runtime],
            experimental_preserve_all_tensors=runtime != "xnnpack",
            num_threads=1,
        )
        self.interpreter.allocate_tensors()

    def run(self, sample: Array) -> list[Array]:
        """Return all tensors, in the order of `indices`, for one sample without batch axis."""
        self.interpreter.set_tensor(self.input, sample[None])
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(i) for i in self.indices]


def make_one(data: Path, runtime: str, name: str) -> None:
    """Renew the entry of one model under one runtime."""
    head = {
        "software": f"ai-edge-litert {importlib.metadata.version('ai_edge_litert')}",
        "profile": PROFILES[runtime],
    }
    model = MODELS[name]
    entry = model_results(name, model, LitertModel(data / model.file, runtime), data)
    store(Path(__file__).with_name(f"litert_{runtime}_models.json"), head, {name: entry}, MODELS)


def main() -> None:
    """Run the subcommand."""
    command, *arguments = sys.argv[1:]
    if command == "make":  # a process for each model: LiteRT has been seen to abort
        for name in arguments[1:] or MODELS:
            for runtime in PROFILES:
                subprocess.run([sys.executable, __file__, "one", arguments[0], runtime, name], check=False)
    elif command == "one":
        make_one(Path(arguments[0]), *arguments[1:])
    elif command == "dump":
        model, source, target, runtime = arguments
        dump(LitertModel(Path(model), runtime), Path(source), Path(target))
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
