"""Kernels return the numbers that their specs announce: the sum of losses, how many values were cut."""

from __future__ import annotations

import numpy as np
import pytest

from fxpgrad.conformance.calls import reference_outputs, run_kernel
from fxpgrad.conformance.cases import legal_case
from fxpgrad_kernels.registry import kernel_named, kernels
from tests.kernels.returned_numbers import returned_ref

RETURNING = sorted(name for name, spec in kernels().items() if spec.returned)


@pytest.mark.parametrize("name", RETURNING)
def test_kernel_returns_the_number_that_the_definition_gives(name: str) -> None:
    spec, found = kernel_named(name), set[int]()
    for seed in range(40):
        case = legal_case(name, np.random.default_rng([seed, *name.encode()]))
        _, returned = run_kernel(spec, case, lambda _argument, values: np.array(values))
        assert returned == returned_ref(spec, case, tuple(reference_outputs(spec, case).values()))
        found.add(returned)
    assert len(found) > 1  # none of them is always 0
