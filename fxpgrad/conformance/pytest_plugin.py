"""A pytest plugin: the fixture `fxpgrad_conform` judges an implementation of a kernel within a test.

Imports nothing of fxpgrad before a test asks for it: pytest loads every installed plugin in every run.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fxpgrad.conformance.conform import Verdict

_MARKER = "fxpgrad_conform"


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line(
        "markers",
        f"{_MARKER}(profile, cases, seconds, seed, command, symbol, abi, timeout, alignment, guards): "
        "what the fixture of that name takes where a call does not say it",
    )


@pytest.fixture
def fxpgrad_conform(request: pytest.FixtureRequest) -> Callable[..., Verdict]:
    """Return a function that judges a target, and fails the test where something is wrong with it.

    ``fxpgrad_conform(target, kernel, **options)``: `target` is a shared library, "module:function",
    "file.py:function", a function of a module, or None with ``command=``; options are those of
    `fxpgrad.conformance.conform.conform` and of its `Setup`. The marker of the same name gives options for
    all calls of a test. By default 200 cases are tried. The verdict is returned where nothing is wrong.
    """
    from fxpgrad.conformance.conform import Setup, conform  # noqa: PLC0415 - see above
    from fxpgrad.conformance.text_report import text_report  # noqa: PLC0415

    marker = request.node.get_closest_marker(_MARKER)
    given: dict[str, Any] = {"cases": 200, **(marker.kwargs if marker else {})}

    def judged(target: str | Path | Callable[..., Any] | None, kernel: str, **options: Any) -> Verdict:
        __tracebackhide__ = True
        chosen = {**given, **options}
        setup = Setup(**{name: chosen.pop(name) for name in Setup.__slots__ if name in chosen})
        verdict = conform(target, kernel, setup=setup, **chosen)
        if not verdict.passed:
            pytest.fail(text_report(verdict), pytrace=False)
        return verdict

    return judged
