"""A case as text that can be taken elsewhere: Python that runs it again, and a C header."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxpgrad.conformance.calls import Case, keywords
from fxpgrad.conformance.conform import Setup
from fxpgrad.conformance.definition import Arrays, given_arrays, parameters_of
from fxpgrad.conformance.vector_header import header_file
from fxpgrad.conformance.vectors import VectorCase, Vectors, provenance_of
from fxpgrad_kernels.spec import KernelSpec


def python_reproduction(spec: KernelSpec, case: Case, target: str | None, setup: Setup) -> str:
    """Return a Python program that runs a target on one case and says what is wrong."""
    told: dict[str, Any] = {
        **given_arrays(spec, case),
        **parameters_of(spec, case),
        **keywords(spec, case),
        "shapes": {name: tuple(int(n) for n in shape) for name, shape in case["shapes"].items()},
    }
    changed = {
        name: getattr(setup, name)
        for name in Setup.__slots__
        if getattr(setup, name) != getattr(Setup(), name)
    }
    extra = ", ".join(f"{name}={value!r}" for name, value in changed.items())
    lines = [
        "import numpy as np",
        "",
        f"from fxpgrad.testing import {'Setup, ' if extra else ''}check_case",
        "",
    ]
    lines += ["case = {", *(f"    {name!r}: {_python(value)}," for name, value in told.items()), "}"]
    lines.append(f"check_case({target!r}, {spec.name!r}, case{f', Setup({extra})' if extra else ''})")
    return "\n".join(lines) + "\n"


def _python(value: Any) -> str:
    if isinstance(value, np.ndarray):
        if value.size > 1 and (value == value.flat[0]).all():
            return f"np.full({value.shape}, {value.flat[0]}, np.{value.dtype})"
        if value.size == 0:
            return f"np.zeros({value.shape}, np.{value.dtype})"
        return f"np.array({value.tolist()}, np.{value.dtype})"
    if isinstance(value, tuple):
        return repr(tuple(int(part) for part in value))
    return repr(value) if isinstance(value, dict) else repr(int(value))


def c_header(spec: KernelSpec, case: Case, expected: Arrays, comment: str) -> str:
    """Return a C header with a case's arrays, lengths and parameters, and what must come out."""
    vector = VectorCase("counter_example", comment, dict(case), expected)
    origin = provenance_of("fxpgrad conform", None, None, finding=comment.replace("\n", " "))
    return header_file(Vectors("kernel", spec.name, origin, (vector,)))
