"""check_program: what it lets through runs; what could lead a kernel out of its arrays is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fxpgrad.errors import LoweringError
from fxpgrad.graph.builder import GraphBuilder
from fxpgrad.program.call_shapes import RULES
from fxpgrad.program.lower import lower
from fxpgrad.program.program import Call, Constant, Program, TensorInfo
from fxpgrad.program.validate import NOT_IN_PROGRAMS, check_program
from fxpgrad.quantize import quantize
from fxpgrad_kernels.arithmetic.profiles import PROFILES
from fxpgrad_kernels.errors import UnknownKernelError, UnknownProfileError
from fxpgrad_kernels.registry import kernels
from tests.program.random_programs import random_program

Change = Callable[[Program], Program]


def every_operator_network() -> Program:
    """Return a Program that calls every operator of a network."""
    rng = np.random.default_rng(0)
    net = GraphBuilder("all")
    image = net.input("image", (7, 6, 4))
    x = net.conv2d(
        image, rng.normal(size=(6, 3, 3, 2)), groups=2, padding="same", activation="relu", name="conv"
    )
    x = net.depthwise_conv2d(x, rng.normal(size=(1, 3, 3, 6)), padding="same", name="depthwise")
    x = net.concat((x, image), 2, name="concat")
    x = net.pad(x, (1, 0, 0, 1), name="pad")
    x = net.max_pool2d(x, (2, 2), (2, 2), name="max")
    average = net.average_pool2d(x, (2, 2), (1, 1), name="average")
    x = net.activation(average, "relu6", name="clamp")
    x = net.add(x, net.conv2d(x, rng.normal(size=(10, 1, 1, 10)), name="branch"), name="add")
    flat = net.reshape(x, (60,), name="reshape")
    x = net.global_average_pool2d(x, name="mean")
    logits = net.fully_connected(x, rng.normal(size=(3, 10)), rng.normal(size=3), name="dense")
    graph = net.build((logits, flat, average))
    return lower(quantize(graph, rng.normal(size=(4, 7, 6, 4)).astype(np.float32)))


NETWORK = every_operator_network()


def with_call(program: Program, which: str, /, **changes: Any) -> Program:
    calls = tuple(dataclasses.replace(c, **changes) if c.name == which else c for c in program.calls)
    assert calls != program.calls
    return dataclasses.replace(program, calls=calls)


def parameters(name: str, **changes: float) -> Change:
    call = next(call for call in NETWORK.calls if call.name == name)
    return lambda program: with_call(program, name, parameters={**call.parameters, **changes})


def shape(tensor: str, *axes: int) -> Change:
    def change(program: Program) -> Program:
        info = dataclasses.replace(program.tensors[tensor], shape=axes)
        return dataclasses.replace(program, tensors={**program.tensors, tensor: info})

    return change


def constant(name: str, **changes: Any) -> Change:
    def change(program: Program) -> Program:
        value = dataclasses.replace(program.constants[name], **changes)
        return dataclasses.replace(program, constants={**program.constants, name: value})

    return change


def data(name: str, build: Callable[[np.ndarray], np.ndarray]) -> Change:
    """Replace a constant's array, and drop its scale, whose length would not fit."""
    return lambda program: constant(name, data=build(program.constants[name].data), scale=None)(program)


def tensor(which: str, /, **changes: Any) -> Change:
    def change(program: Program) -> Program:
        info = dataclasses.replace(program.tensors[which], **changes)
        return dataclasses.replace(program, tensors={**program.tensors, which: info})

    return change


def without_call(name: str) -> Change:
    return lambda program: dataclasses.replace(
        program, calls=tuple(call for call in program.calls if call.name != name)
    )


def test_the_network_passes() -> None:
    check_program(NETWORK)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("seed", range(8))
def test_what_lowering_makes_passes(seed: int, profile: str) -> None:
    check_program(random_program(seed, profile))


WRONG_SHAPES: dict[str, tuple[Change, str]] = {
    "input smaller than the filters say": (shape("image", 7, 6, 2), "2 groups of 2 channels do not fit 2"),
    "input larger elsewhere": (shape("image", 8, 6, 4), "axis N of output must be 192"),
    "input without channels": (shape("image", 7, 6), "must have the axes"),
    "output with other filters": (shape("conv", 7, 6, 7), "axis O"),
    "a parameter that is no int": (parameters("conv", stride_h=1.5), "stride_h must be an int"),
    "more groups": (parameters("conv", groups=3), "3 groups of 2 channels"),
    "groups that do not divide the filters": (
        lambda p: data("conv/weights", lambda w: w.repeat(7, 0)[:7])(
            data("conv/bias", lambda b: np.zeros(7, b.dtype))(
                data("conv/multiplier", lambda m: m.repeat(7)[:7])(
                    data("conv/shift", lambda s: s.repeat(7)[:7])(shape("conv", 7, 6, 7)(p))
                )
            )
        ),
        "do not fit 4 channels and 7 filters",
    ),
    "short multiplier": (data("conv/multiplier", lambda m: m[:5]), "axis O of multiplier must be 6"),
    "short shift": (data("conv/shift", lambda s: s[:1]), "axis O of shift must be 6"),
    "short bias": (data("dense/bias", lambda b: b[:2]), "axis O of bias must be 3"),
    "empty weights": (data("dense/weights", lambda w: w[:0]), "must have the axes"),
    "dense of another depth": (data("dense/weights", lambda w: w[:, :9].copy()), "axis I of weights"),
    "dense on rows of another depth": (shape("mean", 2, 5), "axis I of weights"),
    "depthwise filters of rank 3": (data("depthwise/weights", lambda w: w[0]), r"axis must be in \[0, 3\)"),
    "two depthwise filters": (
        data("depthwise/weights", lambda w: w.repeat(2, 0)),
        "axis 1 of weights must be 1",
    ),
    "three pairs for add": (data("add/multiplier", lambda m: m[:2]), "axis 3 of multiplier must be 3"),
    "add of other sizes": (shape("branch", 3, 2, 11), "axis"),
    "reshape to more": (shape("reshape", 61), "axis N"),
    "padded to more": (shape("pad", 9, 7, 10), "do not fit 420 and 630"),
    "pad of too many rows": (parameters("pad", output_offset=151), "leave a sample of 560"),
    "pooled channels": (shape("max", 4, 3, 11), "axis C"),
    "pool window in the padding": (parameters("average", pad_top=2), "only padding"),
    "pool window past the end": (parameters("average", stride_h=5), "only padding"),
    "block beyond the columns": (parameters("concat/1", column=7), "ends at column 11 of 10"),
    "block that overlaps": (parameters("concat/1", column=5), "must start at column 6"),
    "block of too few columns": (shape("concat", 7, 6, 9), "do not fit 252 and 378 elements"),
    "block of other rows": (parameters("concat/1", input_row=168), "do not fit 168 and 420"),
    "sizes whose product wraps to 0": (shape("image", 2**32, 2**32, 4), r"more than 2\^31 - 1 elements"),
    "negative shape": (shape("image", 7, -6, 4), "bad name, type or shape"),
    "workspace beyond memory": (parameters("conv", stride_h=2**15, stride_w=2**15), "workspace padded"),
}
WRONG_VALUES: dict[str, tuple[Change, str]] = {
    "bits between 32 and 64": (parameters("conv", accumulator_bits=48), "must be 32 or 64; got 48"),
    "rounding of another profile": (parameters("conv", rounding=2), "is not one of tflite_double"),
    "clamps crossed": (parameters("conv", clamp_low=5, clamp_high=4), "clamp_low must not exceed"),
    "parameter out of range": (parameters("conv", stride_h=0), r"stride_h must be in \[1, "),
    "parameter missing": (lambda p: with_call(p, "clamp", parameters={}), "needs exactly the parameters"),
    "parameter too many": (parameters("clamp", shift=1), "needs exactly the parameters"),
    "constant missing": (lambda p: with_call(p, "conv", constants={}), "needs exactly the constants"),
    "unknown constant": (
        lambda p: with_call(p, "mean", constants={"multiplier": "nothing", "shift": "mean/shift"}),
        "unknown constant 'nothing'",
    ),
    "constant of another type": (data("conv/bias", lambda b: b.astype(np.int64)), "must be int32 of rank 1"),
    "negative multiplier": (data("conv/multiplier", lambda m: -m), r"must lie in \[0, "),
    "shift beyond all": (data("conv/shift", lambda s: s * 0 + 31), r"must lie in \[-31, 30\]"),
    "non-contiguous weights": (
        constant("conv/weights", data=np.ones((3, 3, 2, 6), np.int16).T),
        "contiguous",
    ),
    "channels of weights elsewhere": (
        constant("branch/weights", axis=3),
        "the channels of branch/weights are axis 0, not 3",
    ),
    "axis beyond the rank": (constant("branch/weights", axis=4), r"axis must be in \[0, 4\)"),
    "scales too few": (constant("conv/weights", scale=np.ones(5)), "needs 6 finite scales"),
    "scale NaN": (constant("conv/weights", scale=np.full(6, np.nan)), "needs 6 finite scales"),
    "scale zero": (constant("conv/bias", scale=np.zeros(6)), "needs 6 finite scales"),
    "tensor scale infinite": (tensor("image", scale=np.inf), "must be finite and above 0; got inf"),
    "tensor scale negative": (tensor("image", scale=-1.0), "must be finite and above 0"),
    "tensor scale NaN": (tensor("image", scale=np.nan), "must be finite and above 0"),
    "tensor zero point": (tensor("image", zero_point=128), "zero point 128 is outside int8"),
    "tensor of floats": (tensor("image", dtype="float32"), "bad name, type or shape"),
    "tensor of int32": (tensor("image", dtype="int32"), "image must be int8; it is int32"),
    "tensor under another name": (tensor("image", name="picture"), "bad name"),
    "two inputs for one": (
        lambda p: with_call(p, "conv", inputs=("image", "image")),
        "takes 1 inputs, has 2",
    ),
    "unknown tensor": (lambda p: with_call(p, "conv", inputs=("nothing",)), "unknown tensor 'nothing'"),
    "read before written": (
        lambda p: with_call(p, "conv", inputs=("conv",)),
        "reads conv before it is written",
    ),
    "written twice": (lambda p: with_call(p, "reshape", output="branch"), "complete already"),
    "written over its own input": (
        lambda p: with_call(p, "clamp", output="average"),
        "writes average while it reads it",
    ),
    "input overwritten": (lambda p: with_call(p, "clamp", output="image"), "axis N|complete already"),
    "a call left out": (without_call("clamp"), "before it is written"),
    "half a concat": (without_call("concat/1"), "before it is written"),
    "a tensor that nothing makes": (
        lambda p: dataclasses.replace(p, tensors={**p.tensors, "stray": TensorInfo("stray", (1,), "int8")}),
        "nothing makes.*stray",
    ),
    "unknown output": (lambda p: dataclasses.replace(p, outputs=("nothing",)), "must be distinct tensors"),
    "one output twice": (lambda p: dataclasses.replace(p, outputs=("dense", "dense")), "must be distinct"),
    "no inputs": (lambda p: dataclasses.replace(p, inputs=()), "at least one input"),
    "no calls": (lambda p: dataclasses.replace(p, calls=()), "at least one input"),
    "two calls of one name": (lambda p: with_call(p, "branch", name="conv"), "share the name 'conv'"),
    "a training kernel": (
        lambda p: dataclasses.replace(
            p,
            calls=(*p.calls, Call("x", "prototype_sums", ("dense", "dense"), {}, "dense", {})),
        ),
        "cannot call kernels of loss",
    ),
}


WRONG = WRONG_SHAPES | WRONG_VALUES


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=tuple(WRONG))
def test_inconsistent_programs_are_refused(change: Change, message: str) -> None:
    with pytest.raises(LoweringError, match=message):
        check_program(change(NETWORK))


def test_a_tensor_named_like_a_workspace_is_refused() -> None:
    program = dataclasses.replace(
        NETWORK,
        tensors={("conv/scratch" if n == "image" else n): i for n, i in NETWORK.tensors.items()},
        inputs=("conv/scratch",),
    )
    program = tensor("conv/scratch", name="conv/scratch")(program)
    with pytest.raises(LoweringError, match="share the name 'conv/scratch'"):
        check_program(program)


def test_unknown_names_are_refused_by_their_own_errors() -> None:
    with pytest.raises(UnknownProfileError):
        check_program(dataclasses.replace(NETWORK, profile="tflite"))
    with pytest.raises(UnknownKernelError, match="did you mean"):
        check_program(with_call(NETWORK, "conv", kernel="conv2d_a8w9"))


def test_an_unproved_accumulator_is_refused() -> None:
    huge = data("dense/bias", lambda b: np.full(3, 2**31 - 1, np.int32))
    with pytest.raises(LoweringError, match="an accumulator may reach"):
        check_program(huge(NETWORK))
    check_program(huge(parameters("dense", accumulator_bits=64)(NETWORK)))


def test_shifts_are_held_to_the_profile() -> None:
    program = random_program(0, "tflite_16x8")
    name = next(c.constants["shift"] for c in program.calls if "shift" in c.constants)
    too_far = program.with_constants({name: np.full_like(program.constants[name].data, 8)})
    with pytest.raises(LoweringError, match=r"shifts must lie in \[-31, 7\]"):
        check_program(too_far)


def test_every_operator_of_the_registry_is_known_to_be_allowed_or_not() -> None:
    operators = {spec.operator for spec in kernels().values()}
    assert operators >= NOT_IN_PROGRAMS
    assert operators - NOT_IN_PROGRAMS == set(RULES)


def test_constants_without_channels_may_carry_no_scale() -> None:
    spare = Constant("spare", np.zeros((), np.int8))
    check_program(dataclasses.replace(NETWORK, constants={**NETWORK.constants, "spare": spare}))
