"""Probes: the perturbed inferences of a step, each direction's two passes in one native call.

A probe never comes back to Python between layers: drawing z, perturbing a layer, putting it in reading
order (its weights too, if they are perturbed) and running it are calls on a tape, whose words for the step,
the direction and the sign are rewritten from probe to probe.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.program.execute import BoundCall, Executor
from fxpgrad.program.program import Call, Program
from fxpgrad.trainer.composer import Composer, Places, first_index, own_channels
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.guidance import Guidance
from fxpgrad.trainer.layer_scratch import LayerScratch, Trained, records_of, slabs_of
from fxpgrad.trainer.trainable import Trainable, distribution_code, form_code
from fxpgrad_kernels.random.distributions import direction_table
from fxpgrad_kernels.registry import kernel_named
from fxpgrad_kernels.spec import Records
from fxpgrad_kernels.tape import Tape
from fxpgrad_kernels.training.perturb import BLOCK


class Probe:
    """What one thread needs to probe directions: an arena a sign, one perturbed layer a sign, a tape.

    Parameters
    ----------
    executor : Executor
        Runs the trained calls and all after them; taken for the first sign.
    trained : mapping
        The trained values of each trained call, by the call's name. Read at every probe, never written.
    config : TrainerConfig
    guidance : Guidance
        What earlier steps have left.
    paired : bool
        Run both signs of a direction layer by layer, drawing z once (two arenas), or one sign after the
        other (one arena). The results are the same.
    """

    def __init__(
        self, executor: Executor, trained: Trained, config: TrainerConfig, guidance: Guidance, *, paired: bool
    ) -> None:
        self._config = config
        self._guidance = guidance
        self._trained = trained
        self._executors = [executor]
        if paired:
            self._executors.append(Executor(executor.program, executor.batch, like=executor))
        self._scratch = [LayerScratch(executor, trained) for _ in self._executors]
        self._table = direction_table(distribution_code(config))
        self._block = np.zeros(BLOCK, np.int8)
        calls = [call for call in executor.program.calls if call.name in trained]
        slabs = ((item, slabs_of(call, item)[0]) for call in calls for item in trained[call.name])
        self._composer = Composer(((item, item.values[slab].size) for item, slab in slabs), config, guidance)
        self._one = _ProbeTape(self, self._executors[:1])
        self._both = _ProbeTape(self, self._executors) if paired else None

    @property
    def program(self) -> Program:
        """The Program of the trained calls and all after them."""
        return self._executors[0].program

    @property
    def batch(self) -> int:
        """Rows of one inference."""
        return self._executors[0].batch

    @property
    def scratch_bytes(self) -> int:
        """Bytes of the arenas, of the perturbed layers and of a composed direction's slab."""
        arenas = sum(executor.plan.peak_bytes for executor in self._executors)
        return arenas + sum(scratch.nbytes for scratch in self._scratch) + self._composer.nbytes

    def run(
        self,
        features: NDArray[Any],
        step: int,
        direction: int,
        signs: Sequence[int],
        widths: Mapping[str, int],
    ) -> tuple[Sequence[Executor], int]:
        """Run the inferences of some signs of one direction on one batch of features, which are not checked.

        Return the executors that ran, in the order of `signs`, their results in their arenas, and the
        number of perturbed values that were clipped. One call asks for one sign, or for (1, -1) where paired.
        """
        if len(signs) == 2 and self._both is not None:
            tape, executors = self._both, self._executors
        else:
            tape, executors = self._one, self._executors[:1]
        for executor in executors:
            executor.load(features, checked=True)  # anew each time: an input does not outlive a run
        clipped = tape.run(step, direction, signs[0], widths)
        return executors, clipped

    @property
    def paired(self) -> bool:
        """Whether `run` takes both signs at once."""
        return self._both is not None


class _ProbeTape:
    """The calls of one probe, and where its words are that change."""

    def __init__(self, probe: Probe, executors: Sequence[Executor]) -> None:
        self._tape = Tape()
        self._places = Places()
        self._guidance = probe._guidance
        self._widths: dict[str, list[int]] = {}
        for index, call in enumerate(probe.program.calls):
            items = probe._trained.get(call.name)
            bound = [executor.calls[index] for executor in executors]
            if items is None:
                for one in bound:
                    self._tape.add(call.spec.function, call.spec.arguments, one.arguments())
            else:
                self._add_trained(probe, executors, bound, items)
        self._last: Mapping[str, int] = {}
        of = self._places.of
        self._steps, self._before, self._directions = of("step"), of("step before"), of("direction")
        self._own, self._own_before, self._clipped = of("own"), of("own before"), of("clipped")
        signs = [
            (of(f"{which}sign of block {block}"), block, factor)
            for block in range(probe._config.blocks)
            for which, factor in (("", 1), ("opposite ", -1))
        ]
        self._signs = [item for item in signs if item[0].size]
        self._step, self._pass = -1, (-1, 0, 0)  # what the words say: nothing yet

    def _add_trained(
        self,
        probe: Probe,
        executors: Sequence[Executor],
        bound: Sequence[BoundCall],
        items: Sequence[Trainable],
    ) -> None:
        call = bound[0].call
        places = [
            scratch.views(executor, call, items)
            for scratch, executor in zip(probe._scratch, executors, strict=False)
        ]
        own = {item.role: item for item in items}
        changed = [dict[str, NDArray[Any]]() for _ in places]
        if "bias" in own:
            self._add_perturbation(probe, own["bias"], slice(None), [values["bias"] for values, _ in places])
            for arrays, (values, _) in zip(changed, places, strict=True):
                arrays["bias"] = values["bias"]
        if "gain" in own:
            self._add_gains(probe, bound, own["gain"], [values for values, _ in places])
            for arrays, (values, _) in zip(changed, places, strict=True):
                arrays |= {role: values[role] for role in ("multiplier", "shift")}
        if "weights" in own:
            self._add_weights(probe, bound, own["weights"], places, changed)
        else:
            for one, arrays, (_, prepared) in zip(bound, changed, places, strict=True):
                self._add_records(call, records_of(call, items), {**one.arguments(), **arrays}, prepared)
        for one, arrays, (_, prepared) in zip(bound, changed, places, strict=True):
            words = self._tape.add(
                call.spec.function, call.spec.arguments, {**one.arguments(), **arrays, **prepared}
            )
            self._widths.setdefault(call.name, []).append(words["accumulator_bits"])

    def _add_weights(
        self,
        probe: Probe,
        bound: Sequence[BoundCall],
        weights: Trainable,
        places: Sequence[tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]],
        changed: Sequence[dict[str, NDArray[Any]]],
    ) -> None:
        """Perturb and prepare the weights slab by slab; add them to the other new constants, `changed`."""
        call = bound[0].call
        slabs = slabs_of(call, weights)
        offsets = dict.fromkeys(places[0][1], 0)
        for slab in slabs:
            shape = weights.values[slab].shape
            targets = [values["weights"][: math.prod(shape)] for values, _ in places]
            self._add_perturbation(probe, weights, slab, targets)
            sizes = dict[str, int]()
            for one, arrays, target, (_, prepared) in zip(bound, changed, targets, places, strict=True):
                arguments = {**one.arguments(), **arrays}
                arguments["weights"] = target.reshape(shape)
                if len(slabs) == 1:
                    arrays["weights"] = arguments["weights"]
                else:  # the kernel itself takes nothing but their shape from the constant
                    for argument in call.spec.of_role("constant"):
                        if argument.name != "weights":
                            arguments[argument.name] = arguments[argument.name][slab]
                sizes = self._add_preparation(call, arguments, prepared, offsets)
            offsets = {name: offset + sizes.get(name, 0) for name, offset in offsets.items()}

    def _add_gains(
        self,
        probe: Probe,
        bound: Sequence[BoundCall],
        item: Trainable,
        values: Sequence[Mapping[str, NDArray[Any]]],
    ) -> None:
        """Perturb the gains, and write the multipliers and shifts that they make."""
        self._add_perturbation(probe, item, slice(None), [own["gain"] for own in values])
        spec = kernel_named("scale_multipliers")
        for one, own in zip(bound, values, strict=True):
            arguments = {
                **one.arguments(),
                "gain": own["gain"],
                "new_multiplier": own["multiplier"],
                "new_shift": own["shift"],
            }
            self._places.note(self._tape.add(spec.function, spec.arguments, arguments), result="clipped")

    def _add_records(
        self,
        call: Call,
        records: Records | None,
        arguments: Mapping[str, Any],
        prepared: Mapping[str, NDArray[Any]],
    ) -> None:
        """Prepare the record of a layer whose weights stay where the executor has them."""
        if records is None:
            self._add_preparation(call, arguments, prepared, dict.fromkeys(prepared, 0))
            return
        new = {f"new_{records.array}": prepared[records.array]}
        words = self._tape.add(records.function, call.spec.record_arguments, {**arguments, **new})
        self._widths.setdefault(call.name, []).append(words["accumulator_bits"])

    def _add_preparation(
        self,
        call: Call,
        arguments: Mapping[str, Any],
        prepared: Mapping[str, NDArray[Any]],
        offsets: Mapping[str, int],
    ) -> dict[str, int]:
        """Put some channels in reading order, behind those of the channels before; return their sizes."""
        spec = call.spec
        if spec.preparation is None:
            return {}
        shapes = {argument.name: arguments[argument.name].shape for argument in spec.of_role("constant")}
        sizes = dict(spec.preparation.elements(shapes, call.parameters))
        parts = {name: prepared[name][offsets[name] : offsets[name] + size] for name, size in sizes.items()}
        roles = ("constant", "prepared", "parameter")
        words = self._tape.add(
            spec.preparation.function,
            [argument for argument in spec.arguments if argument.role in roles],
            {**arguments, **parts},
        )
        if "accumulator_bits" in words:
            self._widths.setdefault(call.name, []).append(words["accumulator_bits"])
        return sizes

    def _add_perturbation(
        self, probe: Probe, item: Trainable, slab: slice, targets: list[NDArray[Any]]
    ) -> None:
        if item.parts is not None:
            probe._composer.add_probe(self._tape, self._places, item, slab, targets)
            return
        config = probe._config
        values = item.values[slab]
        first = first_index(item, slab)
        arguments = {
            "weights": values.reshape(-1),
            "epsilon": own_channels(item, item.epsilon, first, values.size),
            "table": probe._table,
            "block": probe._block,
            "seed": config.seed,
            "step": 0,
            "direction": 0,
            "tensor": item.tensor,
            "sign": 0,
            "form": form_code(config),
            "distribution": distribution_code(config),
            "first_index": first,
        }
        named = {"step": "step", "direction": "direction", "result": "clipped"}
        if len(targets) == 2 and config.blocks == 1:  # both from one draw
            plus, minus = targets
            spec = item.perturb_pair
            words = self._tape.add(spec.function, spec.arguments, {**arguments, "plus": plus, "minus": minus})
            self._places.note(words, **named)
            return
        for which, target in zip(("", "opposite "), targets, strict=False):
            words = self._tape.add(
                item.perturb.function, item.perturb.arguments, {**arguments, "output": target}
            )
            self._places.note(words, **named, sign=f"{which}sign of block {item.block}")

    def run(self, step: int, direction: int, sign: int, widths: Mapping[str, int]) -> int:
        words, guidance = self._tape.words, self._guidance
        if step != self._step:
            self._step = step
            words[self._steps] = step
        active = guidance.block_of(step)
        if (direction, sign, active) != self._pass:
            if direction != self._pass[0]:
                words[self._directions] = direction
            for own, block, factor in self._signs:
                words[own] = factor * sign if block == active else 0
            self._pass = (direction, sign, active)
        if self._own.size or self._before.size:
            words[self._before] = max(step - 1, 0)
            words[self._own], words[self._own_before] = guidance.own, guidance.own_before
        if widths is not self._last:
            for name, places in self._widths.items():
                words[places] = widths[name]
            self._last = widths
        self._tape.run()
        return int(np.add.reduce(words[self._clipped]))
