"""The C compilers that tests use where they are installed."""

from __future__ import annotations

import shutil

import pytest

COMPILERS = ("gcc", "clang")


def needed(compiler: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
