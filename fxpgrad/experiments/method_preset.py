"""A method of a preset: a way of adapting, its keys and values checked."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from fxpgrad.errors import InputError
from fxpgrad.experiments.baselines import BASELINES
from fxpgrad.experiments.methods import MOST_FORWARDS
from fxpgrad.graph.attributes import nearest
from fxpgrad.trainer.config import TrainerConfig

MOST_TASKS = 10**6
Loss = Literal["head", "prototypes"]
_NUMBERS = (int, float)
_OPTIONS = {"optimizer": "str", "momentum": "float", "last": "int", "whole_head": "bool", "schedule": "str"}


@dataclass(frozen=True, slots=True)
class MethodPreset:
    """A way of adapting, as a preset names it.

    Attributes
    ----------
    name, title : str
        For machines, and for people.
    baseline : str
        One of `baselines.BASELINES`; empty for the integer trainer.
    weight_bits : int
        8 or 16: of the integer network.
    times : float
        The method's budget, in budgets of the experiment. 0: nothing is trained.
    rates : list of float
        Learning rates; more than one: the best on the validation tasks is taken.
    rate_of : {"learning_rate", "head_rate"}
        Which setting of the trainer a rate is.
    probe : list of {"epsilon", "head_rate"}
        Take epsilon from a window that is measured first; search the exact head's rate first, as adapt does.
    loss : {"head", "prototypes"}
        Cross-entropy of the last layer's logits; or, in few-shot tasks, of distances to the class means of
        the batch, each sample left out of its own (ProtoNet): then there is no head, and the network that
        comes out is judged by its new prototypes.
    align : int
        Align layers first (`fxpgrad.trainer.alignment`), on so many training samples without their labels.
    trainer : dict
        Fields of `TrainerConfig`.
    sweep : dict
        Trainer fields with lists of values: one method for each combination.
    options : dict
        Further arguments of `run_baseline`.
    """

    name: str
    title: str = ""
    baseline: str = ""
    weight_bits: int = 8
    times: float = 1.0
    rates: list[float] = field(default_factory=list)
    rate_of: str = "learning_rate"
    probe: list[str] = field(default_factory=list)
    loss: str = "head"
    align: int = 0
    trainer: dict[str, Any] = field(default_factory=dict)
    sweep: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        where = f"method {self.name!r}"
        if not self.name:
            raise InputError("a method of the preset has an empty name")
        if self.weight_bits not in (8, 16):
            raise InputError(f"{where}: weight_bits must be 8 or 16; got {self.weight_bits}")
        if self.rate_of not in ("learning_rate", "head_rate"):
            raise InputError(f"{where}: rate_of must be 'learning_rate' or 'head_rate'; got {self.rate_of!r}")
        if self.baseline and (self.trainer or self.sweep) and not self.baseline.startswith("ff_"):
            raise InputError(f"{where}: trainer settings are for forward gradients, not for {self.baseline}")
        if not (0 <= self.times <= MOST_FORWARDS):
            raise InputError(f"{where}: times must be in [0, {MOST_FORWARDS:g}]; got {self.times}")
        if len(set(self.rates)) < len(self.rates):
            raise InputError(f"{where}: rates must differ; got {self.rates}")
        for key in ("seed", *([self.rate_of] if self.rates else [])):
            if key in self.trainer or key in self.sweep:
                raise InputError(
                    f"{where}: {key} is no trainer setting of a preset: seeds and rates say which there are"
                )
        if not 0 <= self.align <= MOST_TASKS:
            raise InputError(f"{where}: align must be a number of samples, 0 for none; got {self.align}")
        self._check_baseline(where)
        rates: list[float | None] = [*self.rates] or [None]
        for rate in rates:
            try:
                config = self.config(rate, 0)
            except InputError as error:
                raise InputError(f"{where}: {error}") from error
        if not self.sweep:  # else its methods are checked, one by one
            self._check_rate(where, config)
            self._check_probe(where, config)
            self._check_loss(where, config)

    def _check_rate(self, where: str, config: TrainerConfig) -> None:
        if self.rate_of == "head_rate" and (config.head != "exact" or self.baseline.startswith("bp_")):
            raise InputError(f"{where}: rate_of 'head_rate' needs the trainer setting head = \"exact\"")

    def _check_loss(self, where: str, config: TrainerConfig) -> None:
        if self.loss not in get_args(Loss):
            raise InputError(f"{where}: loss must be one of {', '.join(get_args(Loss))}; got {self.loss!r}")
        if self.loss == "head":
            return
        scope = self.baseline.split("_", 1)[1] if self.baseline else config.scope
        if self.probe or self.baseline.startswith("qat_") or scope not in ("ft", "affine", "last_k"):
            raise InputError(
                f"{where}: the loss 'prototypes' is for the scopes ft, affine and last_k of the trainer, of "
                "bp_ and of ff_ baselines, without probe"
            )
        if config.head == "exact" or config.rows == "split" or self.options.get("whole_head"):
            raise InputError(
                f"{where}: the loss 'prototypes' has no head and needs all rows at once: head 'forward', "
                "rows 'shared', and no whole_head"
            )

    def _check_probe(self, where: str, config: TrainerConfig) -> None:
        for name in self.probe:
            require_known(name, ["epsilon", "head_rate"], f"probe of {where}")
        if self.times and not self.rates and not ("head_rate" in self.probe and config.head_alone):
            raise InputError(f"{where}: rates must hold at least one learning rate")
        if "epsilon" in self.probe and config.head_alone:
            raise InputError(f"{where}: probe epsilon is not for an exact head alone, which probes nothing")
        given = "head_rate" in self.trainer or (bool(self.rates) and self.rate_of == "head_rate")
        if "head_rate" in self.probe and (given or config.head != "exact"):
            raise InputError(f"{where}: probe head_rate needs an exact head whose rate is not given as well")

    def _check_baseline(self, where: str) -> None:
        if self.baseline and self.baseline not in BASELINES:
            raise InputError(
                f"{where}: baseline must be one of {', '.join(BASELINES)}; got {self.baseline!r}"
            )
        if self.baseline and self.probe:
            raise InputError(f"{where}: probe is for the integer trainer, not for {self.baseline}")
        if self.options and (not self.baseline or self.baseline.startswith("ff_")):
            raise InputError(f"{where}: options are for baselines of backpropagation")
        for key, value in self.options.items():
            require_known(key, list(_OPTIONS), f"options of {where}")
            if not fits(value, _OPTIONS[key]):
                raise InputError(f"options of {where}: {key} must be {_OPTIONS[key]}; got {value!r}")

    def config(self, rate: float | None, seed: int) -> TrainerConfig:
        """Return the trainer's settings at a rate."""
        known = [item.name for item in fields(TrainerConfig)]
        for key in self.trainer:
            require_known(key, known, f"trainer of method {self.name!r}")
        settings = {**self.trainer, "seed": seed} | ({} if rate is None else {self.rate_of: rate})
        return TrainerConfig(**settings)

    def swept(self) -> list[MethodPreset]:
        """Return one method for each combination of the sweep's values."""
        if not self.sweep:
            return [self]
        for key, listed in self.sweep.items():
            if not isinstance(listed, list) or not listed:
                raise InputError(
                    f"method {self.name!r}: sweep must hold lists that are not empty; got {key} = {listed!r}"
                )
        methods = []
        for values in itertools.product(*self.sweep.values()):
            chosen = dict(zip(self.sweep, values, strict=True))
            text = ", ".join(f"{key} {value}" for key, value in chosen.items())
            methods.append(
                MethodPreset(
                    f"{self.name} {text}", f"{self.title or self.name}, {text}", self.baseline,
                    self.weight_bits, self.times, self.rates, self.rate_of, self.probe,
                    self.loss, self.align, {**self.trainer, **chosen}, {}, self.options,
                )
            )  # fmt: skip
        return methods


def require_known(key: str, known: list[str], where: str) -> None:
    """Raise `InputError` for an unknown key, naming the nearest known one."""
    if key not in known:
        raise InputError(f"{where} has the unknown key {key!r}{nearest(key, tuple(known))}")


def fits(value: Any, kind: str) -> bool:
    """Whether a TOML value is of the type that an annotation names."""
    if kind == "bool":
        return isinstance(value, bool)
    if kind in ("int", "float"):
        return isinstance(value, int if kind == "int" else _NUMBERS) and not isinstance(value, bool)
    if kind == "str":
        return isinstance(value, str)
    if kind.startswith("list"):
        inner = kind[5:-1]
        return isinstance(value, list) and all(fits(entry, inner) for entry in value)
    return isinstance(value, dict if kind.startswith("dict") else tuple)
