"""The error tree of the host side. The command line turns any of these into exit code 2."""

from __future__ import annotations


class FxpgradError(Exception):
    """Base of everything that `fxpgrad` raises on purpose: one sentence that names the thing and the fix."""


class InputError(FxpgradError, ValueError):
    """Data that does not fit: dtype, shape, NaN, empty, label out of range."""


class ModelFileError(FxpgradError, ValueError):
    """A model file that cannot be imported: corrupt, or with something that is not supported.

    Names from a damaged file may hold anything: what is not printable is shown as "?".
    """

    def __init__(self, message: str) -> None:
        super().__init__("".join(letter if letter.isprintable() else "?" for letter in message))


class GraphError(FxpgradError, ValueError):
    """A Graph that is not well formed."""


class LoweringError(FxpgradError, ValueError):
    """A Graph that cannot become a Program: scale, shift or accumulator out of range."""


class StoreError(FxpgradError, ValueError):
    """A file that cannot be read or written: corrupt, truncated, of another version."""


class TrainingError(FxpgradError, RuntimeError):
    """A training run that cannot make progress, or a configuration that cannot train."""


class WorkerError(FxpgradError, RuntimeError):
    """A process that did a part of the work has died."""


class MissingExtraError(FxpgradError, ImportError):
    """An optional package is needed; the message gives the pip command."""
