"""Settings that every test shares: Hypothesis profiles, the deep marker, the repository fixture.

Profiles, chosen with ``pytest --hypothesis-profile=NAME``:

default
    50 examples a property, derandomized: the same examples in every run of the same code, so that a
    red run can be had again by anybody and a green one does not turn red on a change elsewhere.
deep
    10,000 examples a property, drawn anew in every run; a failure prints the blob that replays it.

Both set ``deadline=None`` because the first call of a kernel compiles it, which is not flakiness.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

_ROOT = Path(__file__).resolve().parent.parent
_SUPPRESSED = (HealthCheck.too_slow, HealthCheck.data_too_large)

settings.register_profile(
    "default", max_examples=50, deadline=None, derandomize=True, suppress_health_check=_SUPPRESSED
)
settings.register_profile(
    "deep",
    max_examples=10_000,
    deadline=None,
    derandomize=False,
    print_blob=True,
    suppress_health_check=_SUPPRESSED,
)
settings.load_profile("default")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip tests marked deep unless ``-m`` names the marker."""
    if "deep" in config.getoption("markexpr"):
        return
    skip = pytest.mark.skip(reason="long run: select it with pytest -m deep")
    for item in items:
        if item.get_closest_marker("deep"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def repository() -> Path:
    """Return the root of the checkout; skip where the tests run against an installed wheel."""
    if not (_ROOT / "kernels" / "fxpgrad_kernels").is_dir():
        pytest.skip("reads files of the checkout, and these tests run outside one")
    return _ROOT
