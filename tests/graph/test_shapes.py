"""Output shapes: the SAME rule, windows, and refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxpgrad.errors import GraphError
from fxpgrad.graph.operators.table import output_shape
from fxpgrad.graph.operators.windows import same_padding

SMALL = st.integers(1, 9)
CONV = {"stride": (1, 1), "padding": (0, 0, 0, 0), "dilation": (1, 1), "groups": 1, "activation": "none"}
POOL = {"size": (2, 2), "stride": (1, 1), "padding": (0, 0, 0, 0), "activation": "none"}


@given(SMALL, SMALL, SMALL, st.integers(1, 3))
def test_same_padding_gives_input_over_stride_rounded_up(
    extent: int, kernel: int, stride: int, gap: int
) -> None:
    pads = same_padding((extent, extent), (kernel, kernel), (stride, stride), (gap, gap))
    attributes = {**CONV, "stride": (stride, stride), "padding": pads, "dilation": (gap, gap)}
    constants = {"weights": (2, kernel, kernel, 1), "bias": (2,)}
    shape = output_shape("conv2d", [(extent, extent, 1)], constants, attributes)
    assert shape == (-(-extent // stride), -(-extent // stride), 2)
    assert 0 <= pads[1] - pads[0] <= 1


@given(SMALL, SMALL, SMALL, SMALL, SMALL)
def test_pool_shape_is_legal_exactly_if_every_window_holds_a_valid_pixel(
    extent: int, size: int, stride: int, before: int, after: int
) -> None:
    attributes = {**POOL, "size": (size, 1), "stride": (stride, 1), "padding": (before, after, 0, 0)}
    starts = range(-before, extent + after - size + 1, stride)
    legal = len(starts) > 0 and all(any(0 <= start + i < extent for i in range(size)) for start in starts)
    if legal:
        assert output_shape("max_pool2d", [(extent, 1, 3)], {}, attributes) == (len(starts), 1, 3)
    else:
        with pytest.raises(GraphError, match=r"padding|does not fit"):
            output_shape("max_pool2d", [(extent, 1, 3)], {}, attributes)


@pytest.mark.parametrize(
    ("op", "inputs", "constants", "attributes", "message"),
    [
        ("conv2d", [(4, 4)], {"weights": (1, 1, 1, 1), "bias": (1,)}, CONV, "height, width, channels"),
        ("conv2d", [(4, 4, 2)], {"weights": (1, 1, 1, 1), "bias": (1,)}, CONV, "2 channels"),
        ("conv2d", [(4, 4, 1)], {"weights": (1, 1, 1), "bias": (1,)}, CONV, "OHWI"),
        ("conv2d", [(4, 4, 1)], {"weights": (2, 1, 1, 1), "bias": (1,)}, CONV, r"bias must be \[2\]"),
        ("conv2d", [(4, 4, 1)], {"weights": (1, 5, 1, 1), "bias": (1,)}, CONV, "does not fit"),
        ("conv2d", [(4, 4, 2)], {"weights": (3, 1, 1, 1), "bias": (3,)}, {**CONV, "groups": 2}, "2 groups"),
        ("depthwise_conv2d", [(4, 4, 1)], {"weights": (2, 1, 1, 1), "bias": (1,)}, CONV, "1HWC"),
        ("depthwise_conv2d", [(4, 4, 2)], {"weights": (1, 1, 1, 3), "bias": (3,)}, CONV, "multiple"),
        ("fully_connected", [(4, 4, 2)], {"weights": (3, 32), "bias": (3,)}, {}, "reshape it first"),
        ("fully_connected", [(4,)], {"weights": (3, 5), "bias": (3,)}, {}, "5 features"),
        ("fully_connected", [(4,)], {"weights": (3, 5, 1), "bias": (3,)}, {}, r"\[out, in\]"),
        (
            "batch_norm",
            [(4, 2)],
            dict.fromkeys(("gamma", "beta", "mean", "variance"), (4,)),
            {},
            "gamma must be",
        ),
        ("add", [(4,), (5,)], {}, {}, "one shape"),
        ("add", [(4,)], {}, {}, "takes 2"),
        ("reshape", [(4, 3)], {}, {}, "needs the shape"),
        ("concat", [(4, 3), (4, 2)], {}, {"axis": 0}, "along axis 0 only"),
        ("concat", [(4, 3), (4,)], {}, {"axis": 0}, "along axis 0 only"),
        ("concat", [(4, 3)], {}, {"axis": 2}, "axis must be below 2"),
        ("concat", [], {}, {"axis": 2}, "at least one"),
        ("global_average_pool2d", [(3,)], {}, {}, "height, width, channels"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(op, inputs, constants, attributes, message) -> None:
    with pytest.raises(GraphError, match=message):
        output_shape(op, inputs, constants, attributes)


def test_reshape_keeps_the_product() -> None:
    assert output_shape("reshape", [(4, 3)], {}, {}, (2, 6)) == (2, 6)
    for declared in ((5,), (-1, 12), (0,)):
        with pytest.raises(GraphError, match=r"cannot (reshape|make)"):
            output_shape("reshape", [(4, 3)], {}, {}, declared)


def test_concat_and_pad_shapes() -> None:
    assert output_shape("concat", [(2, 3), (2, 5)], {}, {"axis": 1}) == (2, 8)
    assert output_shape("pad", [(2, 3, 1)], {}, {"padding": (1, 2, 3, 4, 0, 0), "value": 0}) == (5, 10, 1)
    assert output_shape("global_average_pool2d", [(2, 3, 7)], {}, {}) == (7,)
