"""From a float Graph and data to a quantized Graph; import from here."""

from fxpgrad.quantize.affine import asymmetric_int8, dequantize_array, quantize_array
from fxpgrad.quantize.calibrate import calibrate
from fxpgrad.quantize.fold import fold_batch_norm
from fxpgrad.quantize.quantize_graph import dequantized_float_graph, quantize, quantize_graph

__all__ = [
    "asymmetric_int8",
    "calibrate",
    "dequantize_array",
    "dequantized_float_graph",
    "fold_batch_norm",
    "quantize",
    "quantize_array",
    "quantize_graph",
]
