"""Updates: the step of some trained values, all of them in one native call."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fxpgrad.trainer.composer import SLAB, Composer, Places, slabs_within
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.guidance import Guidance
from fxpgrad.trainer.trainable import Trainable, distribution_code, rounding_code
from fxpgrad_kernels.random.distributions import direction_table
from fxpgrad_kernels.tape import Tape
from fxpgrad_kernels.training.update import BLOCK


class Update:
    """Rewrites the values of some trainables in place; different ones may run on different threads."""

    def __init__(self, items: Sequence[Trainable], config: TrainerConfig, guidance: Guidance) -> None:
        self._scalars = np.zeros(config.num_directions, np.int32)
        self._config, self._guidance = config, guidance
        slabs = {item.name: slabs_within(item.values.shape, SLAB) for item in items}
        self._composer = Composer(
            ((item, item.values[slabs[item.name][0]].size) for item in items), config, guidance
        )
        rows = {item.name: len(slabs[item.name]) if item.parts else 1 for item in items}
        self._counts = np.zeros((sum(rows.values()), 2), np.int64)
        self._table = direction_table(distribution_code(config))
        self._block = np.zeros((1, BLOCK), np.int8)
        tapes: dict[int, tuple[Tape, Places]] = {}
        row = 0
        for item in items:
            tape, places = tapes.setdefault(item.block, (Tape(), Places()))
            counts = self._counts[row : row + rows[item.name]]
            row += rows[item.name]
            if item.parts is None:
                self._add(tape, places, item, counts[0])
                continue
            for slab, own in zip(slabs[item.name], counts, strict=True):
                self._composer.add_step(tape, places, item, slab, self._scalars, own)
        self._tapes = {
            block: (tape, places.of("step"), places.of("own")) for block, (tape, places) in tapes.items()
        }

    def _add(self, tape: Tape, places: Places, item: Trainable, counts: NDArray[np.int64]) -> None:
        values = {
            "weights": item.values.reshape(-1),
            "signs": self._scalars,
            "multiplier": item.multiplier,
            "shift": item.shift,
            "table": self._table,
            "block": self._block,
            "counts": counts,
            "seed": self._config.seed,
            "step": 0,
            "tensor": item.tensor,
            "rounding_rule": rounding_code(self._config),
            "distribution": distribution_code(self._config),
        }
        places.note(tape.add(item.update.function, item.update.arguments, values), step="step")

    @property
    def scratch_bytes(self) -> int:
        """Bytes of a composed direction's slab."""
        return self._composer.nbytes

    def run(self, step: int, scalars: tuple[int, ...]) -> tuple[int, int]:
        """Take the step; return how many values moved and how many were clipped."""
        block = self._guidance.block_of(step)
        if block not in self._tapes:
            return 0, 0
        tape, steps, own = self._tapes[block]
        self._scalars[:] = scalars
        self._counts[:] = 0
        tape.words[steps] = step
        tape.words[own] = self._guidance.own
        tape.run()
        moved, clipped = np.add.reduce(self._counts).tolist()
        return moved, clipped
