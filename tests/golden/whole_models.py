"""The whole models that other runtimes have run, and the inputs that they were run on.

NumPy only, because scripts in the environments of other runtimes import it as well as the tests.
Inputs are made from a data folder (`../shared/data` of the checkout) or from a seed, always in the model's
own integer type, batch first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
SEED = 20261123
RANDOM, STRESS = 64, 24
AD_SCALE, AD_ZERO_POINT = float(np.float32(0.39101523)), 89  # of ad01_int8's input
FEATURES = Path(__file__).with_name("tflm_micro_speech_features.npz")


@dataclass(frozen=True, slots=True)
class WholeModel:
    """A model file, its input, the labelled or real sets that it is run on, and where labels are.

    Attributes
    ----------
    file : str
        Path below the data folder.
    shape : tuple of int
        Of one input sample, without the batch axis.
    dtype : str
        Of the input tensor.
    real : dict
        Set name to a function (data folder) -> (x, labels or None).
    """

    file: str
    shape: tuple[int, ...]
    dtype: str = "int8"
    real: dict[str, Callable[[Path], tuple[Array, Array | None]]] = field(default_factory=dict)

    def sets(self) -> list[str]:
        """Return the names of all input sets."""
        if self.shape == (1,):
            return ["every_value", *self.real]
        return ["random", "stress", *self.real]

    def inputs(self, name: str, data: Path) -> tuple[Array, Array | None]:
        """Return the samples of a set, and their labels where there are some."""
        if name == "every_value":
            return np.arange(-128, 128).astype(self.dtype).reshape(256, 1), None
        if name == "random":
            return random_samples(self.shape, self.dtype), None
        if name == "stress":
            return stress_samples(self.shape, self.dtype), None
        x, labels = self.real[name](data)
        assert x.shape[1:] == self.shape, (name, x.shape)
        assert x.dtype == self.dtype, (name, x.dtype)
        return np.ascontiguousarray(x), labels


def random_bytes(seed: int, shape: tuple[int, ...]) -> Array:
    """Return uint8 numbers from a generator whose stream NumPy has frozen."""
    content = np.random.RandomState(seed).bytes(int(np.prod(shape)))
    return np.frombuffer(content, np.uint8).reshape(shape)


def random_samples(shape: tuple[int, ...], dtype: str) -> Array:
    """Return [64, ...shape], uniform over the 8-bit type."""
    return random_bytes(SEED, (RANDOM, *shape)).view(dtype)


def stress_samples(shape: tuple[int, ...], dtype: str) -> Array:
    """Return [24, ...shape]: constants, noise of the two end values, and coarse patterns.

    Uniform noise averages out after a few layers; these drive accumulators and clamps to their ends.
    """
    constants = np.array([0, 255, 128, 127, 129, 64, 192, 1], np.uint8)
    flat = np.repeat(constants, int(np.prod(shape))).reshape(8, *shape)
    ends = np.where(random_bytes(SEED + 1, (8, *shape)) & 1, 255, 0).astype(np.uint8)
    coarse = random_bytes(SEED + 2, (8, *shape))
    for axis, extent in enumerate(shape, start=1):
        if extent > 4:
            coarse = np.take(coarse, np.arange(extent) * 5 // extent, axis=axis)
    return (np.concatenate([flat, ends, coarse]) ^ np.uint8(0x80 if dtype == "int8" else 0)).view(dtype)


def _kws(data: Path) -> tuple[Array, Array | None]:
    with np.load(data / "mlperf_tiny" / "kws01_eval.npz") as arrays:
        return arrays["x"], arrays["labels"]


def _pixels(path: str, key: str, count: int | None = None) -> Callable[[Path], tuple[Array, Array | None]]:
    def read(data: Path) -> tuple[Array, Array | None]:
        with np.load(data / path) as arrays:
            return (arrays[key][:count] ^ np.uint8(0x80)).view(np.int8), arrays["labels"][:count]

    return read


def _minival(data: Path) -> tuple[Array, Array | None]:
    x, labels = _pixels("vww/coco256_vww96.npz", "images")(data)
    with np.load(data / "vww" / "coco256_vww96.npz") as arrays:
        chosen = arrays["vww_minival"]
    assert labels is not None
    return x[chosen], labels[chosen]


def _car(data: Path) -> tuple[Array, Array | None]:
    """Windows of 5 frames, quantized by the input's scale and zero point."""
    with np.load(data / "mlperf_tiny" / "ad01_sample_normal.npz") as arrays:
        frames = arrays["x"].astype(np.float64)
    windows = np.stack([frames[i : i + 5].reshape(-1) for i in range(len(frames) - 4)])
    return np.clip(np.rint(windows / AD_SCALE) + AD_ZERO_POINT, -128, 127).astype(np.int8), None


def _persons(data: Path) -> tuple[Array, Array | None]:
    """Two 96x96 grey bitmaps whose bytes are int8 patterns."""
    pictures = []
    for name in ("no_person.bmp", "person.bmp"):
        content = (data / "tflm" / name).read_bytes()
        start = int.from_bytes(content[10:14], "little")
        height = int.from_bytes(content[22:26], "little", signed=True)
        rows = np.frombuffer(content, np.int8, 96 * 96, start).reshape(96, 96, 1)
        pictures.append(rows[::-1] if height > 0 else rows)
    return np.stack(pictures), np.array([0, 1])


def _clips(data: Path) -> tuple[Array, Array | None]:
    """Features of the clips yes, no, silence and noise, each from the start of the front end."""
    with np.load(FEATURES) as arrays:
        return arrays["clips"].reshape(4, 1960), np.array([2, 3, 0, 0])


def _stream(data: Path) -> tuple[Array, Array | None]:
    """Every window of 49 frames of the four clips played one after the other."""
    with np.load(FEATURES) as arrays:
        frames = arrays["stream"]
    return np.stack([frames[i : i + 49].reshape(-1) for i in range(len(frames) - 48)]), None


def _imagenette(data: Path) -> tuple[Array, Array | None]:
    """Every tenth picture, enlarged from 128 to 224 by its nearest pixel; labels of 1001 classes."""
    with np.load(data / "models" / "imagenette200_128.npz") as arrays:
        images, labels = arrays["images"][::10], arrays["imagenet_label"][::10]
    near = np.arange(224) * 128 // 224
    return images[:, near][:, :, near], labels + 1


MODELS = {
    "kws_ref_model": WholeModel("mlperf_tiny/kws_ref_model.tflite", (49, 10, 1), real={"kws01_eval": _kws}),
    "vww_96_int8": WholeModel(
        "mlperf_tiny/vww_96_int8.tflite",
        (96, 96, 3),
        real={"coco256": _pixels("vww/coco256_vww96.npz", "images"), "vww_minival": _minival},
    ),
    "pretrainedResnet_quant": WholeModel(
        "mlperf_tiny/pretrainedResnet_quant.tflite",
        (32, 32, 3),
        real={
            "ic01_eval": _pixels("mlperf_tiny/ic01_eval.npz", "x"),
            "cifar10_test_2000": _pixels("cifar10/cifar10_test.npz", "images", 2000),
        },
    ),
    "ad01_int8": WholeModel("mlperf_tiny/ad01_int8.tflite", (640,), real={"toy_car_windows": _car}),
    "person_detect": WholeModel("tflm/person_detect.tflite", (96, 96, 1), real={"two_pictures": _persons}),
    "micro_speech_quantized": WholeModel(
        "tflm/micro_speech_quantized.tflite", (1960,), real={"clips": _clips, "stream": _stream}
    ),
    "hello_world_int8": WholeModel("tflm/hello_world_int8.tflite", (1,)),
    "mobilenet_v2_224_int8_ptq": WholeModel(
        "models/mobilenet_v2_224_int8_ptq.tflite",
        (224, 224, 3),
        "uint8",
        real={"imagenette20": _imagenette},
    ),
}
