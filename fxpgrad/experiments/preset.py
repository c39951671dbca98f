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
from fxpgrad.experiments.method_preset import MOST_TASKS, MethodPreset, fits, require_known
from fxpgrad.experiments.methods import MOST_FORWARDS
from fxpgrad.graph.attributes import nearest

Kind = Literal["shift", "few_shot", "file"]
_SUFFIX = ".toml"
_MOST_CHECKPOINTS = 1000


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
    pairs : list of [str, str]
        Further pairs of methods, in a table of their own: how far the first is ahead of the second.
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
    pairs: list[list[str]] = field(default_factory=list)

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
        for pair in self.pairs:
            if len(pair) != 2 or pair[0] == pair[1]:
                raise InputError(f"preset {self.name}: pairs must name two methods each; got {pair!r}")
            for unknown in (name for name in pair if name not in names):
                raise InputError(
                    f"preset {self.name}: pairs must name methods that are run; got "
                    f"{unknown!r}{nearest(unknown, tuple(names))}"
                )
        if not self.name or self.name.startswith(".") or set(self.name) & set("/\\\0"):
            raise InputError(f"preset {self.name!r}: its name must do for a file, without any folder")
        if not 0 < self.forwards <= MOST_FORWARDS or self.batch < 1:
            raise InputError(
                f"preset {self.name}: forwards and batch must be positive, forwards at most "
                f"{MOST_FORWARDS:g}; got {self.forwards} and {self.batch}"
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
    A preset may name another one, of the package, as its `base`: it then says only what is different.

    Raises
    ------
    InputError
        No such preset; not TOML; an unknown key, a missing one, a value of another type.
    """
    table, stem = _read(name)
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


def _read(name: str) -> tuple[dict[str, Any], str]:
    """Return a preset's tables, laid over those of its base, and what it is called."""
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
    base = table.pop("base", None)
    if base is None:
        return table, stem
    if base not in preset_names() or base == name:
        known = nearest(str(base), tuple(preset_names()))
        raise InputError(f"preset {name}: base must name a preset that comes along; got {base!r}{known}")
    return _merged(_read(base)[0], table), stem


def combinations(axes: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """Return one task for each combination of the axes' values, the last axis fastest."""
    if not axes:
        return []
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def _of_names(methods: list[dict[str, Any]], names: Any, where: str) -> list[dict[str, Any]]:
    """Return the methods of these names."""
    known = [str(entry.get("name")) for entry in methods]
    if not fits(names, "list[str]") or not names:
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
        count = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST_TASKS
        if not count and not (isinstance(value, list) and value):
            raise InputError(f"{where}: {key} must be a list that is not empty, or a number; got {value!r}")
        axes[key] = list(range(value)) if isinstance(value, int) else value
    return axes


def _built(cls: Any, table: Mapping[str, Any], where: str) -> Any:
    """Return a dataclass of a table, its keys and types checked."""
    kinds = {item.name: str(item.type) for item in fields(cls)}
    for key, value in table.items():
        require_known(key, list(kinds), where)
        if not fits(value, kinds[key]):
            raise InputError(f"{where}: {key} must be {kinds[key]}; got {value!r}")
    required = (f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING)
    for key in required:
        if key not in table:
            raise InputError(f"{where} lacks the key {key!r}")
    return cls(**table)
