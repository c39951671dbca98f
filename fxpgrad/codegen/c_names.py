"""Names of a Program as C identifiers: legal, unique, and still to be recognized."""

from __future__ import annotations

import re
from collections.abc import Iterable

from fxpgrad.codegen.ports import device_stems
from fxpgrad.program.layer_names import short_name

_LONGEST = 62
# What a project has files, executables or folders of, whatever the model is called; headers of C that its
# files include; and the board's own file.
_OURS = (
    "cmakelists",
    "host_main",
    "infer",
    "kernels",
    "makefile",
    "readme",
    "selftest",
    "train",
    "train_main",
)
_TAKEN = frozenset((*_OURS, "errno", "stdint", "stdio", "stdlib", "string", "cortex_m"))
# What names of tensors, constants, gains, tensors of a pass and golden values start with.
_LOCAL = ("t", "c", "g", "p", "golden")


def letters_of(name: str) -> str:
    """Return the letters, digits and single underscores of a name, its end where it is long; may be empty.

    A long path loses its first parts, whole: half of "depthwise_conv2d" would name another layer.
    """
    parts = [re.sub(r"[^A-Za-z0-9]+", "_", part).strip("_") for part in short_name(name).split("/")]
    parts = [part for part in parts if part]
    while len(parts) > 1 and len("_".join(parts)) > _LONGEST:
        del parts[0]
    text = "_".join(parts)
    if len(text) > _LONGEST:  # from the start of a word on, if there is one
        text = text[-_LONGEST:]
        text = text.partition("_")[2] or text
    return text.strip("_")


def prefix_of(model: str) -> str:
    """Return what all global names of a model, and its files, start with."""
    text = letters_of(model)
    if not text or text[0].isdigit() or text.lower().startswith("fxp"):  # fxp is the kernels' own
        text = f"model_{text}".rstrip("_")
    if text.lower().partition("_")[0] in _LOCAL:
        text = f"model_{text}"
    taken = text.lower() in _TAKEN or text.lower() in device_stems() or text.lower().endswith("_constants")
    return f"{text}_model" if taken else text


def unique_names(names: Iterable[str], start: str = "") -> dict[str, str]:
    """Return an identifier for each name: `start` and its letters, numbered where two would agree.

    Identifiers differ in more than upper and lower case, so that macros made of them differ too.
    """
    chosen: dict[str, str] = {}
    used: set[str] = set()
    for name in names:
        wanted = start + (letters_of(name) or "unnamed")
        candidate, number = wanted, 1
        while candidate.lower() in used:
            number += 1
            candidate = f"{wanted}_{number}"
        used.add(candidate.lower())
        chosen[name] = candidate
    return chosen
