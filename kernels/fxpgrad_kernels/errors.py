"""The error tree of the device side. Messages name the argument, the rule, the value and the fix."""

from __future__ import annotations


class KernelError(Exception):
    """Base of everything that `fxpgrad_kernels` raises on purpose."""


class UnknownKernelError(KernelError):
    """A kernel name that the registry does not hold."""


class UnknownProfileError(KernelError):
    """A rounding profile name that does not exist."""


class MultiplierError(KernelError, ValueError):
    """A real multiplier that no legal (multiplier, shift) pair expresses."""
