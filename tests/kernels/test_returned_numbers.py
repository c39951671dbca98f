"""Kernels return the numbers that their specs announce: the sum of losses, how many values were cut."""

from __future__ import annotations

import numpy as np
import pytest

from fxpgrad_kernels.registry import kernel_named, kernels
from tests.kernels.guarded_call import array_arguments, expected_of
from tests.kernels.legal_cases import legal_case
from tests.kernels.returned_numbers import returned_ref

RETURNING = sorted(name for name, spec in kernels().items() if spec.returned)


@pytest.mark.parametrize("name", RETURNING)
def test_kernel_returns_the_number_that_the_definition_gives(name: str) -> None:
    spec, found = kernel_named(name), set[int]()
    for seed in range(40):
        case = legal_case(name, np.random.default_rng([seed, *name.encode()]))
        arrays = array_arguments(spec, case, lambda _argument, values: np.array(values))
        returned = spec.function(*(arrays.get(a.name, case.get(a.name)) for a in spec.arguments))
        assert returned == returned_ref(spec, case, expected_of(spec, case))
        found.add(returned)
    assert len(found) > 1  # none of them is always 0
