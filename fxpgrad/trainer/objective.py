"""Objectives: an integer loss of one batch, read straight from what the Program puts out."""

from __future__ import annotations

import sys
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError
from fxpgrad.program.execute import positive
from fxpgrad.program.multiplier import derive_multiplier
from fxpgrad.program.program import Program
from fxpgrad_kernels.errors import MultiplierError
from fxpgrad_kernels.loss.cross_entropy import cross_entropy_linear
from fxpgrad_kernels.loss.prototypes import cross_entropy_prototypes

FRACTION_BITS = 24  # losses are in units of 2**-24 nats


class Objective(Protocol):
    """Makes one integer of a batch's outputs and labels; lower is better."""

    num_classes: int

    def prepare(self, program: Program, batch: int) -> None:
        """Size the buffers for a Program and a batch."""

    def __call__(self, output: NDArray[Any], labels: NDArray[np.int32]) -> int:
        """Return the summed loss in units of 2**-24 nats."""


def _q24(real: NDArray[np.float64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    return derive_multiplier(real * 2.0**FRACTION_BITS)


def require_distance_scale(value: Any) -> None:
    """Raise `InputError` unless the factor of squared distances is a positive finite number."""
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not (number and 0 < float(value) <= sys.float_info.max):
        raise InputError(f"distance_scale must be a positive finite number; got {value!r}")


class LinearCrossEntropy:
    """Cross-entropy of a linear head, from its int32 accumulators."""

    num_classes = 0

    def prepare(self, program: Program, batch: int) -> None:
        """Take the accumulators' real scale from the head's bias."""
        head = program.calls[-1]
        scale = program.constants[head.constants["bias"]].scale
        if scale is None or program.tensors[program.outputs[0]].dtype != "int32":
            raise InputError("the linear objective needs a Program that ends in int32 accumulators")
        self.num_classes = program.tensors[program.outputs[0]].elements
        self._multiplier, self._shift = _q24(scale)
        self._losses = np.zeros(batch, np.int64)

    @property
    def logit_scale(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """(multiplier, shift) per class, from accumulators to logits in units of 2**-24."""
        return self._multiplier, self._shift

    def __call__(self, output: NDArray[np.int32], labels: NDArray[np.int32]) -> int:
        """Return the summed loss of accumulators int32 [B, N]."""
        return int(cross_entropy_linear(output, self._multiplier, self._shift, labels, self._losses))


class PrototypeCrossEntropy:
    """Cross-entropy over squared distances to the class means of the batch itself.

    Each sample's own class mean leaves it out, so that the loss cannot be had by memory alone; that of a
    class of one sample does not. Classes without a sample in the batch are left out.

    Parameters
    ----------
    num_classes : int >= 1
        Labels are 0..num_classes - 1.
    distance_scale : float > 0
        Factor of the squared distances.
    leave_one_out : bool

    Raises
    ------
    InputError
        A number that does not fit, or, from `prepare`, a Program that does not end in int8 features.
    """

    def __init__(self, num_classes: int, distance_scale: float, *, leave_one_out: bool = True) -> None:
        self.num_classes = positive("num_classes", num_classes)
        require_distance_scale(distance_scale)
        self._distance_scale = distance_scale
        self._leave_one_out = int(leave_one_out)

    def prepare(self, program: Program, batch: int) -> None:
        """Take the features' real scale from the output tensor."""
        info = program.tensors[program.outputs[0]]
        if info.dtype != "int8" or len(info.shape) != 1:
            raise InputError("the prototype objective needs a Program that ends in int8 features")
        try:
            self._multiplier, self._shift = _q24(np.array([self._distance_scale * info.scale**2]))
        except MultiplierError as error:
            raise InputError(
                f"distance_scale {self._distance_scale} is too large for features in steps of {info.scale}; "
                f"take a smaller one: {error}"
            ) from error
        self._sums = np.zeros((self.num_classes, info.shape[0]), np.int32)
        self._counts = np.zeros(self.num_classes, np.int32)
        self._losses = np.zeros(batch, np.int64)

    def __call__(self, output: NDArray[np.int8], labels: NDArray[np.int32]) -> int:
        """Return the summed loss of features int8 [B, D]."""
        return int(
            cross_entropy_prototypes(
                output,
                labels,
                self._multiplier,
                self._shift,
                self._sums,
                self._counts,
                self._losses,
                self._leave_one_out,
            )
        )
