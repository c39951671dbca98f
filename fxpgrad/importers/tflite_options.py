"""Which options table each supported operator has, and which of its fields are read."""

from __future__ import annotations

_WINDOW = ("Padding", "StrideW", "StrideH", "FusedActivationFunction")
_POOL = (*_WINDOW, "FilterWidth", "FilterHeight")
_DILATION = ("DilationWFactor", "DilationHFactor")
_FUSED = ("FusedActivationFunction",)
_RESIZE = ("AlignCorners", "HalfPixelCenters")

# operator -> (options table, scalar and text fields)
OPTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "ADD": ("AddOptions", _FUSED),
    "ARG_MAX": ("ArgMaxOptions", ()),
    "ARG_MIN": ("ArgMinOptions", ()),
    "AVERAGE_POOL_2D": ("Pool2DOptions", _POOL),
    "BATCH_MATMUL": ("BatchMatMulOptions", ("AdjX", "AdjY")),
    "CALL_ONCE": ("CallOnceOptions", ("InitSubgraphIndex",)),
    "CONCATENATION": ("ConcatenationOptions", ("Axis", *_FUSED)),
    "CONV_2D": ("Conv2DOptions", (*_WINDOW, *_DILATION)),
    "DEPTH_TO_SPACE": ("DepthToSpaceOptions", ("BlockSize",)),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", (*_WINDOW, *_DILATION, "DepthMultiplier")),
    "FULLY_CONNECTED": ("FullyConnectedOptions", (*_FUSED, "WeightsFormat", "KeepNumDims")),
    "GATHER": ("GatherOptions", ("Axis", "BatchDims")),
    "GELU": ("GeluOptions", ("Approximate",)),
    "L2_NORMALIZATION": ("L2NormOptions", _FUSED),
    "LEAKY_RELU": ("LeakyReluOptions", ("Alpha",)),
    "MAX_POOL_2D": ("Pool2DOptions", _POOL),
    "MEAN": ("ReducerOptions", ("KeepDims",)),
    "MIRROR_PAD": ("MirrorPadOptions", ("Mode",)),
    "MUL": ("MulOptions", _FUSED),
    "PACK": ("PackOptions", ("Axis", "ValuesCount")),
    "REDUCE_MAX": ("ReducerOptions", ("KeepDims",)),
    "REDUCE_MIN": ("ReducerOptions", ("KeepDims",)),
    "RESIZE_BILINEAR": ("ResizeBilinearOptions", _RESIZE),
    "RESIZE_NEAREST_NEIGHBOR": ("ResizeNearestNeighborOptions", _RESIZE),
    "SOFTMAX": ("SoftmaxOptions", ("Beta",)),
    "SPACE_TO_DEPTH": ("SpaceToDepthOptions", ("BlockSize",)),
    "SPLIT": ("SplitOptions", ("NumSplits",)),
    "SPLIT_V": ("SplitVOptions", ("NumSplits",)),
    "STRIDED_SLICE": (
        "StridedSliceOptions",
        ("BeginMask", "EndMask", "EllipsisMask", "NewAxisMask", "ShrinkAxisMask", "Offset"),
    ),
    "SUB": ("SubOptions", _FUSED),
    "SUM": ("ReducerOptions", ("KeepDims",)),
    "SVDF": ("SVDFOptions", ("Rank", *_FUSED)),
    "TRANSPOSE_CONV": ("TransposeConvOptions", _WINDOW),
    "UNPACK": ("UnpackOptions", ("Num", "Axis")),
    "VAR_HANDLE": ("VarHandleOptions", ("Container", "SharedName")),
}
