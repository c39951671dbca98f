"""The tape: the same calls, from numbers in one array."""

from __future__ import annotations

import numpy as np
import pytest

from fxpgrad_kernels.registry import kernel_named
from fxpgrad_kernels.spec import aligned_zeros
from fxpgrad_kernels.tape import Tape

POOL = kernel_named("max_pool2d_a8")
DRAW = kernel_named("draw_directions")


def pool_values(x: np.ndarray, output: np.ndarray) -> dict[str, object]:
    sizes = {"size_h": 2, "size_w": 1, "stride_h": 2, "stride_w": 1, "pad_top": 0, "pad_left": 0}
    return {"input": x, "output": output, **sizes, "clamp_low": -128, "clamp_high": 127}


def draws(z: np.ndarray) -> dict[str, object]:
    table = np.zeros(1, np.int16)
    seeds = {"seed": 7, "step": 0, "direction": 1, "tensor": 2, "first_index": 5}
    return {"table": table, "z": z, **seeds, "distribution": 1}


def test_calls_run_in_order_and_equal_direct_ones() -> None:
    x = np.random.default_rng(0).integers(-128, 128, (2, 8, 3, 5)).astype(np.int8)
    middle, last = np.zeros((2, 4, 3, 5), np.int8), np.zeros((2, 2, 3, 5), np.int8)
    tape = Tape()
    tape.add(POOL.function, POOL.arguments, pool_values(x, middle))
    tape.add(POOL.function, POOL.arguments, pool_values(middle, last))
    assert len(tape) == 2
    tape.run()
    np.testing.assert_array_equal(middle, x.reshape(2, 4, 2, 3, 5).max(2))
    np.testing.assert_array_equal(last, x.reshape(2, 2, 4, 3, 5).max(2))
    middle[:] = 3
    tape.run_one(1)
    assert (last == 3).all()


def test_words_may_be_rewritten_between_runs() -> None:
    z, direct = np.zeros(50, np.int8), np.zeros(50, np.int8)
    tape = Tape()
    places = tape.add(DRAW.function, DRAW.arguments, draws(z))
    for step in (3, 4):
        tape.words[places["step"]] = step
        tape.run()
        DRAW.function(*({**draws(direct), "step": step}[a.name] for a in DRAW.arguments))
        np.testing.assert_array_equal(z, direct)


def test_what_a_kernel_returns_lands_behind_its_words() -> None:
    spec = kernel_named("cross_entropy_linear")
    values = {a.name: a.example() for a in spec.arguments}
    tape = Tape()
    places = tape.add(spec.function, spec.arguments, values)
    tape.words[places["result"]] = -5
    tape.run()
    assert tape.words[places["result"]] == spec.function(*(values[a.name] for a in spec.arguments))


def test_arrays_of_another_type_or_order_are_refused() -> None:
    x, output = np.zeros((1, 2, 2, 2), np.int8), np.zeros((1, 1, 2, 2), np.int8)
    for wrong in (x.astype(np.int16), x[0], np.zeros((1, 2, 2, 4), np.int8)[..., ::2]):
        with pytest.raises(TypeError, match="input must be int8 with 4 axes, C-contiguous"):
            Tape().add(POOL.function, POOL.arguments, pool_values(wrong, output))


def test_aligned_zeros_start_on_a_cache_line() -> None:
    for elements, dtype in ((1, "int8"), (77, "int16"), (3, "int64")):
        array = aligned_zeros(elements, dtype)
        assert array.ctypes.data % 64 == 0
        assert array.dtype == dtype
        assert not array.any()
        assert array.shape == (elements,)
