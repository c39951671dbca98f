"""The package imagecorruptions 1.1.2, loaded so that it runs with the NumPy, SciPy and scikit-image of today.

Written in 2020, it imports `pkg_resources` and `scipy.ndimage.interpolation`, and calls `np.float_`,
`gaussian(multichannel=True)` and `random_noise` without a generator; the first four are gone or going,
the last would draw from the system's entropy. The names are put back in that one module, nowhere else.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from fxpgrad.errors import MissingExtraError

Corruption = Callable[[Any, int], Any]


@cache
def load_corruptions() -> dict[str, Corruption]:
    """Return the package's functions by name: (PIL image, severity 1..5) to an array or PIL image.

    Raises
    ------
    MissingExtraError
        The package, or one that it needs, is not installed.
    """
    try:
        names = ("skimage.color", "skimage.filters", "skimage.util", "scipy.ndimage")
        color, filters, util, ndimage = map(importlib.import_module, names)
        with _modules_that_are_gone(ndimage.map_coordinates):
            package = importlib.import_module("imagecorruptions")
            module = importlib.import_module("imagecorruptions.corruptions")
    except ImportError as error:
        raise MissingExtraError(
            f"corrupting images needs imagecorruptions: pip install 'fxpgrad[experiments]' ({error})"
        ) from error

    def gaussian(image: Any, sigma: Any, multichannel: bool = False, **options: Any) -> Any:
        return filters.gaussian(image, sigma, channel_axis=-1 if multichannel else None, **options)

    def random_noise(image: Any, **options: Any) -> Any:
        words = np.random.randint(0, 2**32, 4, dtype=np.uint32)  # the package's own, seeded generator
        return util.random_noise(image, rng=np.random.default_rng(words), **options)

    numpy_then = ModuleType("numpy")
    numpy_then.__dict__.update(vars(np), float_=np.float64)
    replaced = {
        "np": numpy_then,
        "sk": SimpleNamespace(color=color, util=SimpleNamespace(random_noise=random_noise)),
        "gaussian": gaussian,
        "print": lambda *_: None,
    }
    vars(module).update(replaced)
    found: dict[str, Corruption] = dict(package.corruption_dict)
    return found


@contextmanager
def _modules_that_are_gone(map_coordinates: Callable[..., Any]) -> Iterator[None]:
    """Stand in, for the time of an import, for modules that the package names and nobody ships any more."""

    def resource_filename(module: str, name: str) -> str:
        return str(resources.files(module.rpartition(".")[0]) / name)

    names = {
        "pkg_resources": {"resource_filename": resource_filename},
        "scipy.ndimage.interpolation": {"map_coordinates": map_coordinates},
    }
    before = {name: sys.modules.get(name) for name in names}
    for name, members in names.items():
        stand_in = ModuleType(name)
        stand_in.__dict__.update(members)
        sys.modules[name] = stand_in
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
