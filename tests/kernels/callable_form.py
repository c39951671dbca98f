"""Device functions for tests: Python calls them by way of a kernel that does nothing else."""

from __future__ import annotations

from typing import Any

from fxpgrad_kernels.jit import kernel


def callable_form(function: Any) -> Any:
    """Return a kernel of the same source as a device function."""
    return kernel(function.py_func)
