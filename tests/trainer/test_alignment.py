"""Alignment: layer by layer the definitions, a sensor's gain undone, and what training adds merged."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fxpgrad.errors import InputError, TrainingError
from fxpgrad.program.execute import Executor, run_program
from fxpgrad.program.lower import lower
from fxpgrad.trainer.alignment import Moments, align, measure_moments
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.objective import LinearCrossEntropy
from fxpgrad.trainer.scopes import make_trainables
from fxpgrad.trainer.trainable import with_multiplied_gains
from fxpgrad.trainer.trainer import Trainer
from fxpgrad_kernels.training.alignment_ref import align_channels_ref, channel_moments_ref
from tests.kernels.tflm_weighted import weighted_cases
from tests.program.weighted_graphs import layer_graph, svdf_graph
from tests.trainer.small_programs import image_program

DIM = TrainerConfig(
    scope="affine",
    rows="split",
    num_directions=10,
    epsilon=3e-2,
    learning_rate=1e-2,
    distribution="rademacher",
)


def dimmed(x, program):
    """The same images with a third of the contrast and an offset."""
    zero_point = program.tensors[program.inputs[0]].zero_point
    return np.clip((x.astype(np.int64) - zero_point) // 3 + zero_point + 12, -128, 127).astype(np.int8)


def tensors(program, x):
    return dict(Executor(program, len(x)).layers(x))


def test_moments_are_those_of_every_layer_but_the_last():
    program, x, _ = image_program(8)
    moments = measure_moments(program, x)
    values = tensors(program, x)
    weighted = [call for call in program.calls if "weights" in call.constants]
    assert list(moments) == [call.name for call in weighted[:-1]]
    for call in weighted[:-1]:
        info = program.tensors[call.output]
        flat = values[call.output].reshape(-1, info.shape[-1])
        wanted = channel_moments_ref(flat, info.zero_point, call.parameters["clamp_low"])
        np.testing.assert_array_equal(moments[call.name].values, wanted)
        assert moments[call.name].count == len(flat)


def test_alignment_takes_the_layers_in_order_by_the_definition():
    program, x, _ = image_program(8)
    target, shifted = measure_moments(program, x), dimmed(x, program)
    alignment, now = align(program, target, shifted, sweeps=1), program
    for call in [call for call in program.calls if call.name in target]:
        info = program.tensors[call.output]
        flat = tensors(now, shifted)[call.output].reshape(-1, info.shape[-1])
        found = channel_moments_ref(flat, info.zero_point, call.parameters["clamp_low"])
        old = [now.constants[call.constants[role]].data for role in ("bias", "multiplier", "shift")]
        known = target[call.name]
        gain, bias = align_channels_ref(
            found, known.values, *old, len(flat), known.count, gains=alignment.gains[call.name].size
        )
        np.testing.assert_array_equal(alignment.gains[call.name], gain)
        np.testing.assert_array_equal(alignment.biases[call.name], bias)
        now = with_multiplied_gains(now, {call.name: gain}, {call.constants["bias"]: bias})
    np.testing.assert_array_equal(run_program(alignment.program, x), run_program(now, x))


def distance(program, target, x):
    """Mean difference of the channels' means from the target's, in output steps."""
    found = measure_moments(program, x)
    off = [m.values[0] / m.count - target[name].values[0] / target[name].count for name, m in found.items()]
    return float(np.abs(np.concatenate(off)).mean())


def test_what_a_dim_sensor_shifts_comes_back():
    program, x, _ = image_program(8)
    target, shifted = measure_moments(program, x), dimmed(x, program)
    alignment = align(program, target, shifted)
    assert distance(alignment.program, target, shifted) < 0.5 * distance(program, target, shifted)
    assert 0 < alignment.forwards <= 2 * len(target) * len(x)
    once = align(program, target, shifted, sweeps=1)
    assert once.forwards == alignment.forwards / 2
    assert distance(alignment.program, target, shifted) < distance(once.program, target, shifted)


def test_frozen_biases_stay_and_a_target_of_another_network_is_refused():
    program, x, _ = image_program(8)
    target, shifted = measure_moments(program, x), dimmed(x, program)
    biases = frozenset(call.constants["bias"] for call in program.calls if "bias" in call.constants)
    alignment = align(program, target, shifted, biases)
    assert alignment.biases == {}
    for name in biases:
        np.testing.assert_array_equal(alignment.program.constants[name].data, program.constants[name].data)
    name = next(iter(target))
    for wrong in ({}, {**target, name: Moments(np.zeros((3, 99), np.int64), 5)}):
        with pytest.raises(InputError, match=f"no moments of layer {name}"):
            align(program, wrong, shifted)
    with pytest.raises(InputError, match="is empty"):
        align(program, target, shifted[:0])


@pytest.mark.parametrize("head", ["forward", "exact"])
def test_training_from_an_aligned_network_merges_into_the_first_one(head):
    program, x, y = image_program(8)
    target, shifted = measure_moments(program, x), dimmed(x, program)
    alignment = align(program, target, shifted)
    config = dataclasses.replace(DIM, head=head)
    trainer = Trainer(alignment.program, config, LinearCrossEntropy(), len(x))
    trainer.fit(shifted, y, 5)
    merged = alignment.merged(trainer.trained_layers())
    after = trainer.adapted()
    calls = {call.name: call for call in program.calls}
    for name, values in merged.items():
        constants = calls[name].constants
        np.testing.assert_array_equal(values["bias"], after.constants[constants["bias"]].data)
        if "gain" in values:
            scale = program.constants[constants["weights"]].scale * values["gain"]
            np.testing.assert_allclose(after.constants[constants["weights"]].scale, scale, rtol=1e-8)


def test_the_last_layer_of_features_is_aligned_too():
    program, x, _ = image_program(8)
    head = program.calls[-1]
    tensors = {name: info for name, info in program.tensors.items() if name != head.output}
    features = dataclasses.replace(
        program, calls=program.calls[:-1], outputs=(head.inputs[0],), tensors=tensors
    )
    weighted = [call.name for call in features.calls if "weights" in call.constants]
    assert list(measure_moments(features, x)) == weighted


def test_layers_of_16_bit_activations_are_left_alone():
    family = "conv2d_a16w8_bias64"
    program = lower(layer_graph(family, weighted_cases(family)[0]))
    info = program.tensors[program.inputs[0]]
    x = np.random.default_rng(0).integers(-999, 1000, (4, *info.shape)).astype(info.dtype)
    assert measure_moments(program, x) == {}
    alignment = align(program, {}, x)
    assert alignment.gains == alignment.biases == {}
    np.testing.assert_array_equal(run_program(alignment.program, x), run_program(program, x))


def test_many_samples_give_the_sums_of_their_parts():
    program, x, _ = image_program(8)
    many = np.concatenate([x] * 3)[:75]  # two inferences of 32, one of 11
    parts = [measure_moments(program, many[start : start + 25]) for start in (0, 25, 50)]
    whole = measure_moments(program, many)
    for name, moments in whole.items():
        np.testing.assert_array_equal(moments.values, sum(part[name].values for part in parts))
        assert moments.count == sum(part[name].count for part in parts)


def test_layers_that_share_a_constant_are_left_alone():
    program, x, _ = image_program(8)
    first, second = [call for call in program.calls if "weights" in call.constants][:2]
    shared = dataclasses.replace(second, constants={**second.constants, "bias": first.constants["bias"]})
    calls = tuple(shared if call.name == second.name else call for call in program.calls)
    both = measure_moments(dataclasses.replace(program, calls=calls), x)
    assert not {first.name, second.name} & both.keys()
    assert both.keys() < measure_moments(program, x).keys()


def test_a_stateful_network_is_refused():
    program = lower(svdf_graph(weighted_cases("svdf_a8")[0]))
    info = program.tensors[program.inputs[0]]
    with pytest.raises(TrainingError, match="keeps state from row to row"):
        measure_moments(program, np.zeros((9, *info.shape), info.dtype))


def test_a_channel_whose_probe_would_leave_int32_is_not_trained():
    program, _, _ = image_program(8)
    call = next(call for call in program.calls if "multiplier" in call.constants)
    names = call.constants
    bias, weights = program.constants[names["bias"]], program.constants[names["weights"]]
    multiplier, shift = (program.constants[names[role]].data.copy() for role in ("multiplier", "shift"))
    tiny = bias.scale.copy()
    tiny[1] *= 2.0**-40  # a folded batch norm has left next to no weights in this channel
    multiplier[1] = shift[1] = 0
    changed = program.with_constants({names["multiplier"]: multiplier, names["shift"]: shift})
    bias = dataclasses.replace(changed.constants[names["bias"]], scale=tiny)
    changed = dataclasses.replace(changed, constants={**changed.constants, bias.name: bias})
    assert weights.axis == 0
    usual, items = ({item.name: item for item in make_trainables(p, DIM)} for p in (program, changed))
    assert items.keys() == usual.keys()
    wanted = usual[bias.name].epsilon.copy()
    wanted[1] = 0
    np.testing.assert_array_equal(items[bias.name].epsilon, wanted)
    assert items[bias.name].real[1] == 0
