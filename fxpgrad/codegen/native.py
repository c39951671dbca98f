"""Kernels in a shared library with the ABI of the C ports, called with NumPy arrays."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.codegen.signature import bound_sizes, c_function
from fxpgrad.errors import InputError
from fxpgrad_kernels.spec import KernelSpec

_INTEGERS = {"int32_t": ctypes.c_int32, "int64_t": ctypes.c_int64}


class NativeKernels:
    """The functions of a shared library, each called by its kernel's spec."""

    def __init__(self, path: str | Path) -> None:
        """Load the library.

        Raises
        ------
        InputError
            It cannot be loaded (missing, built for another architecture, an undefined symbol).
        """
        self.path = Path(path)
        try:
            self._library = ctypes.CDLL(str(self.path.resolve()))
        except OSError as error:
            raise InputError(f"cannot load {path}: {error}") from error

    def has(self, spec: KernelSpec) -> bool:
        """Whether the library has the kernel's function."""
        return hasattr(self._library, c_function(spec).name)

    def call(self, spec: KernelSpec, values: Mapping[str, Any]) -> int | None:
        """Call a kernel on arrays (C-contiguous, of the spec's dtypes) and parameters by name.

        Outputs are written in place. Return what the function returns, None if nothing.

        Raises
        ------
        InputError
            The function is missing, or an array does not fit the spec.
        """
        signature = c_function(spec)
        try:
            function = self._library[signature.name]
        except AttributeError:
            raise InputError(f"{self.path} has no function {signature.name}") from None
        arrays = {a.name: values[a.name] for a in signature.arguments if a.kind == "array"}
        sizes = bound_sizes(spec, {name: array.shape for name, array in arrays.items()})
        taken: list[Any] = []
        for argument in signature.arguments:
            if argument.kind == "array":
                assert argument.argument is not None
                taken.append(_pointer(argument.name, arrays[argument.name], argument.argument.dtype))
            else:
                value = sizes[argument.name] if argument.kind == "size" else int(values[argument.name])
                taken.append(_INTEGERS[argument.ctype](value))
        function.restype = ctypes.c_int64 if spec.returned else None
        result = function(*taken)
        return None if result is None else int(result)


def _pointer(name: str, array: NDArray[Any], dtype: str) -> ctypes.c_void_p:
    if array.dtype != np.dtype(dtype) or not array.flags.c_contiguous:
        raise InputError(f"{name} must be a C-contiguous array of {dtype}; got {array.dtype}")
    return ctypes.c_void_p(array.ctypes.data)
