"""What a peer is: a library that can be asked to do one layer."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from numpy.typing import NDArray

from fxpgrad.benchmarks.layer import Kind, Layer
from fxpgrad.errors import FxpgradError

Numbers = Literal["sums", "outputs", "fine outputs", "real"]


T = TypeVar("T")


class PeerError(FxpgradError, RuntimeError):
    """Another library does not do what it was asked; what it said, in one line."""


# What libraries raise for layers that they do not do; where one has types of its own, its module translates.
_REFUSALS = (
    ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, OSError,
    RuntimeError, TypeError, ValueError,
)  # fmt: skip


def attempt(peer: str, make: Callable[[], T]) -> T:
    """Return what `make` returns; a library's refusal becomes a `PeerError` of one line."""
    try:
        return make()
    except _REFUSALS as error:
        raise PeerError(f"{peer} cannot do it: {first_line(error)}") from error


def first_line(error: Exception) -> str:
    """Return the first line of what an error says, or its type's name."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:120]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A layer made ready by a peer.

    run: does it once. result: what the last run gave, in the layer's own layout (batch first, channels
    last). numbers: whether those are integer sums, int8 outputs, int16 outputs or real numbers.
    """

    run: Callable[[], object]
    result: Callable[[], NDArray[Any]]
    numbers: Numbers


@dataclass(frozen=True, slots=True)
class Peer:
    """One way of one library to do layers.

    Attributes
    ----------
    name : str
        "library-variant".
    package : str
        What is imported.
    distribution : str
        What is installed, and has a version.
    extra : str
        The extra of this package that installs it.
    kinds : set of str
        The layers that it does; none for a library that takes whole model files only.
    prepare : callable or None
        (layer, threads) to Prepared; it imports the library. None where there are no `kinds`.
    slow : bool
        Left out of layers of many multiply-adds.
    net : callable or None
        (model file's bytes, batch, threads) to a whole network ready to run.
    """

    name: str
    package: str
    distribution: str
    extra: str
    kinds: frozenset[Kind]
    prepare: Callable[[Layer, int], Prepared] | None = None
    slow: bool = False
    net: Callable[[bytes, int, int], Network] | None = None

    @property
    def installed(self) -> bool:
        """Whether the package can be found."""
        return importlib.util.find_spec(self.package) is not None

    @property
    def version(self) -> str:
        """The installed version."""
        try:
            return importlib.metadata.version(self.distribution)
        except importlib.metadata.PackageNotFoundError:
            return "unknown"

    @property
    def absence(self) -> str:
        """What to say if it is not installed."""
        library = self.name.partition("-")[0]
        return f'{library} is left out: pip install "fxpgrad[{self.extra}]" installs {self.distribution}'


@dataclass(frozen=True, slots=True)
class Network:
    """A whole network made ready by a peer: `load` copies a batch in, `run` does it, `result` copies out."""

    load: Callable[[NDArray[Any]], None]
    run: Callable[[], object]
    result: Callable[[], NDArray[Any]]
