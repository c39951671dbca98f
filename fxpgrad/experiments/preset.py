"""Presets: an experiment as a TOML file, read strictly: an unknown key or a wrong type is an error."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

from fxpgrad.errors import InputError
from fxpgrad.experiments.baselines import BASELINES
from fxpgrad.graph.attributes import nearest
from fxpgrad.trainer.config import TrainerConfig

Kind = Literal["shift", "few_shot", "file"]
_SUFFIX = ".toml"
_NUMBERS = (int, float)
_MOST_FORWARDS = 1e6  # of a sample: beyond it a slip of the pen is likelier than patience
_MOST_CHECKPOINTS = 1000
_MOST_TASKS = 10**6
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
        if not (0 <= self.times <= _MOST_FORWARDS):
            raise InputError(f"{where}: times must be in [0, {_MOST_FORWARDS:g}]; got {self.times}")
        if self.times and not self.rates and "head_rate" not in self.probe:
            raise InputError(f"{where}: rates must hold at least one learning rate")
        if len(set(self.rates)) < len(self.rates):
            raise InputError(f"{where}: rates must differ; got {self.rates}")
        for key in ("seed", *([self.rate_of] if self.rates else [])):
            if key in self.trainer or key in self.sweep:
                raise InputError(
                    f"{where}: {key} is no trainer setting of a preset: seeds and rates say which there are"
                )
        if not 0 <= self.align <= _MOST_TASKS:
            raise InputError(f"{where}: align must be a number of samples, 0 for none; got {self.align}")
        self._check_probe(where)
        self._check_baseline(where)
        rates: list[float | None] = [*self.rates] or [None]
        for rate in rates:
            try:
                self.config(rate, 0)
            except InputError as error:
                raise InputError(f"{where}: {error}") from error

    def _check_probe(self, where: str) -> None:
        if self.baseline and self.probe:
            raise InputError(f"{where}: probe is for the integer trainer, not for {self.baseline}")
        for name in self.probe:
            require_known(name, ["epsilon", "head_rate"], f"probe of {where}")
        given = "head_rate" in self.trainer or (bool(self.rates) and self.rate_of == "head_rate")
        exact = bool(self.sweep) or self.trainer.get("head") == "exact"
        if "head_rate" in self.probe and (given or not exact):
            raise InputError(f"{where}: probe head_rate needs an exact head whose rate is not given as well")

    def _check_baseline(self, where: str) -> None:
        if self.baseline and self.baseline not in BASELINES:
            raise InputError(
                f"{where}: baseline must be one of {', '.join(BASELINES)}; got {self.baseline!r}"
            )
        if self.options and (not self.baseline or self.baseline.startswith("ff_")):
            raise InputError(f"{where}: options are for baselines of backpropagation")
        for key, value in self.options.items():
            require_known(key, list(_OPTIONS), f"options of {where}")
            if not _fits(value, _OPTIONS[key]):
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
                    self.align, {**self.trainer, **chosen}, {}, self.options,
                )
            )  # fmt: skip
        return methods


@dataclass(frozen=True, slots=True)
class Preset:
    """An experiment.

    Attributes
    ----------
    name, title, about : str
    kind : {"shift", "few_shot", "file"}
        What is adapted to what; see `cases`.
    data : dict
        Settings of the kind that all tasks share.
    tasks, validation : dict of list
        Axes of the tasks, whose combinations are the tasks that methods are judged on, and those that
        learning rates are chosen by. A number n stands for 0..n-1.
    seeds : list of int
    forwards : float
        Budget in inferences of each training sample; a step of backpropagation counts as three.
    batch : int
        Samples per step.
    checkpoints : int
        Points of a run at which the accuracy is measured, beside the first and the last.
    methods : tuple of MethodPreset
    compare : str
        The method that the others are paired with in the tables; empty for none.
    """

    name: str
    title: str
    kind: str
    tasks: dict[str, list[Any]]
    methods: tuple[MethodPreset, ...]
    about: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    validation: dict[str, list[Any]] = field(default_factory=dict)
    seeds: list[int] = field(default_factory=lambda: [0])
    forwards: float = 20.0
    batch: int = 50
    checkpoints: int = 0
    compare: str = ""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise InputError(
                f"preset {self.name}: kind must be one of {', '.join(get_args(Kind))}; got {self.kind!r}"
            )
        names = [method.name for method in self.methods]
        if not names or len(set(names)) != len(names):
            raise InputError(f"preset {self.name} needs methods of different names; got {names}")
        if self.compare and self.compare not in names:
            raise InputError(f"preset {self.name}: compare must name a method; got {self.compare!r}")
        if not self.name or self.name.startswith(".") or set(self.name) & set("/\\\0"):
            raise InputError(f"preset {self.name!r}: its name must do for a file, without any folder")
        if not 0 < self.forwards <= _MOST_FORWARDS or self.batch < 1:
            raise InputError(
                f"preset {self.name}: forwards and batch must be positive, forwards at most "
                f"{_MOST_FORWARDS:g}; got {self.forwards} and {self.batch}"
            )
        if not 0 <= self.checkpoints <= _MOST_CHECKPOINTS:
            raise InputError(
                f"preset {self.name}: checkpoints must be in 0..{_MOST_CHECKPOINTS}; got {self.checkpoints}"
            )
        distinct = 0 < len(self.seeds) == len(set(self.seeds))
        if not distinct or not all(0 <= seed < 2**63 for seed in self.seeds):
            raise InputError(
                f"preset {self.name}: seeds must be different integers in [0, 2**63); got {self.seeds}"
            )
        searching = [method.name for method in self.methods if len(method.rates) > 1 and method.times]
        if searching and not self.validation:
            raise InputError(
                f"preset {self.name}: {searching[0]} has several rates but there is no validation"
            )


def preset_names() -> list[str]:
    """Return the names of the presets that come with the package."""
    folder = resources.files("fxpgrad.experiments") / "presets"
    return sorted(file.name[: -len(_SUFFIX)] for file in folder.iterdir() if file.name.endswith(_SUFFIX))


def load_preset(name: str, *, quick: bool = False) -> Preset:
    """Return a preset that comes with the package, or that of a .toml file.

    quick: with the values of its table `quick` in place of the usual ones; its `methods` are names, of those
    that the shorter form runs.

    Raises
    ------
    InputError
        No such preset; not TOML; an unknown key, a missing one, a value of another type.
    """
    if name.endswith(_SUFFIX):
        try:
            text, stem = Path(name).read_text("utf-8"), Path(name).stem
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read the preset {name}: {error}") from error
    else:
        if name not in preset_names():
            raise InputError(
                f"no preset is called {name!r}{nearest(name, tuple(preset_names()))}; or name a .toml file"
            )
        folder = resources.files("fxpgrad.experiments") / "presets"
        text, stem = (folder / f"{name}{_SUFFIX}").read_text("utf-8"), name
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"preset {name} is not TOML: {error}") from error
    shorter = table.pop("quick", {})
    if not isinstance(shorter, dict):
        raise InputError(f"preset {name}: quick must be a table; got {shorter!r}")
    if quick:
        if not shorter:
            raise InputError(f"preset {name} has no table 'quick'")
        table = _merged(table, {key: value for key, value in shorter.items() if key != "methods"})
    methods = table.pop("methods", [])
    if not isinstance(methods, list) or not all(isinstance(entry, dict) for entry in methods):
        raise InputError(f"preset {name}: methods must be a list of tables")
    if quick and "methods" in shorter:
        methods = _of_names(methods, shorter["methods"], f"preset {name}, quick")
    built = [_built(MethodPreset, entry, f"preset {name}, methods") for entry in methods]
    found = {"name": stem, **table, "methods": tuple(m for method in built for m in method.swept())}
    for axes in ("tasks", "validation"):
        found[axes] = _axes(found.get(axes, {}), f"preset {name}, {axes}")
    preset: Preset = _built(Preset, found, f"preset {name}")
    return preset


def combinations(axes: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """Return one task for each combination of the axes' values, the last axis fastest."""
    if not axes:
        return []
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def require_known(key: str, known: list[str], where: str) -> None:
    """Raise `InputError` for an unknown key, naming the nearest known one."""
    if key not in known:
        raise InputError(f"{where} has the unknown key {key!r}{nearest(key, tuple(known))}")


def _of_names(methods: list[dict[str, Any]], names: Any, where: str) -> list[dict[str, Any]]:
    """Return the methods of these names."""
    known = [str(entry.get("name")) for entry in methods]
    if not _fits(names, "list[str]") or not names:
        raise InputError(f"{where}: methods must be a list of names; got {names!r}")
    for name in names:
        require_known(name, known, f"{where}, methods")
    return [entry for entry in methods if entry.get("name") in names]


def _merged(table: dict[str, Any], shorter: dict[str, Any]) -> dict[str, Any]:
    merged = dict(table)
    for key, value in shorter.items():
        old = merged.get(key)
        merged[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _axes(table: Any, where: str) -> dict[str, list[Any]]:
    if not isinstance(table, dict):
        raise InputError(f"{where} must be a table of lists")
    axes = {}
    for key, value in table.items():
        count = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MOST_TASKS
        if not count and not (isinstance(value, list) and value):
            raise InputError(f"{where}: {key} must be a list that is not empty, or a number; got {value!r}")
        axes[key] = list(range(value)) if isinstance(value, int) else value
    return axes


def _built(cls: Any, table: Mapping[str, Any], where: str) -> Any:
    """Return a dataclass of a table, its keys and types checked."""
    kinds = {item.name: str(item.type) for item in fields(cls)}
    for key, value in table.items():
        require_known(key, list(kinds), where)
        if not _fits(value, kinds[key]):
            raise InputError(f"{where}: {key} must be {kinds[key]}; got {value!r}")
    required = (f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING)
    for key in required:
        if key not in table:
            raise InputError(f"{where} lacks the key {key!r}")
    return cls(**table)


def _fits(value: Any, kind: str) -> bool:
    if kind == "bool":
        return isinstance(value, bool)
    if kind in ("int", "float"):
        return isinstance(value, int if kind == "int" else _NUMBERS) and not isinstance(value, bool)
    if kind == "str":
        return isinstance(value, str)
    if kind.startswith("list"):
        inner = kind[5:-1]
        return isinstance(value, list) and all(_fits(entry, inner) for entry in value)
    return isinstance(value, dict if kind.startswith("dict") else tuple)
