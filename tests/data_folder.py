"""The folder of published models and data sets that some tests need; they skip where it is absent.

FXPGRAD_DATA names it; by default it is `../shared/data` beside the checkout.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("FXPGRAD_DATA") or Path(__file__).parents[2] / "shared" / "data")


def needs_data(*names: str) -> pytest.MarkDecorator:
    """Skip a test unless the files are there."""
    missing = [name for name in names if not (DATA / name).exists()]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)} in {DATA}")
