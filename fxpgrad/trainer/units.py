"""What an epsilon or a learning rate of 1 means for each kind of trained value, in real numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import TrainingError
from fxpgrad.program.layer_names import short_name
from fxpgrad.program.program import Call, Constant, Program
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad_kernels.training.gain import ONE

Floats = NDArray[np.float64]
OUTPUT_STEPS = 32  # about the standard deviation of an activation whose range fills 8 bits
GAIN_SCALE = np.full(1, 1.0 / ONE)


def scale_of(constant: Constant) -> Floats:
    """Return a constant's scale per channel, or refuse a constant without one."""
    if constant.scale is None:
        raise TrainingError(
            f"constant {short_name(constant.name)} has no scale: epsilon cannot be expressed in its steps"
        )
    return constant.scale


def along_channels(constant: Constant, values: Floats) -> Floats:
    """Return one value a channel in a shape that goes with the constant's array."""
    shape = [1] * constant.data.ndim
    shape[constant.axis] = -1
    return values.reshape(shape)


def unit_of(program: Program, call: Call, role: str, config: TrainerConfig) -> float:
    """Return the size of one unit of a call's weights, bias or gain, in their own real numbers.

    gain: 1, it is a factor. Relative weights: the root mean square of the kernel. Relative biases: 32 steps
    of the output, or one nat where the output is the accumulators of a head. All else: 1.
    """
    if role == "gain" or not (config.relative or config.scope == "affine"):
        return 1.0
    if role == "bias":
        output = program.tensors[call.output]
        return 1.0 if output.dtype == "int32" else OUTPUT_STEPS * output.scale
    weights = program.constants[call.constants["weights"]]
    real = weights.data * along_channels(weights, scale_of(weights))
    size = float(np.sqrt(np.mean(np.square(real))))
    if not size > 0:
        raise TrainingError(
            f"all of {short_name(weights.name)} is zero: a step relative to its size cannot be taken"
        )
    return size
