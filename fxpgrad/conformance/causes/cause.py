"""One way to be wrong: a definition with one thing changed, and the sentence that names the change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fxpgrad.conformance.calls import Case
from fxpgrad.conformance.definition import Arrays, expected_of
from fxpgrad.conformance.legality import REFUSALS
from fxpgrad_kernels.spec import KernelSpec

Changed = Mapping[str, Any]
Edit = Callable[[Case], Changed | None]


@dataclass(frozen=True, slots=True)
class Cause:
    """A changed definition.

    Attributes
    ----------
    name : str
        A few words, the same for every kernel.
    sentence : str
        What the target does, and what it should do.
    outputs : callable
        What the changed definition writes in a case; None where it says nothing of it.
    edit : callable, optional
        What is other in a case, where the change is one of arguments.
    """

    name: str
    sentence: str
    outputs: Callable[[Case], Arrays | None]
    edit: Edit | None = None

    def after(self, other: Cause) -> Cause:
        """Return the cause that is both: this one where another, which has an edit, changes the arguments."""
        change = other.edit
        assert change is not None

        def outputs(case: Case) -> Arrays | None:
            changed = change(case)
            return None if changed is None else self.outputs({**case, **changed})

        return Cause(f"{other.name} + {self.name}", f"{other.sentence}; and {self.sentence}", outputs)


def by_edit(spec: KernelSpec, name: str, sentence: str, edit: Edit) -> Cause:
    """Return the cause in which the definition is computed from other arguments.

    Parameters
    ----------
    edit : callable
        What is other in a case; None where it cannot be said.
    """

    def outputs(case: Case) -> Arrays | None:
        changed = edit(case)
        if changed is None:
            return None
        other = {**case, **changed}
        if other.get("accumulator_bits") == 32:
            other["accumulator_bits"] = 64  # the promise was made for the case as it was
        try:
            return expected_of(spec, other)
        except (*REFUSALS, TypeError, KeyError):
            return None

    return Cause(name, sentence, outputs, edit)


def given(**values: Any) -> Edit:
    """Return the edit that sets arguments to these values."""
    return lambda case: values


def taken(**sources: str) -> Edit:
    """Return the edit that gives arguments the values of others: ``taken(pad_top="pad_left")``."""
    return lambda case: {name: case[source] for name, source in sources.items()}


def mapped(names: Iterable[str], change: Callable[[Any], Any]) -> Edit:
    """Return the edit that changes the values of arguments."""
    chosen = tuple(names)
    return lambda case: {name: change(case[name]) for name in chosen}
