"""Device functions for tests: Python calls them by way of a kernel that does nothing else."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from fxpgrad_kernels.jit import kernel


def callable_form(function: Any) -> Any:
    """Return a kernel of the same source as a device function."""
    return kernel(function.py_func)


class CallableForms:
    """The device functions of a module, each as a kernel."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._made: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = callable_form(getattr(self._module, name))
        return self._made[name]
