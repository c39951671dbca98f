"""How each runtime turns scales into integers: the host side of a rounding profile.

`fxpgrad_kernels.arithmetic.profiles` says what the device computes; here stands how the real multiplier of
each operator is formed (in double or in float32, and in which order) and how it becomes a pair. Both are
part of what the named runtime does, and either can move an output by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fxpgrad.program.multiplier import Formation, Rule
from fxpgrad_kernels.arithmetic.profiles import Profile, profile_named


@dataclass(frozen=True, slots=True)
class Dialect:
    """A runtime's own way from scales to pairs.

    Attributes
    ----------
    rule : {"double", "float32", "tosa"}
        How a real multiplier becomes (multiplier, shift), see `derive_multiplier`.
    formation : {"double", "float32", "float32_product"}
        How the real multiplier is formed, unless `formations` says otherwise.
    formations : mapping
        By operator of the Graph; a name with "/per_tensor" counts for weights of one scale only.
    pointwise_float32 : bool
        Whether add, mul and the functions of one value compute in float32 on real values (ONNX Runtime):
        they become tables.
    """

    rule: Rule = "double"
    formation: Formation = "double"
    formations: Mapping[str, Formation] = field(default_factory=dict)
    pointwise_float32: bool = False

    def formation_of(self, op: str, *, per_tensor: bool = False) -> Formation:
        """Return how the real multiplier of an operator is formed."""
        if per_tensor and f"{op}/per_tensor" in self.formations:
            return self.formations[f"{op}/per_tensor"]
        return self.formations.get(op, self.formation)


_TFLITE_MICRO = Dialect()  # all in double: tests/golden/tflm_formation.npz
_LITERT = Dialect(
    formations={
        "fully_connected/per_tensor": "float32_product",
        **dict.fromkeys(("mul", "leaky_relu", "activation", "abs", "prelu"), "float32"),
    }
)
_TOSA = Dialect(rule="tosa")
_FLOAT32 = Dialect(rule="float32", formation="float32")

DIALECTS: dict[str, Dialect] = {
    "tflite_double": _TFLITE_MICRO,
    "tflite_x86_optimized": _LITERT,
    "tflite_single": _TFLITE_MICRO,
    "tosa_single": _TOSA,
    "tosa_double": _TOSA,
    "cmsis_default": _TFLITE_MICRO,
    "cmsis_single": _TFLITE_MICRO,
    "tflite_16x8": _TFLITE_MICRO,
    "xnnpack_float32": _FLOAT32,
    "onnx_float32": Dialect(rule="float32", formation="float32", pointwise_float32=True),
}


def dialect_named(name: str) -> tuple[Profile, Dialect]:
    """Return the device's profile and the host's dialect of that name, or raise `UnknownProfileError`."""
    profile = profile_named(name)
    return profile, DIALECTS[name]
