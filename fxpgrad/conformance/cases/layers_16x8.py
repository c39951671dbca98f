"""Cases of layers of int16 activations and int8 weights: plain, depthwise, dense and transposed."""

from __future__ import annotations

from fxpgrad.conformance.cases.draws import Draws
from fxpgrad.conformance.cases.numbers import Case, clamp_bounds, integers, requantization
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.spec import KernelSpec


def geometry(rng: Draws, name: str) -> dict[str, int]:
    """Return strides, padding and, where the layer has them, dilations and groups."""
    found = {key: int(rng.choice([1, 1, 2, 3])) for key in ("stride_h", "stride_w")}
    found |= {key: int(rng.choice([0, 1, 2, 5])) for key in ("pad_top", "pad_left")}
    if not name.startswith("transpose"):
        found |= {key: int(rng.choice([1, 1, 2, 3])) for key in ("dilation_h", "dilation_w")}
    if name.startswith("conv2d"):
        found["groups"] = int(rng.choice([1, 1, 2, 3]))
    return found


def layer_16x8_case(name: str, rng: Draws, profile: Profile) -> Case:
    """Return legal arguments: any padding, depths beyond one int32 block, biases beyond int32."""
    batch, height, width, channels = (int(n) for n in rng.integers((1, 1, 1, 1), (3, 6, 6, 5)))
    kh, kw, factor = (int(n) for n in rng.integers(1, 4, 3))
    size = tuple(int(n) for n in rng.integers(1, 5, 2))
    if name.startswith("fully_connected"):
        depth = int(rng.choice([1, 7, 30, 510, 511, 512, 1100]))
        case: Case = {
            "input": integers(rng, (batch, depth), "int16"),
            "weights": integers(rng, (factor, depth), "int8"),
            "output_shape": (batch, factor),
            "input_zero_point": int(rng.choice([0, 0, -(2**15), 77, 2**15 - 1])),
            "output_zero_point": int(rng.choice([0, 0, -(2**15), -5, 2**15 - 1])),
        }
        outputs = factor
    else:
        places = geometry(rng, name)
        groups = places.get("groups", 1)
        outputs = channels * groups * factor if name.startswith("depthwise") else groups * factor
        shape = (outputs, kh, kw, channels)
        if name.startswith("depthwise"):
            shape = (1, kh, kw, outputs)
        case = {
            "input": integers(rng, (batch, height, width, channels * groups), "int16"),
            "weights": integers(rng, shape, "int8"),
            **places,
            "output_size": size,
            "output_shape": (batch, *size, outputs),
        }
    reach = int(rng.choice([2**46, 1, 3000, 2**24, 2**33]))
    case["bias"] = rng.integers(-reach, reach + 1, outputs)
    pairs = requantization(rng, profile, outputs, 2.0**24, 20000.0)
    return {**case, **pairs, **clamp_bounds(rng, 16), "rounding": int(profile.rounding)}


def any_layer_16x8(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return a case of one of the layers."""
    return layer_16x8_case(spec.name, rng, profile)
