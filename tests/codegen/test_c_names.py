"""Identifiers: legal whatever a model file calls its tensors, unique, and to be recognized."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxpgrad.codegen.c_names import prefix_of, unique_names
from fxpgrad.codegen.c_text import literal, remark, string

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
TEXTS = st.text(max_size=80)


@given(names=st.lists(TEXTS, unique=True, max_size=12))
def test_names_are_identifiers_that_differ_in_more_than_case(names: list[str]) -> None:
    chosen = unique_names(names, "t_")
    assert list(chosen) == names
    assert all(IDENTIFIER.fullmatch(name) and name.startswith("t_") for name in chosen.values())
    assert len({name.lower() for name in chosen.values()}) == len(names)


@given(name=TEXTS)
def test_prefixes_are_identifiers_of_nobody_else(name: str) -> None:
    prefix = prefix_of(name)
    assert IDENTIFIER.fullmatch(prefix)
    assert prefix[0] != "_"
    assert not prefix.lower().startswith("fxp")
    assert prefix.lower() not in ("selftest", "host_main", "infer", "train", "kernels")


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("kws_ref_model", "kws_ref_model"),
        ("mobilenet v2 (1.0)", "mobilenet_v2_1_0"),
        ("3d", "model_3d"),
        ("infer", "infer_model"),
        ("", "model"),
        ("fxp_net", "model_fxp_net"),
        ("t", "model_t"),  # t_input would be a function and a tensor
        ("p_net", "model_p_net"),
        ("golden", "model_golden"),  # golden_input is an array of selftest.c
        ("stdint", "stdint_model"),  # a header of its own that <stdint.h> might find
        ("conv2d", "conv2d_model"),  # kernels/conv2d.c
        ("net_constants", "net_constants_model"),  # the header of the model net
        ("tiny", "tiny"),
    ],
)
def test_prefixes_keep_what_they_can(name: str, prefix: str) -> None:
    assert prefix_of(name) == prefix


def test_long_names_keep_what_tells_layers_apart():
    converted = "net/relu/Relu;net/bn/FusedBatchNormV3;net/block_7/conv2d_4/Conv2D1/weights"
    assert unique_names([converted], "c_")[converted] == "c_net_block_7_conv2d_4_Conv2D1_weights"
    layer = "functional_1/depthwise_conv2d_3/BiasAdd/ReadVariableOp/resource1"
    names = unique_names([layer, f"{layer}/bias", f"{layer}/multiplier"], "c_")
    kept = "c_depthwise_conv2d_3_BiasAdd_ReadVariableOp_resource1"
    assert list(names.values()) == [kept, f"{kept}_bias", f"{kept}_multiplier"]
    assert len(unique_names(["x" * 500])["x" * 500]) < 70


def test_equal_letters_are_numbered():
    names = ["a/b", "a.b", "A_B", "a b"]
    assert list(unique_names(names).values()) == ["a_b", "a_b_2", "A_B_3", "a_b_4"]


@given(text=TEXTS)
def test_nothing_ends_a_comment_or_a_string(text: str) -> None:
    assert "*/" not in remark(text)
    assert remark(text).isascii()
    inside = string(text)[1:-1]
    assert '"' not in inside
    assert "\\" not in inside


def test_lowest_values_have_a_literal():
    assert [literal(value) for value in (-(2**31), -(2**63), -128, 0)] == [
        "INT32_MIN",
        "INT64_MIN",
        "-128",
        "0",
    ]
