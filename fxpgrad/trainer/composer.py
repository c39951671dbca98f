"""Directions that are more than a draw: the calls on a tape that put z together in a slab, and use it.

One slab of a layer at a time: z in one byte a value, sums of directions in eight, and, where the probes'
centre is moved, the moved values. Nothing of it outlives the slab, nothing but scalars outlives the step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.guidance import Guidance
from fxpgrad.trainer.trainable import FULL_DENSITY, Scale, Trainable, distribution_code, rounding_code
from fxpgrad_kernels.random.distributions import direction_table
from fxpgrad_kernels.registry import kernel_named
from fxpgrad_kernels.tape import Tape
from fxpgrad_kernels.training.direction import BLOCK
from fxpgrad_kernels.training.exact_gradient import WORDS
from fxpgrad_kernels.training.update import RoundingRule

SLAB = 2**13  # values
_FIXED = 2**24 - 1  # the direction, of step 0, whose random bits thin all directions alike


class Places:
    """Where a tape's words are that change from run to run, by what they hold."""

    def __init__(self) -> None:
        self._lists: dict[str, list[int]] = {}

    def note(self, words: dict[str, int], **names: str) -> None:
        """Remember words of one call: argument name = what it holds."""
        for argument, holds in names.items():
            self._lists.setdefault(holds, []).append(words[argument])

    def of(self, holds: str) -> NDArray[np.int64]:
        """Return the places of all words that hold the same."""
        return np.array(self._lists.get(holds, []), np.int64)


def slabs_within(shape: Sequence[int], most: int, part: int = 8) -> list[slice]:
    """Cut the first axis into runs of about `most` values, a multiple of `part` rows each."""
    rows, size = shape[0], int(np.prod(shape[1:], dtype=np.int64))
    step = part * max(1, most // (part * size))
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


class Composer:
    """One thread's slab, and what a tape does with it.

    Parameters
    ----------
    items : iterable of (Trainable, int)
        What is composed, with the values of its largest slab.
    config : TrainerConfig
    guidance : Guidance
        Read by the tape at every run.
    """

    def __init__(
        self, items: Iterable[tuple[Trainable, int]], config: TrainerConfig, guidance: Guidance
    ) -> None:
        self._config, self._guidance = config, guidance
        sizes = [(item, size) for item, size in items if item.parts is not None]
        most = max((size for _, size in sizes), default=0)
        self._table = direction_table(distribution_code(config))
        self._z = np.zeros(most, np.int8)
        self._centred = bool(config.sharpness or config.look_ahead)
        self._gradient = np.zeros(0, np.int64)  # these two: when a call first needs them
        self._centre = np.zeros(0, np.uint8)
        self._most = most, max((size * item.values.itemsize for item, size in sizes), default=0)
        self._block = np.zeros(BLOCK if sizes else 0, np.int8)
        self._words = np.zeros(WORDS, np.uint32)
        self._counts = np.zeros(2, np.int64)

    @property
    def nbytes(self) -> int:
        """Bytes of the slab: z, sums if a centre or a step needs them, the moved centre."""
        return self._z.nbytes + self._gradient.nbytes + self._centre.nbytes

    def add_probe(
        self, tape: Tape, places: Places, item: Trainable, slab: slice, targets: Sequence[NDArray[Any]]
    ) -> None:
        """Write a slab's values, perturbed along the direction that the words name, to one target a sign."""
        first, values = first_index(item, slab), item.values[slab].reshape(-1)
        if self._centred:
            values = self._add_centre(tape, places, item, slab)
        z = self._add_direction(tape, places, item, slab, "")
        epsilon = own_channels(item, item.epsilon, first, values.size)
        for number, target in enumerate(targets):
            arguments = {"weights": values, "epsilon": epsilon, "z": z, "output": target, "sign": 0}
            words = tape.add(item.perturb_along.function, item.perturb_along.arguments, arguments)
            places.note(
                words, sign=f"{'opposite ' if number else ''}sign of block {item.block}", result="clipped"
            )

    def add_step(
        self,
        tape: Tape,
        places: Places,
        item: Trainable,
        slab: slice,
        scalars: NDArray[np.int32],
        counts: NDArray[np.int64],
    ) -> None:
        """Take a slab's part of the step that the scalars mean, in place."""
        gradient = self._add_sum(tape, places, item, slab, scalars, "")
        assert item.parts is not None
        self._add_descent(
            tape, places, item, slab, item.values[slab].reshape(-1), gradient, (item.multiplier, item.shift),
            item.parts.decay, rounding_code(self._config), counts,
        )  # fmt: skip

    def _add_centre(self, tape: Tape, places: Places, item: Trainable, slab: slice) -> NDArray[Any]:
        """Write the slab's values moved to the probes' centre; return where they are."""
        values = item.values[slab].reshape(-1)
        if not self._centre.size:
            self._centre = np.zeros(self._most[1], np.uint8)
        centre = self._centre[: values.nbytes].view(values.dtype)
        nothing = {"epsilon": np.zeros(1, np.int32), "z": self._z[: values.size], "sign": 0}
        copying = {"weights": values, **nothing, "output": centre}
        tape.add(item.copy.function, item.copy.arguments, copying)
        assert item.parts is not None
        moves: list[tuple[NDArray[np.int32], Scale, str]] = []
        if self._config.sharpness:
            moves.append((self._guidance.ascent[item.block], item.parts.uphill, " uphill"))
        if self._config.look_ahead:
            moves.append((self._guidance.last[item.block], item.parts.ahead, " before"))
        for scalars, scale, which in moves:
            gradient = self._add_sum(tape, places, item, slab, scalars, which)
            none = np.zeros(scale[0].size, np.int32)
            rule = int(RoundingRule.NEAREST)
            self._add_descent(tape, places, item, slab, centre, gradient, scale, none, rule, self._counts)
        return centre

    def _add_sum(
        self,
        tape: Tape,
        places: Places,
        item: Trainable,
        slab: slice,
        scalars: NDArray[np.int32],
        which: str,
    ) -> NDArray[np.int64]:
        """Sum the directions of one step, each times its scalar; return where the sums are."""
        if not self._gradient.size:
            self._gradient = np.zeros(self._most[0], np.int64)
        gradient = self._gradient[: item.values[slab].size]
        for index in range(scalars.size):
            direction = self._config.num_directions if which == " uphill" else index
            z = self._add_direction(tape, places, item, slab, which, direction)
            arguments = {
                "z": z, "scalars": scalars, "before": gradient, "gradient": gradient, "index": index,
            }  # fmt: skip
            spec = kernel_named("add_direction")
            tape.add(spec.function, spec.arguments, arguments)
        return gradient

    def _add_descent(
        self,
        tape: Tape,
        places: Places,
        item: Trainable,
        slab: slice,
        values: NDArray[Any],
        gradient: NDArray[np.int64],
        scale: Scale,
        decay: NDArray[np.int32],
        rule: int,
        counts: NDArray[np.int64],
    ) -> None:
        first = first_index(item, slab)
        multiplier, shift, own = (own_channels(item, array, first, values.size) for array in (*scale, decay))
        arguments = {
            "weights": values, "gradient": gradient, "multiplier": multiplier, "shift": shift, "decay": own,
            "words": self._words, "counts": counts, "seed": self._config.seed, "step": 0,
            "tensor": item.tensor, "rounding_rule": rule, "coarse": 0, "first_index": first,
        }  # fmt: skip
        places.note(tape.add(item.descend.function, item.descend.arguments, arguments), step="step")

    def _add_direction(
        self,
        tape: Tape,
        places: Places,
        item: Trainable,
        slab: slice,
        which: str,
        direction: int | None = None,
    ) -> NDArray[np.int8]:
        """Put z together; return where it is.

        which: "" for this step's, " uphill" for its extra direction, " before" for the last step's.
        direction: None where a word says which.
        """
        parts, config, guidance = item.parts, self._config, self._guidance
        assert parts is not None
        values = item.values[slab].reshape(-1)
        first, z = first_index(item, slab), self._z[: values.size]
        stream = {
            "seed": config.seed, "step": 0, "direction": direction or 0, "tensor": item.tensor,
            "first_index": first, "z": z, "block": self._block, "output": z,
        }  # fmt: skip
        common = {**stream, "table": self._table, "distribution": distribution_code(config)}
        step = "step before" if which == " before" else "step"

        def add(name: str, arguments: dict[str, Any], **names: str) -> None:
            spec = kernel_named(name)
            places.note(tape.add(spec.function, spec.arguments, arguments), **names)

        named = {"step": step} if direction is not None else {"step": step, "direction": "direction"}
        add("fill_direction", common, **named)
        if config.momentum:
            history = guidance.history_before if which == " before" else guidance.history
            guided = {**common, "weights": history[item.block], "own": 0}
            add("guide_direction", guided, step=step, own=f"own{' before' if which == ' before' else ''}")
        if parts.density < FULL_DENSITY:
            add("thin_direction", {**stream, "density": parts.density}, **named)
        if parts.fixed_density < FULL_DENSITY:
            add("thin_direction", {**stream, "density": parts.fixed_density, "direction": _FIXED})
        if parts.bounds is not None:
            low, high = (own_channels(item, bound, first, values.size) for bound in parts.bounds)
            add(item.mask.name, {"z": z, "weights": values, "low": low, "high": high, "output": z})
        return z


def first_index(item: Trainable, slab: slice) -> int:
    """Return the index in the tensor of a slab's first value."""
    return int(slab.start or 0) * int(item.values.size // item.values.shape[0])


def own_channels(item: Trainable, array: NDArray[Any], first: int, count: int) -> NDArray[Any]:
    """Return the entries of a per-channel array for the values from `first` on."""
    each = item.values.size // array.size
    return array[first // each : (first + count - 1) // each + 1]
