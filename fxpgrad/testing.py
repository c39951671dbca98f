"""For the tests of your own kernels: legal cases that shrink, and what the definition says about each.

A test of an int8 convolution, with pytest and Hypothesis::

    import numpy as np
    from hypothesis import given
    from fxpgrad.testing import cases, reference

    @given(case=cases("conv2d_a8w8", profile="tflite_double"))
    def test_my_convolution(case):
        expected = reference("conv2d_a8w8", case)["output"]
        np.testing.assert_array_equal(my_convolution(case), expected)

A case is a dict: arrays and integers by the names of the kernel's arguments, and ``case["shapes"]`` with the
shape of every output. `kernel_named(name).arguments` (in `fxpgrad_kernels.registry`) lists the arguments;
`contract.md` beside the kernel says what they mean. Where `my_convolution` is wrong, Hypothesis reports the
smallest case that it finds: often one pixel, one channel, and zeros wherever the value does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from fxpgrad.conformance.calls import reference_outputs
from fxpgrad.conformance.conform import Setup, Verdict, check_case, conform
from fxpgrad.conformance.vector_files import load_vectors
from fxpgrad.errors import MissingExtraError
from fxpgrad_kernels.arithmetic.profiles import profile_named
from fxpgrad_kernels.registry import kernel_named

__all__ = ["Setup", "Verdict", "cases", "check_case", "conform", "load_vectors", "reference"]


def cases(kernel: str, profile: str | None = None) -> Any:
    """Return a Hypothesis strategy: every legal case of a kernel.

    Parameters
    ----------
    kernel : str
        A registered kernel, such as "conv2d_a8w8".
    profile : str, optional
        Requantize only as this runtime does ("tflite_double", "cmsis_default", ...); by default in every way
        that the kernel knows.

    Returns
    -------
    hypothesis.strategies.SearchStrategy
        Of dicts: every input, constant, state and parameter by name; "shapes", the outputs' shapes by name;
        and, for some kernels, what `reference` takes beside the arguments.

    Raises
    ------
    MissingExtraError
        Hypothesis is not installed.
    UnknownKernelError, UnknownProfileError
        No kernel or profile has the name; the message names the nearest.
    InputError
        No Program under the profile calls the kernel.
    """
    try:
        from fxpgrad.conformance.strategies import case_strategy  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "hypothesis":
            raise
        raise MissingExtraError(
            "cases need Hypothesis: pip install 'fxpgrad[conform]' (or pip install hypothesis)"
        ) from error
    return case_strategy(kernel, None if profile is None else profile_named(profile))


def reference(kernel: str, case: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Return what the definition of a kernel (`<operator>_ref.py`) says about a case.

    Parameters
    ----------
    kernel : str
        A registered kernel.
    case : mapping
        A case of `cases`, or one of your own with the same keys.

    Returns
    -------
    dict
        Arrays by name: the input that the kernel rewrites, if any, the outputs, the states after the call.

    Raises
    ------
    UnknownKernelError
        No kernel has the name.
    """
    return reference_outputs(kernel_named(kernel), case)
