"""Make tflm_models.json: digests of every tensor of whole models, run by TFLite-Micro's reference kernels.

Needs the PyPI package tflite-micro in an environment of its own, and the data folder::

    python -m venv tflm && tflm/bin/pip install --pre tflite-micro==0.dev20261023182759
    tflm/bin/python tests/golden/make_tflm_models.py make ../shared/data [MODEL ...]
    tflm/bin/python tests/golden/make_tflm_models.py features ../shared/data
    tflm/bin/python tests/golden/make_tflm_models.py dump MODEL.tflite INPUT.npy OUTPUT.npz

`make` renews the named models (all by default); `features` renews the inputs of micro_speech; `dump` writes
every tensor of any model with one input, by index, for `examples/compare_with_tflm.py`.
Provenance and meaning: see README.md beside this file.
"""

from __future__ import annotations

import importlib.metadata
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
from tflite_micro.python.tflite_micro import runtime

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.golden.whole_model_results import Array, dump, model_results, store
from tests.golden.whole_models import FEATURES, MODELS

schema: Any = runtime.schema_fb
RESULT = Path(__file__).with_name("tflm_models.json")
FRAME, HOP = 480, 320  # samples of the front end at 16 kHz


class TflmModel:
    """A model with one input and one output whose inner tensors stay readable."""

    def __init__(self, path: Path) -> None:
        self.content = path.read_bytes()
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(self.content, 0))
        graph = model.subgraphs[0]
        (self.input,) = [int(i) for i in graph.inputs]
        self.output = int(graph.outputs[0])
        written = [int(i) for operator in graph.operators for i in operator.outputs]
        self.indices = [self.input, *written]
        self.names = [graph.tensors[i].name.decode() for i in self.indices]
        self.interpreter = runtime.Interpreter.from_bytes(
            self.content,
            arena_size=2**26,
            intrepreter_config=runtime.InterpreterConfig.kPreserveAllTensors,
        )

    def run(self, sample: Array) -> list[Array]:
        """Return all tensors, in the order of `indices`, for one sample without batch axis."""
        self.interpreter.set_input(sample[None], 0)
        self.interpreter.invoke()
        return [self.interpreter.GetTensor(i, 0)["tensor_data"] for i in self.indices]


def features_of(samples: Array, preprocessor: bytes) -> Array:
    """Return int8 [frames, 40] of 16 kHz sound, from a front end that starts anew."""
    interpreter = runtime.Interpreter.from_bytes(preprocessor, arena_size=2**20)
    frames = []
    for start in range(0, len(samples) - FRAME + 1, HOP):
        interpreter.set_input(samples[None, start : start + FRAME], 0)
        interpreter.invoke()
        frames.append(np.array(interpreter.get_output(0)).reshape(40))
    return np.stack(frames)


def make_features(data: Path) -> None:
    """Write the inputs of micro_speech: TFLite-Micro's own integer front end on its four clips."""
    preprocessor = (data / "tflm" / "audio_preprocessor_int8.tflite").read_bytes()
    clips = []
    for name in ("yes", "no", "silence", "noise"):
        with wave.open(str(data / "tflm" / f"{name}_1000ms.wav")) as sound:
            clips.append(np.frombuffer(sound.readframes(sound.getnframes()), "<i2"))
    np.savez_compressed(
        FEATURES,
        clips=np.stack([features_of(clip, preprocessor)[:49] for clip in clips]),
        stream=features_of(np.concatenate(clips), preprocessor),
    )


def make(data: Path, names: list[str]) -> None:
    """Renew the entries of the named models."""
    software = f"tflite-micro {importlib.metadata.version('tflite_micro')}"
    for name in names:
        model = MODELS[name]
        entry = model_results(name, model, TflmModel(data / model.file), data)
        store(RESULT, {"software": software, "profile": "tflite_double"}, {name: entry}, MODELS)


def main() -> None:
    """Run the subcommand."""
    command, *arguments = sys.argv[1:]
    if command == "make":
        make(Path(arguments[0]), arguments[1:] or list(MODELS))
    elif command == "features":
        make_features(Path(arguments[0]))
    elif command == "dump":
        model, source, target = map(Path, arguments)
        dump(TflmModel(model), source, target)
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
