"""Probes: the perturbed inferences of a step, each direction's two passes in one native call.

A probe never comes back to Python between layers: drawing z, perturbing a layer, putting its weights in
reading order and running it are calls on a tape, whose words for the step, the direction and the sign
are rewritten from probe to probe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.program.execute import BoundCall, Executor
from fxpgrad.program.program import Program
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.trainable import Trainable, distribution_code, form_code
from fxpgrad_kernels.random.distributions import direction_table
from fxpgrad_kernels.spec import KernelSpec, aligned_zeros
from fxpgrad_kernels.tape import Tape
from fxpgrad_kernels.training.perturb import BLOCK

Trained = Mapping[str, Sequence[Trainable]]
_LINE = 64


class _LayerScratch:
    """Room for one perturbed layer: its weights and bias, and both in its kernel's reading order."""

    def __init__(self, executor: Executor, trained: Trained) -> None:
        needs = [
            _lined(item.values.nbytes for item in items)
            + _lined(array.nbytes for array in executor.prepared[name].values())
            for name, items in trained.items()
        ]
        self._bytes = aligned_zeros(max(needs), "uint8")

    @property
    def nbytes(self) -> int:
        return self._bytes.nbytes

    def views(
        self, executor: Executor, call: str, items: Sequence[Trainable]
    ) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
        """Return places for one layer's values by role and for its prepared arrays by name."""
        offset = 0

        def take(like: NDArray[Any]) -> NDArray[Any]:
            nonlocal offset
            start, offset = offset, offset + _lined([like.nbytes])
            return self._bytes[start : start + like.nbytes].view(like.dtype).reshape(like.shape)

        values = {item.role: take(item.values) for item in items}
        return values, {name: take(array) for name, array in executor.prepared[call].items()}


def _lined(sizes: Any) -> int:
    return sum(-(-size // _LINE) * _LINE for size in sizes)


class Probe:
    """What one thread needs to probe directions: an arena a sign, one perturbed layer a sign, a tape.

    Parameters
    ----------
    executor : Executor
        Runs the trained calls and all after them; taken for the first sign.
    trained : mapping
        The trained values of each trained call, by the call's name. Read at every probe, never written.
    config : TrainerConfig
    paired : bool
        Run both signs of a direction layer by layer, drawing z once (two arenas), or one sign after the
        other (one arena). The results are the same.
    """

    def __init__(self, executor: Executor, trained: Trained, config: TrainerConfig, *, paired: bool) -> None:
        self._config = config
        self._trained = trained
        self._executors = [executor]
        if paired:
            self._executors.append(Executor(executor.program, executor.batch, like=executor))
        self._scratch = [_LayerScratch(executor, trained) for _ in self._executors]
        self._table = direction_table(distribution_code(config))
        self._block = np.zeros(BLOCK, np.int8)
        self._one = _ProbeTape(self, self._executors[:1])
        self._both = _ProbeTape(self, self._executors) if paired else None

    @property
    def program(self) -> Program:
        """The Program of the trained calls and all after them."""
        return self._executors[0].program

    @property
    def scratch_bytes(self) -> int:
        """Bytes of the arenas and of the perturbed layers."""
        return sum(executor.plan.peak_bytes for executor in self._executors) + sum(
            scratch.nbytes for scratch in self._scratch
        )

    def run(
        self,
        features: NDArray[Any],
        step: int,
        direction: int,
        signs: Sequence[int],
        widths: Mapping[str, int],
    ) -> tuple[list[NDArray[Any]], int]:
        """Run the inferences of some signs of one direction on one batch of features.

        Return what each put out (a view of its arena) in the order of `signs`, and the number of
        perturbed values that were clipped. One call asks for one sign, or for (1, -1) where paired.
        """
        if len(signs) == 2 and self._both is not None:
            tape, executors = self._both, self._executors
        else:
            tape, executors = self._one, self._executors[:1]
        for executor in executors:
            executor.load(features)  # anew each time: an input does not outlive a run
        clipped = tape.run(step, direction, signs[0], widths)
        return [executor.view(self.program.outputs[0]) for executor in executors], clipped

    @property
    def paired(self) -> bool:
        """Whether `run` takes both signs at once."""
        return self._both is not None


class _ProbeTape:
    """The calls of one probe, and where its words are that change."""

    def __init__(self, probe: Probe, executors: Sequence[Executor]) -> None:
        self._tape = Tape()
        self._draws: list[dict[str, int]] = []
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
        self._steps = self._places("step")
        self._directions = self._places("direction")
        self._signs = self._places("sign")
        self._clipped = self._places("result")

    def _places(self, name: str) -> NDArray[np.int64]:
        return np.array([places[name] for places in self._draws if name in places], np.int64)

    def _add_trained(
        self,
        probe: Probe,
        executors: Sequence[Executor],
        bound: Sequence[BoundCall],
        items: Sequence[Trainable],
    ) -> None:
        spec = bound[0].call.spec
        name = bound[0].call.name
        places = [
            scratch.views(executor, name, items)
            for scratch, executor in zip(probe._scratch, executors, strict=False)
        ]
        for item in items:
            self._add_perturbation(probe, item, [values[item.role] for values, _ in places])
        for one, (values, prepared) in zip(bound, places, strict=True):
            arguments = {**one.arguments(), **values, **prepared}
            if spec.preparation is not None:
                roles = ("constant", "prepared", "parameter")
                self._tape.add(
                    spec.preparation.function, [a for a in spec.arguments if a.role in roles], arguments
                )
            words = self._tape.add(spec.function, spec.arguments, arguments)
            self._widths.setdefault(name, []).append(words["accumulator_bits"])

    def _add_perturbation(self, probe: Probe, item: Trainable, targets: list[NDArray[Any]]) -> None:
        config = probe._config
        outputs = dict(zip(("output",) if len(targets) == 1 else ("plus", "minus"), targets, strict=True))
        spec: KernelSpec = item.perturb if len(targets) == 1 else item.perturb_pair
        values = {
            "weights": item.values.reshape(-1),
            "epsilon": item.epsilon,
            "table": probe._table,
            "block": probe._block,
            **{name: target.reshape(-1) for name, target in outputs.items()},
            "seed": config.seed,
            "step": 0,
            "direction": 0,
            "tensor": item.tensor,
            "sign": 0,
            "form": form_code(config),
            "distribution": distribution_code(config),
        }
        self._draws.append(self._tape.add(spec.function, spec.arguments, values))

    def run(self, step: int, direction: int, sign: int, widths: Mapping[str, int]) -> int:
        words = self._tape.words
        words[self._steps] = step
        words[self._directions] = direction
        words[self._signs] = sign
        if widths is not self._last:
            for name, places in self._widths.items():
                words[places] = widths[name]
            self._last = widths
        self._tape.run()
        return int(words[self._clipped].sum())
