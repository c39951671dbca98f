"""exp and ln: the tables are made again, the error against exact arithmetic is bounded."""

from __future__ import annotations

import ctypes
import re
import shutil
from decimal import Decimal, getcontext
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxpgrad.codegen.host_compiler import build_shared
from fxpgrad.codegen.ports import port_files
from fxpgrad_kernels.loss import exp_ln
from fxpgrad_kernels.loss import exp_ln_tables as tables
from fxpgrad_kernels.loss.cross_entropy_ref import exp_negative_ref, ln_ref
from tests.kernels.callable_form import callable_form

exp_negative_q40 = callable_form(exp_ln.exp_negative_q40)
floor_log2 = callable_form(exp_ln.floor_log2)
ln_q32 = callable_form(exp_ln.ln_q32)

getcontext().prec = 60
ONE = 2**24
COARSE = [a << 18 for a in range(65)]
FINE = [b << 12 for b in range(65)]
edges = st.sampled_from(sorted({0, *COARSE, *FINE, 28 * ONE, 29 * ONE, 2**37}))
near_edges = st.builds(lambda edge, offset: max(0, edge + offset), edges, st.integers(-2, 2))
exponents = st.one_of(st.integers(0, 30 * ONE), near_edges, st.integers(0, 2**37))
arguments = st.one_of(
    st.integers(2**40, 2**51),
    st.builds(lambda k, o: max(2**40, (1 << k) + o), st.integers(40, 61), st.integers(-3, 3)),
    st.builds(
        lambda a, k, o: max(2**40, ((64 + a) << k) + o),
        st.integers(0, 64),
        st.integers(34, 55),
        st.integers(-3, 3),
    ),
)


def to_fixed(value: Decimal, bits: int) -> int:
    return int((value * 2**bits).to_integral_value(rounding="ROUND_HALF_EVEN"))


def test_tables_are_made_again():
    assert tuple(to_fixed((-Decimal(a) / 64).exp(), 31) for a in range(64)) == tables.EXP_COARSE
    assert tuple(to_fixed((-Decimal(a) / 4096).exp(), 31) for a in range(64)) == tables.EXP_FINE
    for i, (mantissa, shift) in enumerate(zip(tables.EXP_WHOLE, tables.EXP_WHOLE_SHIFT, strict=True)):
        assert to_fixed((-Decimal(i)).exp() * 2**shift, 31) == mantissa
        assert 2**30 < mantissa <= 2**31
    assert tuple(-(-(2**37) // (64 + a)) for a in range(64)) == tables.LN_RECIPROCAL
    assert tuple(to_fixed(-(Decimal(r) / 2**31).ln(), 32) for r in tables.LN_RECIPROCAL) == tables.LN_OFFSET
    assert to_fixed(Decimal(2).ln(), 32) == tables.LN_2


@pytest.mark.parametrize(
    "name", ["EXP_COARSE", "EXP_FINE", "EXP_WHOLE", "EXP_WHOLE_SHIFT", "LN_RECIPROCAL", "LN_OFFSET", "LN_2"]
)
def test_tables_of_the_c_port_are_the_same(name):
    text = port_files()["cross_entropy_linear"].with_name("fxp_exp_ln.c").read_text()
    (body,) = re.findall(rf"static const \w+ {name}(?:\[\d+\])? = ([^;]*);", text)
    numbers = tuple(int(number) for number in re.findall(r"\d+", body))
    table = getattr(tables, name)
    assert numbers == (table if isinstance(table, tuple) else (table,))


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """Return the C functions that all losses call."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    source = port_files()["cross_entropy_linear"].with_name("fxp_exp_ln.c")
    path = build_shared(tmp_path_factory.mktemp("exp_ln") / "exp_ln.so", [source], compiler="gcc")
    library = ctypes.CDLL(str(path))
    for function in (library.fxp_exp_negative_q40, library.fxp_ln_q32):
        function.argtypes, function.restype = [ctypes.c_int64], ctypes.c_int64
    return library


@given(x=exponents, value=arguments)
def test_exp_and_ln_of_the_c_port_equal_definition(port, x, value):
    assert port.fxp_exp_negative_q40(x) == exp_negative_ref(x)
    assert port.fxp_ln_q32(value) == ln_ref(value)


@given(exponents)
def test_exp_equals_definition(x):
    assert exp_negative_q40(np.int64(x)) == exp_negative_ref(x)


@given(arguments)
def test_ln_equals_definition(value):
    assert ln_q32(np.int64(value)) == ln_ref(value)


@given(exponents)
def test_exp_error_is_within_the_bound(x):
    exact = (-Decimal(x) / ONE).exp() * 2**40
    assert abs(exp_negative_ref(x) - exact) <= exact * Decimal("3.1e-9") + Decimal("0.51")


@given(arguments)
def test_ln_error_is_within_the_bound(value):
    exact = (Decimal(value) / 2**40).ln()
    exponent = value.bit_length() - 41
    bound = Decimal("1.2e-9") + (exponent + 1) * Decimal(2) ** -33
    assert abs(Decimal(ln_ref(value)) / 2**32 - exact) <= bound


def test_exact_values():
    assert exp_negative_ref(0) == 2**40
    assert exp_negative_ref(29 * ONE) == 0
    assert ln_ref(2**40) == 0
    assert all(ln_ref(2 ** (40 + k)) == k * tables.LN_2 for k in range(22))


def test_exp_is_monotone_across_every_edge_and_inside():
    xs = sorted({max(0, e * 4096 + o) for e in range(4096 * 3) for o in (-1, 0, 1)} | set(range(10_000)))
    values = [exp_negative_q40(np.int64(x)) for x in xs]
    # neighbours may fall by no more than the rounding of Q31: 2**10 units of Q40
    assert all(a + 2**10 >= b for a, b in pairwise(values))
    assert all(a > b for a, b in pairwise(values[:: 3 * 64]))


def test_ln_is_monotone_to_one_unit_of_q24():
    starts = {(64 + a) << k for a in range(64) for k in (34, 39, 44)}
    values = sorted({max(2**40, s + o * (s >> 31)) for s in starts for o in range(-40, 41)})
    rounded = [(ln_q32(np.int64(v)) + 128) >> 8 for v in values]
    assert all(a <= b + 1 for a, b in pairwise(rounded))


@given(st.integers(1, 2**63 - 1))
def test_floor_log2_equals_bit_length(value):
    assert floor_log2(np.int64(value)) == value.bit_length() - 1


@pytest.mark.parametrize("power", range(63))
def test_floor_log2_at_powers_of_two(power):
    assert floor_log2(np.int64(1 << power)) == power
    assert floor_log2(np.int64(2 * (1 << power) - 1)) == power
