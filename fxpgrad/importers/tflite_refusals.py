"""How the TFLite importer says no: one error that names the operator or tensor and what to do."""

from __future__ import annotations

from typing import NoReturn

from fxpgrad.errors import ModelFileError
from fxpgrad.importers.tflite_model import TfliteOperator, TfliteTensor

# file type -> dtype of the Graph; uint8 q becomes int8 q - 128
ACTIVATION_DTYPES = {"INT8": "int8", "UINT8": "int8", "INT16": "int16", "INT32": "int32", "INT64": "int64"}
ACTIVATIONS = {0: "none", 1: "relu", 2: "relu_n1_to_1", 3: "relu6"}
FLOATS = ("FLOAT32", "FLOAT16", "FLOAT64", "BFLOAT16")
FLOAT_ADVICE = (
    "only integer models can be imported: quantize it fully (full integer post-training quantization, "
    "inference_input_type int8), or export the float model to ONNX and let fxpgrad quantize it"
)


LONGEST_MESSAGE = 2000


class NeedsWholeShapesError(Exception):
    """The network cannot be cut into rows along axis 0: translate again with whole shapes."""


def refuse(operator: TfliteOperator | None, message: str) -> NoReturn:
    """Raise `ModelFileError` with the operator's number and name in front."""
    raise ModelFileError(shortened(f"{operator.label}: {message}" if operator else message))


def shortened(message: str) -> str:
    """Cut a message that quotes very long names."""
    return message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE]} ..."


def refuse_type(operator: TfliteOperator | None, tensor: TfliteTensor) -> NoReturn:
    """Refuse a tensor whose type has no place in a Program."""
    if tensor.type in FLOATS:
        refuse(operator, f"{label(tensor)} is {tensor.type.lower()}; {FLOAT_ADVICE}")
    supported = f"{', '.join(ACTIVATION_DTYPES)}, and INT4 weights"
    refuse(operator, f"{label(tensor)} has the type {tensor.type}; supported: {supported}")


def label(tensor: TfliteTensor) -> str:
    """Return how messages call a tensor."""
    return f"tensor {tensor.index} ({tensor.name[:200]})"


def activation_of(operator: TfliteOperator) -> str:
    """Return the Graph's name of the operator's fused activation, or refuse it."""
    code = option(operator, "fused_activation_function")
    if code not in ACTIVATIONS:
        refuse(operator, f"the fused activation {code} is not one of {', '.join(ACTIVATIONS.values())}")
    return ACTIVATIONS[code]


def option(operator: TfliteOperator, name: str) -> int:
    """Return an integer option."""
    value = operator.options[name]
    assert isinstance(value, int)
    return value
