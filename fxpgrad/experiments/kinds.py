"""What each kind of experiment takes: its settings and the axes of its tasks, checked before it runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fxpgrad.errors import InputError
from fxpgrad.experiments.method_preset import MethodPreset, require_known
from fxpgrad.experiments.preset import Preset
from fxpgrad.tasks.corruptions import CORRUPTIONS, SEVERITIES
from fxpgrad.tasks.few_shot_data import SPLITS
from fxpgrad.tasks.shifts import SHIFTS

FEW_SHOT_FILES = {"tiny_imagenet": "fewshot/tinyimagenet32_50.npz", "cub": "fewshot/cub10_84.npz"}
_SETS = ("omniglot", *FEW_SHOT_FILES)


@dataclass(frozen=True, slots=True)
class _Field:
    """What a value must be, in words and as a test; whether it may be left out."""

    words: str
    fits: Callable[[Any], bool]
    optional: bool = False


def _text() -> _Field:
    return _Field("the name of a file", lambda value: isinstance(value, str) and value != "")


def _whole(least: int, *, optional: bool = False) -> _Field:
    def fits(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and value >= least

    return _Field(f"an integer of at least {least}", fits, optional)


def _one_of(choices: Sequence[Any], *, optional: bool = False) -> _Field:
    def fits(value: Any) -> bool:
        return any(type(value) is type(choice) and value == choice for choice in choices)

    return _Field(f"one of {', '.join(map(str, choices))}", fits, optional)


def shift_of_file(shift: str) -> tuple[str, float] | None:
    """Return ("none", 0), ("noise", its size in steps) or (corruption, severity); else None."""
    name, _, amount = shift.partition(" ")
    if name == "none":
        return None if amount else ("none", 0)
    if name == "noise":
        try:
            size = float(amount)
        except ValueError:
            return None
        return (name, size) if math.isfinite(size) and 0 <= size <= 255 else None
    severe = name in CORRUPTIONS and amount in map(str, SEVERITIES)
    return (name, int(amount)) if severe else None


_SHARE = _Field(
    "a number between 0 and 1", lambda value: isinstance(value, float) and 0 < value < 1, optional=True
)
_COUNT = _whole(2, optional=True)
_DATA = {
    "shift": {"net": _text(), "images": _text(), "calibration": _text(), "count": _COUNT, "share": _SHARE},
    "few_shot": {
        "ways": _whole(2),
        "shots": _whole(1),
        "queries": _whole(1),
        "task_seed": _whole(0, optional=True),
        "backbones": _Field("the name of a folder", lambda value: isinstance(value, str), optional=True),
        "sensor": _one_of(SHIFTS, optional=True),
    },
    "file": {"count": _COUNT, "share": _SHARE},
}
_TASKS = {
    "shift": {"corruption": _one_of(("none", *CORRUPTIONS)), "severity": _one_of(SEVERITIES)},
    "few_shot": {"set": _one_of(_SETS), "net": _text(), "split": _one_of(SPLITS), "task": _whole(0)},
    "file": {
        "model": _text(),
        "data": _text(),
        "shift": _Field(
            "'none', 'noise N' (N steps, at most 255), or '<corruption> <severity>' for images",
            lambda value: isinstance(value, str) and shift_of_file(value) is not None,
        ),
    },
}


def check_keys(preset: Preset) -> None:
    """Raise `InputError` for data, tasks or a validation that are not what the preset's kind takes."""
    where = f"preset {preset.name}"
    known = _DATA[preset.kind]
    for key, value in preset.data.items():
        require_known(key, list(known), f"{where}, data")
        _check(known[key], value, f"{where}, data: {key}")
    for key, field in known.items():
        if key not in preset.data and not field.optional:
            raise InputError(f"{where} lacks {key!r} in its table 'data': {field.words}")
    axes = _TASKS[preset.kind]
    for name, table in (("tasks", preset.tasks), ("validation", preset.validation)):
        for key, values in table.items():
            require_known(key, list(axes), f"{where}, {name}")
            for value in values:
                _check(axes[key], value, f"{where}, {name}: {key}")
            if len(set(values)) < len(values):
                raise InputError(f"{where}, {name}: {key} holds a value twice; got {values}")
        missing = [key for key in axes if table and key not in table]
        if missing:
            raise InputError(f"{where} has no axis {missing[0]!r} in its {name}")
    for method in preset.methods:
        _check_method(preset, method, f"{where}: method {method.name!r}")


def _check_method(preset: Preset, method: MethodPreset, where: str) -> None:
    """Raise `InputError` for a method that the preset's kind cannot run."""
    if preset.kind == "file" and method.baseline:
        raise InputError(f"{where} is a baseline, and a model file has no float network for it; leave it out")
    if method.loss != "prototypes":
        return
    if preset.kind != "few_shot":
        raise InputError(f"{where} has the loss 'prototypes', which is for few-shot tasks")
    samples = preset.data["ways"] * preset.data["shots"]
    if preset.data["shots"] < 2:
        raise InputError(
            f"{where} leaves each sample out of its own class, which needs 2 shots or more; got 1"
        )
    if preset.batch < samples:
        raise InputError(
            f"{where} takes class means of its batch, which must hold all {samples} samples to adapt by; "
            f"batch is {preset.batch}"
        )


def require_files(preset: Preset, task: Mapping[str, Any], folder: Path) -> None:
    """Raise `InputError` if a file that a task needs is not there."""
    for name in _files(preset, task):
        if not (folder / name).is_file():
            raise InputError(
                f"preset {preset.name} needs the file {folder / name}, which is not there; --data names the "
                "folder of the preset's files"
            )


def _files(preset: Preset, task: Mapping[str, Any]) -> Iterator[str]:
    if preset.kind == "shift":
        yield from (preset.data[key] for key in ("net", "images", "calibration"))
    elif preset.kind == "file":
        yield from (task["model"], task["data"])
    else:
        if task["set"] in FEW_SHOT_FILES:
            yield FEW_SHOT_FILES[task["set"]]
        if task["net"] != "bundled":
            yield str(Path(preset.data.get("backbones", "")) / task["net"])


def _check(field: _Field, value: Any, where: str) -> None:
    if not field.fits(value):
        raise InputError(f"{where} must be {field.words}; got {value!r}")
