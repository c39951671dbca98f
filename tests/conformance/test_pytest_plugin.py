"""The fixture `fxpgrad_conform` in tests of somebody else's."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
PLUGIN = "fxpgrad.conformance.pytest_plugin"

MINE = """
import numpy as np
def clamp(input, clamp_low, clamp_high):
    return np.clip(input, clamp_low, clamp_high).astype(np.int8)
def shifted(input, clamp_low, clamp_high):
    return clamp(input, clamp_low, clamp_high) | 1
"""


@pytest.fixture
def mine(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(mine=MINE)
    return pytester


def outcome(pytester: pytest.Pytester, text: str) -> pytest.RunResult:
    pytester.makepyfile(test_mine=text)
    return pytester.runpytest("-p", PLUGIN, "--strict-markers")


def test_a_right_target_passes(mine):
    result = outcome(
        mine, 'def test_it(fxpgrad_conform): fxpgrad_conform("mine.py:clamp", "clamp_a8", cases=20)'
    )
    result.assert_outcomes(passed=1)


def test_a_wrong_target_fails_with_the_report(mine):
    result = outcome(mine, 'def test_it(fxpgrad_conform): fxpgrad_conform("mine.py:shifted", "clamp_a8")')
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*differ from the definition*", "*the smallest case found:*"])


def test_the_marker_gives_options(mine):
    result = outcome(
        mine,
        """
        import pytest
        @pytest.mark.fxpgrad_conform(cases=7, timeout=2.0)
        def test_it(fxpgrad_conform):
            verdict = fxpgrad_conform("mine.py:clamp", "clamp_a8")
            assert (verdict.cases, verdict.setup.timeout) == (7, 2.0)
            assert fxpgrad_conform("mine.py:clamp", "clamp_a8", cases=5).cases == 5
        """,
    )
    result.assert_outcomes(passed=1)


def test_a_function_of_a_module_is_a_target(mine):
    result = outcome(
        mine,
        """
        import mine
        def test_it(fxpgrad_conform):
            fxpgrad_conform(mine.clamp, "clamp_a8", cases=5)
        """,
    )
    result.assert_outcomes(passed=1)


def test_bad_usage_is_an_error_of_the_test(mine):
    result = outcome(mine, 'def test_it(fxpgrad_conform): fxpgrad_conform("mine.so", "clamp_a8")')
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*InputError: there is no file mine.so*"])


def test_the_plugin_is_installed_under_its_own_name(repository):
    points = tomllib.loads((Path(repository) / "pyproject.toml").read_text())["project"]["entry-points"]
    assert points["pytest11"] == {PLUGIN: PLUGIN}
