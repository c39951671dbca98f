"""Every intermediate of the definition at one element of an output, in plain Python integers.

Written anew from the contracts, apart from the references and from all kernels: `value` of the last step is
what the element must be, and a test holds it to the reference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fxpgrad.conformance.calls import Case
from fxpgrad_kernels.arithmetic.profiles import Rounding
from fxpgrad_kernels.spec import KernelSpec

Index = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One intermediate: its name and its value."""

    name: str
    value: int


Tracer = Callable[[Case, Index], list[Step]]
_LOW, _HIGH = -(2**31), 2**31 - 1


def trace(spec: KernelSpec, case: Case, index: Index) -> list[Step]:
    """Return the steps that lead to an element of the kernel's first output; empty where none are known."""
    own = {argument.name: case[argument.name] for argument in spec.arguments if argument.name in case}
    for start, tracer in TRACERS.items():
        if spec.name.startswith(start):
            return tracer(own, index)
    return []


def steps_at(spec: KernelSpec, case: Case, output: str, index: Index) -> list[Step]:
    """Return the steps at an element of an array by name; empty where none are known."""
    first = spec.of_role("output")[0].name if spec.of_role("output") else ""
    return trace(spec, case, index) if output and output == first else []


def is_traced(spec: KernelSpec) -> bool:
    """Whether `trace` knows the kernel."""
    return any(spec.name.startswith(start) for start in TRACERS)


def _saturated(value: int) -> int:
    return max(_LOW, min(_HIGH, value))


def _nearest_up(value: int, power: int) -> int:
    """Return value / 2**power to nearest, ties up."""
    return (value + (1 << power >> 1)) >> power


def _nearest_even(value: int, power: int) -> int:
    if power <= 0:
        return value << -power
    half, rest = 1 << (power - 1), value & ((1 << power) - 1)
    quotient = value >> power
    return quotient + 1 if rest > half or (rest == half and quotient & 1) else quotient


def _float32(value: int) -> int:
    """Return the integer rounded to 24 significant bits, ties to even."""
    dropped = max(abs(value).bit_length() - 24, 0)
    return _nearest_even(value, dropped) << dropped


def requantized(accumulator: int, multiplier: int, shift: int, rounding: int, prefix: str = "") -> list[Step]:
    """Return the steps of a requantization; the last is the rounded value before any zero point."""
    steps = [Step(f"{prefix}multiplier", multiplier), Step(f"{prefix}shift", shift)]
    if rounding == Rounding.WIDE_16:
        reduced = min((multiplier + 2**15) >> 16, 2**15 - 1)
        steps.append(Step(f"{prefix}multiplier of 16 bits", reduced))
        value = _saturated(_nearest_up(accumulator * reduced, 15 - shift))
        return [*steps, Step(f"{prefix}rounded", value)]
    x = _saturated(accumulator)
    if x != accumulator:
        steps.append(Step(f"{prefix}accumulator saturated to int32", x))
    if rounding == Rounding.FLOAT32_EVEN:
        mantissa = _nearest_even(multiplier, 7)
        product = _float32(_float32(x) * mantissa)
        steps.append(Step(f"{prefix}product of 24 significant bits, times 2^{24 - shift}", product))
        value = _saturated(_nearest_even(product, 24 - shift))
    elif rounding in {Rounding.SINGLE, Rounding.TOSA_DOUBLE}:
        product, power = x * multiplier, 31 - shift
        steps.append(Step(f"{prefix}product, times 2^{power}", product))
        away = 2**30 if rounding == Rounding.TOSA_DOUBLE and shift < 0 else 0
        value = _saturated((product + 2 ** (power - 1) + (away if x >= 0 else -away)) >> power)
    else:
        high = _nearest_up(_saturated(x << max(shift, 0)) * multiplier, 31)
        steps.append(Step(f"{prefix}high half of the doubled product", high))
        right = max(-shift, 0)
        if rounding == Rounding.DOUBLE_AWAY and high < 0:
            value = -_nearest_up(-high, right)
        else:
            value = _nearest_up(high, right)
    return [*steps, Step(f"{prefix}rounded", value)]


def _finished(steps: list[Step], case: Case) -> list[Step]:
    """Add the output's zero point and the clamps."""
    value = steps[-1].value
    if "output_zero_point" in case:
        value += int(case["output_zero_point"])
        steps.append(Step("with the output's zero point", value))
    if "clamp_low" in case:
        value = max(int(case["clamp_low"]), min(int(case["clamp_high"]), value))
        steps.append(Step(f"clamped to [{case['clamp_low']}, {case['clamp_high']}]", value))
    return steps


@dataclass(slots=True)
class _Sum:
    """What one output of a layer is summed from: the input's elements, and the weights that meet them."""

    products: int = 0
    weights: int = 0
    taken: int = 0

    def add(self, x: int, w: int) -> None:
        self.products += x * w
        self.weights += w
        self.taken += 1


def _layer(case: Case, channel: int, total: _Sum, taps: int) -> list[Step]:
    zero_point, bias = int(case.get("input_zero_point", 0)), int(case["bias"][channel])
    accumulator = bias + total.products - zero_point * total.weights
    steps = [Step("products summed", total.taken), Step("products left out: padding", taps - total.taken)]
    steps += [Step("bias", bias), Step("sum of input * weight", total.products)]
    if "input_zero_point" in case:
        steps.append(Step("zero point part: -zero point * sum of weights", -zero_point * total.weights))
    steps.append(Step("accumulator", accumulator))
    if "multiplier" not in case:
        return [*steps, Step("saturated to int32", _saturated(accumulator))]
    pair = int(case["multiplier"][channel]), int(case["shift"][channel])
    return _finished(steps + requantized(accumulator, *pair, int(case["rounding"])), case)


def _conv2d(case: Case, index: Index) -> list[Step]:
    b, oh, ow, o = index
    image, weights = case["input"], case["weights"]
    _, height, width, _ = image.shape
    outputs, kernel_h, kernel_w, depth = weights.shape
    first = o // (outputs // int(case["groups"])) * depth
    total = _Sum()
    for ky in range(kernel_h):
        for kx in range(kernel_w):
            y, x = _tap(case, oh, ow, ky, kx)
            if 0 <= y < height and 0 <= x < width:
                for c in range(depth):
                    total.add(int(image[b, y, x, first + c]), int(weights[o, ky, kx, c]))
    return _layer(case, o, total, kernel_h * kernel_w * depth)


def _depthwise(case: Case, index: Index) -> list[Step]:
    b, oh, ow, o = index
    image, weights = case["input"], case["weights"]
    _, height, width, channels = image.shape
    _, kernel_h, kernel_w, outputs = weights.shape
    total = _Sum()
    for ky in range(kernel_h):
        for kx in range(kernel_w):
            y, x = _tap(case, oh, ow, ky, kx)
            if 0 <= y < height and 0 <= x < width:
                total.add(int(image[b, y, x, o * channels // outputs]), int(weights[0, ky, kx, o]))
    return _layer(case, o, total, kernel_h * kernel_w)


def _tap(case: Case, oh: int, ow: int, ky: int, kx: int) -> tuple[int, int]:
    y = oh * int(case["stride_h"]) - int(case["pad_top"]) + ky * int(case["dilation_h"])
    x = ow * int(case["stride_w"]) - int(case["pad_left"]) + kx * int(case["dilation_w"])
    return y, x


def _dense(case: Case, index: Index) -> list[Step]:
    b, o = index
    total = _Sum()
    for x, w in zip(case["input"][b].tolist(), case["weights"][o].tolist(), strict=True):
        total.add(x, w)
    return _layer(case, o, total, total.taken)


def _transposed(case: Case, index: Index) -> list[Step]:
    """Gather what the input's pixels scatter onto one output."""
    b, oh, ow, o = index
    image, weights = case["input"], case["weights"]
    _, height, width, channels = image.shape
    _, kernel_h, kernel_w, _ = weights.shape
    total = _Sum()
    for ky in range(kernel_h):
        for kx in range(kernel_w):
            y, off_y = divmod(oh + int(case["pad_top"]) - ky, int(case["stride_h"]))
            x, off_x = divmod(ow + int(case["pad_left"]) - kx, int(case["stride_w"]))
            if off_y or off_x or not (0 <= y < height and 0 <= x < width):
                continue
            for c in range(channels):
                total.add(int(image[b, y, x, c]), int(weights[o, ky, kx, c]))
    return _layer(case, o, total, kernel_h * kernel_w * channels)


def _operands(case: Case, index: Index) -> list[int]:
    return [int(case[f"input_{name}"][index]) - int(case.get(f"input_{name}_zero_point", 0)) for name in "ab"]


def _pair(case: Case, place: int) -> tuple[int, int]:
    return int(case["multiplier"][place]), int(case["shift"][place])


def _scaled(case: Case, index: Index) -> list[Step]:
    """Return the steps that bring both operands to one scale; the last two are the operands there."""
    rounding = int(case.get("operand_rounding", case["rounding"]))
    steps, scaled = [], []
    for place, (name, value) in enumerate(zip("ab", _operands(case, index), strict=True)):
        steps.append(Step(f"{name} without its zero point", value))
        lifted = value << int(case["left_shift"])
        steps += requantized(lifted, *_pair(case, place), rounding, prefix=f"{name}: ")
        scaled.append(steps[-1].value)
    return [*steps, *(Step(f"{name} in the common scale", v) for name, v in zip("ab", scaled, strict=True))]


def _linear(sign: int) -> Tracer:
    def tracer(case: Case, index: Index) -> list[Step]:
        steps = _scaled(case, index)
        total = steps[-2].value + sign * steps[-1].value
        steps.append(Step("sum" if sign > 0 else "difference", total))
        return _finished(steps + requantized(total, *_pair(case, 2), int(case["rounding"])), case)

    return tracer


def _squared(case: Case, index: Index) -> list[Step]:
    steps = _scaled(case, index)
    square = min((steps[-2].value - steps[-1].value) ** 2, _HIGH)
    steps.append(Step("square of the difference", square))
    steps = _finished(steps + requantized(square, *_pair(case, 2), int(case["rounding"])), case)
    return [*steps, _to_type(case, "input_a", steps[-1].value)]


def _product(case: Case, index: Index) -> list[Step]:
    a, b = _operands(case, index)
    steps = [Step("a without its zero point", a), Step("b without its zero point", b), Step("product", a * b)]
    return _finished(steps + requantized(a * b, *_pair(case, 0), int(case["rounding"])), case)


def _to_type(case: Case, name: str, value: int) -> Step:
    top = 1 << (8 * case[name].dtype.itemsize - 1)
    return Step("saturated to the output's type", max(-top, min(top - 1, value)))


def _window(case: Case, index: Index) -> list[int]:
    b, oh, ow, c = index
    image = case["input"]
    _, height, width, _ = image.shape
    rows = [oh * int(case["stride_h"]) - int(case["pad_top"]) + dy for dy in range(int(case["size_h"]))]
    columns = [ow * int(case["stride_w"]) - int(case["pad_left"]) + dx for dx in range(int(case["size_w"]))]
    return [int(image[b, y, x, c]) for y in rows for x in columns if 0 <= y < height and 0 <= x < width]


def _maximum(case: Case, index: Index) -> list[Step]:
    values = _window(case, index)
    return _finished([Step("values in the window", len(values)), Step("greatest", max(values))], case)


def _average(case: Case, index: Index) -> list[Step]:
    values = _window(case, index)
    count, total = len(values), sum(values)
    mean = (2 * abs(total) + count) // (2 * count)
    steps = [Step("values in the window", count), Step("sum", total)]
    return _finished([*steps, Step("mean, ties away from zero", mean if total >= 0 else -mean)], case)


def _average_tosa(case: Case, index: Index) -> list[Step]:
    values = _window(case, index)
    count = len(values)
    total = sum(values) - count * int(case["input_zero_point"])
    power = 30 + (count - 1).bit_length()
    multiplier = (2**30 + 1) * 2 ** (power - 30) // count
    steps = [Step("values in the window", count), Step("sum without the zero point", total)]
    steps += [Step("multiplier", multiplier), Step("right shift", power)]
    return _finished([*steps, Step("rounded", _nearest_up(total * multiplier, power))], case)


def _requantize(case: Case, index: Index) -> list[Step]:
    (n,) = index
    x = int(case["accumulator"][n])
    pair = int(case["multiplier"][n]), int(case["shift"][n])
    return [Step("accumulator", x), *requantized(x, *pair, int(case["rounding"]))]


TRACERS: dict[str, Tracer] = {
    "conv2d_a": _conv2d,
    "depthwise_conv2d_a": _depthwise,
    "fully_connected_a": _dense,  # also fully_connected_accumulate
    "transpose_conv2d_a": _transposed,
    "add_a": _linear(1),
    "add_mixed_a": _linear(1),
    "sub_a": _linear(-1),
    "mul_a": _product,
    "squared_difference_a": _squared,
    "max_pool2d_a": _maximum,
    "average_pool2d_a": _average,
    "average_pool2d_tosa_a": _average_tosa,
    "requantize_a": _requantize,
}
