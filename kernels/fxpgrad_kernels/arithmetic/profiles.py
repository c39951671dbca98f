"""Named rounding profiles (library and mode) and the arithmetic that each one means."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from enum import IntEnum

from fxpgrad_kernels.errors import UnknownProfileError


class Rounding(IntEnum):
    """The distinct requantization formulas; the integers are what kernels receive."""

    DOUBLE_AWAY = 0
    DOUBLE_UP = 1
    SINGLE = 2
    TOSA_DOUBLE = 3
    WIDE_16 = 4
    FLOAT32_EVEN = 5


class ShiftRounding(IntEnum):
    """What a right shift does with the bits that it drops; the integers are what kernels receive."""

    FLOOR = 0
    TRUNCATE = 1
    NEAREST_UP = 2
    NEAREST_AWAY = 3


@dataclass(frozen=True, slots=True)
class Limits:
    """The shifts (inclusive, positive is left) and the signed accumulator width that a formula takes."""

    shift_low: int
    shift_high: int
    exact_bits: int = 32


LIMITS: dict[Rounding, Limits] = {
    Rounding.DOUBLE_AWAY: Limits(-31, 30),
    Rounding.DOUBLE_UP: Limits(-31, 30),
    Rounding.SINGLE: Limits(-31, 30),
    Rounding.TOSA_DOUBLE: Limits(-31, 29),
    Rounding.WIDE_16: Limits(-31, 7, 48),
    Rounding.FLOAT32_EVEN: Limits(-31, 30),
}


PRODUCT_SUMS: frozenset[str] = frozenset(
    ("conv2d", "depthwise_conv2d", "fully_connected", "transpose_conv2d", "batch_matmul")
)


@dataclass(frozen=True, slots=True)
class Profile:
    """A named dialect: one runtime, with the formulas that it uses itself for its different operators.

    Attributes
    ----------
    name : str
        Library and mode.
    rounding : Rounding
        The operators in `PRODUCT_SUMS` with an accumulator of 32 bits, unless `exceptions` names them. The
        formulas stand in `contract.md`.
    element_rounding : Rounding
        Every other operator that requantizes: add, sub, mul, mean, sum, quantize, leaky_relu and the rest,
        unless `exceptions` names it.
    wide_rounding : Rounding or None
        Accumulators of 64 bits: int16 activations with an int64 bias, and batch_matmul of int16.
        None where the runtime has no such layers: lowering must refuse them.
    shift_low, shift_high : int
        The legal shifts of `rounding` and `element_rounding`, inclusive; positive is left.
    accumulator_bits : int
        Width of the type that holds an accumulator of `rounding`: 32 or 64.
    description : str
        Who computes this.
    exact_bits : int
        Signed width within which an accumulator of `rounding` must stay: 48 for WIDE_16, whose
        product would not fit 64 bits otherwise.
    exceptions : tuple of (operator of the Graph, Rounding)
        Operators for which the runtime takes another formula than its family's.
    unreproduced : tuple of (operator of the Graph, reason)
        Operators for which the profile's results are not known to be those of the runtime. A Program
        that holds one says so in its metadata, and the command line warns.
    """

    name: str
    rounding: Rounding
    element_rounding: Rounding
    wide_rounding: Rounding | None
    shift_low: int
    shift_high: int
    accumulator_bits: int
    description: str
    exact_bits: int = 32
    exceptions: tuple[tuple[str, Rounding], ...] = ()
    unreproduced: tuple[tuple[str, str], ...] = ()

    def rounding_of(self, operator: str) -> Rounding:
        """Return the formula that the runtime takes for an operator of the Graph (32-bit accumulators)."""
        usual = self.rounding if operator in PRODUCT_SUMS else self.element_rounding
        return dict(self.exceptions).get(operator, usual)

    def roundings(self) -> frozenset[Rounding]:
        """Return every formula that a Program under this profile may name."""
        wide = () if self.wide_rounding is None else (self.wide_rounding,)
        others = (rounding for _operator, rounding in self.exceptions)
        return frozenset((self.rounding, self.element_rounding, *wide, *others))

    def limits(self, rounding: Rounding) -> Limits:
        """Return the shifts and accumulators that a call with `rounding` may have under this profile."""
        own = LIMITS[Rounding(rounding)]
        if rounding not in (self.rounding, self.element_rounding):
            return own
        return Limits(self.shift_low, min(self.shift_high, own.shift_high), own.exact_bits)


def _profile(
    name: str,
    rounding: Rounding,
    element: Rounding,
    wide: Rounding | None,
    description: str,
    *,
    shift_high: int | None = None,
    exceptions: dict[str, Rounding] | None = None,
    unreproduced: dict[str, str] | None = None,
) -> Profile:
    own = LIMITS[rounding]
    return Profile(
        name=name,
        rounding=rounding,
        element_rounding=element,
        wide_rounding=wide,
        shift_low=own.shift_low,
        shift_high=own.shift_high if shift_high is None else shift_high,
        accumulator_bits=64 if own.exact_bits > 32 else 32,
        description=description,
        exact_bits=own.exact_bits,
        exceptions=tuple((exceptions or {}).items()),
        unreproduced=tuple((unreproduced or {}).items()),
    )


_AWAY, _UP, _ONCE = Rounding.DOUBLE_AWAY, Rounding.DOUBLE_UP, Rounding.SINGLE
_TOSA, _WIDE, _EVEN = Rounding.TOSA_DOUBLE, Rounding.WIDE_16, Rounding.FLOAT32_EVEN
_XNNPACK_OWN = {"mul": _EVEN, **dict.fromkeys(("add", "sub", "quantize", "leaky_relu"), _ONCE)}
_DECOMPOSED = dict.fromkeys(
    (
        *("softmax", "log_softmax", "l2_normalization", "resize_bilinear", "mean", "sum"),
        *("global_average_pool2d", "leaky_relu", "prelu", "abs", "squared_difference", "svdf"),
    ),
    "TOSA has no such operator: this is TFLite's arithmetic with TOSA's rounding",
)
_ALL = (
    _profile(
        "tflite_double",
        _AWAY,
        _AWAY,
        _WIDE,
        "TFLite-Micro, and LiteRT's reference kernels but for dense layers",
    ),
    _profile(
        "tflite_x86_optimized",
        _UP,
        _AWAY,
        _WIDE,
        "TFLite optimized kernels on x86",
        exceptions={"quantize": _UP, "batch_matmul": _AWAY},
    ),
    _profile("tflite_single", _ONCE, _ONCE, _WIDE, "TFLite built with single rounding"),
    _profile(
        "tosa_single",
        _ONCE,
        _ONCE,
        None,
        "TOSA RESCALE, SINGLE_ROUND, scale32",
        shift_high=29,
        unreproduced=_DECOMPOSED,
    ),
    _profile(
        "tosa_double", _TOSA, _TOSA, None, "TOSA RESCALE, DOUBLE_ROUND, scale32", unreproduced=_DECOMPOSED
    ),
    _profile("cmsis_default", _AWAY, _AWAY, _WIDE, "CMSIS-NN as built by default"),
    _profile(
        "cmsis_single",
        _ONCE,
        _ONCE,
        _WIDE,
        "CMSIS-NN with single rounding",
        unreproduced=dict.fromkeys(
            ("mean", "sum", "quantize", "leaky_relu", "prelu", "l2_normalization", "rsqrt", "abs"),
            "CMSIS-NN has no such kernel: this is TFLite-Micro's arithmetic with single rounding",
        ),
    ),
    _profile(
        "tflite_16x8", _WIDE, _WIDE, _WIDE, "64-bit accumulator and 16-bit multiplier in every operator"
    ),
    _profile(
        "xnnpack_float32",
        _EVEN,
        _AWAY,
        None,
        "LiteRT with XNNPACK: what XNNPACK does not take runs in LiteRT's own kernels",
        exceptions=_XNNPACK_OWN,
    ),
    _profile("onnx_float32", _EVEN, _EVEN, None, "ONNX Runtime on the CPU"),
)
PROFILES: dict[str, Profile] = {profile.name: profile for profile in _ALL}


def profile_named(name: str) -> Profile:
    """Return the profile called `name`, or raise `UnknownProfileError` with the list of names."""
    try:
        return PROFILES[name]
    except KeyError:
        near = difflib.get_close_matches(str(name), PROFILES, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        known = ", ".join(PROFILES)
        raise UnknownProfileError(f"profile must be one of {known}; got {name!r}{hint}") from None
