"""Names of layers for people."""

from __future__ import annotations

import pytest

from fxpgrad.program.layer_names import short_name


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("conv", "conv"),
        ("net/conv/Conv2D", "net/conv/Conv2D"),
        ("net/relu;net/bias;net/conv", "net/conv"),
        ("net/relu;net/bias;net/conv/weights", "net/conv/weights"),
        ("net/relu;net/conv;", "net/conv"),
        ("net/relu;net/conv;/weights", "net/conv/weights"),
        ("net/relu;net/conv;;/2", "net/conv/2"),
        ("net/relu;net/conv/2", "net/conv/2"),
        ("", ""),
        (";", ""),
    ],
)
def test_of_names_that_a_converter_joined_the_last_is_taken(name, short):
    assert short_name(name) == short
