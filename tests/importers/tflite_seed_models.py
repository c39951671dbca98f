"""Small models that together hold every part of the format that the importer reads."""

from __future__ import annotations

import numpy as np

from tests.importers.tflite_builder import TfliteBuilder


def seed_builders() -> list[TfliteBuilder]:
    return [image_model(), dense_model(), movement_model(), stateful_model()]


def image_model() -> TfliteBuilder:
    rng = np.random.default_rng(1)
    b = TfliteBuilder()
    x = b.input((1, 6, 6, 2), "UINT8", zero_point=128, signature=(-1, 6, 6, 2))
    q = b.tensor((1, 6, 6, 2))
    b.operator("QUANTIZE", [x], q)
    w = b.tensor(
        (4, 3, 3, 2), scale=[0.1, 0.2, 0.3, 0.4], zero_point=0, data=rng.integers(-99, 99, (4, 3, 3, 2))
    )
    c = b.tensor((1, 3, 3, 4))
    bias = b.tensor((4,), "INT32", scale=[0.05, 0.1, 0.15, 0.2], zero_point=0, data=[1, 2, 3, 4])
    b.operator("CONV_2D", [q, w, bias], c, "Conv2DOptions", StrideH=2, StrideW=2, FusedActivationFunction=3)
    dw = b.tensor((1, 2, 2, 4), scale=0.1, axis=3, data=rng.integers(-99, 99, (1, 2, 2, 4)))
    d = b.tensor((1, 3, 3, 4))
    b.operator(
        "DEPTHWISE_CONV_2D", [c, dw], d, "DepthwiseConv2DOptions", StrideH=1, StrideW=1, DepthMultiplier=1
    )
    p = b.tensor((1, 1, 1, 4))
    pool = {"FilterHeight": 3, "FilterWidth": 3, "StrideH": 1, "StrideW": 1, "Padding": 1}
    b.operator("AVERAGE_POOL_2D", [d], p, "Pool2DOptions", **pool)
    m = b.tensor((1, 4))
    b.operator("MEAN", [p, b.integers(1, 2)], m, "ReducerOptions")
    s = b.tensor((1, 4), scale=1 / 256, zero_point=-128)
    b.operator("SOFTMAX", [m], s, "SoftmaxOptions", Beta=1.0)
    b.outputs = [s]
    return b


def dense_model() -> TfliteBuilder:
    rng = np.random.default_rng(2)
    b = TfliteBuilder()
    x = b.input((1, 3, 4), "FLOAT32")
    q = b.tensor((1, 3, 4), "INT8")
    b.operator("QUANTIZE", [x], q)
    y = b.tensor((1, 5))
    w = b.tensor((5, 12), "INT4", data=rng.integers(0, 256, 30).astype(np.uint8).tobytes())
    b.operator("FULLY_CONNECTED", [q, w, -1], y, "FullyConnectedOptions", KeepNumDims=False)
    z = b.tensor((1, 5))
    b.operator("ADD", [y, b.tensor((5,), data=rng.integers(-9, 9, 5))], z, "AddOptions")
    real = b.tensor((1, 5), "FLOAT32")
    b.operator("DEQUANTIZE", [z], real)
    b.outputs = [real]
    return b


def movement_model() -> TfliteBuilder:
    b = TfliteBuilder()
    x = b.input((1, 4, 6))
    shape, first, both = b.tensor((3,), "INT32"), b.tensor((), "INT32"), b.tensor((3,), "INT32")
    b.operator("SHAPE", [x], shape, "ShapeOptions", OutType=2)
    ranges = [b.integers(value) for value in (0, 1, 1)]
    b.operator("STRIDED_SLICE", [shape, *ranges], first, "StridedSliceOptions", ShrinkAxisMask=1)
    sides = [b.tensor((), "INT32", data=value) for value in (6, 4)]
    b.operator("PACK", [first, *sides], both, "PackOptions", ValuesCount=3)
    r = b.tensor((1, 6, 4))
    b.operator("RESHAPE", [x, both], r, "ReshapeOptions")
    t = b.tensor((1, 4, 6))
    b.operator("TRANSPOSE", [r, b.integers(0, 2, 1)], t)
    parts = [b.tensor((1, 4, 3)) for _ in range(2)]
    b.operator("SPLIT", [b.tensor((), "INT32", data=2), t], parts, "SplitOptions", NumSplits=2)
    j = b.tensor((1, 8, 3))
    b.operator("CONCATENATION", parts, j, "ConcatenationOptions", Axis=1)
    p = b.tensor((1, 9, 4))
    b.operator("PAD", [j, b.tensor((3, 2), "INT32", data=[[0, 0], [0, 1], [1, 0]])], p)
    g = b.tensor((1, 9, 2))
    b.operator("GATHER", [p, b.integers(3, 0)], g, "GatherOptions", Axis=2)
    b.outputs = [g]
    return b


def stateful_model() -> TfliteBuilder:
    rng = np.random.default_rng(3)
    b = TfliteBuilder()
    x, handle = b.input((1, 6)), b.tensor((), "RESOURCE")
    b.operator("CALL_ONCE", [], [], "CallOnceOptions", InitSubgraphIndex=1)
    b.operator("VAR_HANDLE", [], handle, "VarHandleOptions", Container="", SharedName="state")
    old, new = b.tensor((1, 6)), b.tensor((1, 6))
    b.operator("READ_VARIABLE", [handle], old)
    b.operator("ADD", [x, old], new, "AddOptions")
    b.operator("ASSIGN_VARIABLE", [handle, new], [])
    w = b.tensor((4, 6), data=rng.integers(-9, 9, (4, 6)))
    time = b.tensor((4, 3), "INT16", data=rng.integers(-9, 9, (4, 3)))
    memory, y = b.tensor((1, 12), "INT16", variable=True), b.tensor((1, 2))
    b.operator("SVDF", [new, w, time, -1, memory], y, "SVDFOptions", Rank=2)
    b.outputs = [y]
    b.start_subgraph()
    start, zero = b.tensor((), "RESOURCE"), b.tensor((1, 6), data=np.zeros((1, 6)))
    b.operator("VAR_HANDLE", [], start, "VarHandleOptions", Container="", SharedName="state")
    b.operator("ASSIGN_VARIABLE", [start, zero], [])
    return b
