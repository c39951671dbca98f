"""What tests of kernels are run on: every profile, a profile, a generator of cases that Hypothesis seeds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import strategies as st

from fxpgrad.conformance.cases.draws import Draws
from fxpgrad.conformance.cases.numbers import Case
from fxpgrad.conformance.cases.roundings import drawn_profile
from fxpgrad_kernels.arithmetic.profiles import PROFILES, Profile
from fxpgrad_kernels.spec import KernelSpec

profiles = st.sampled_from(tuple(PROFILES.values()))
every_profile = pytest.mark.parametrize("profile", PROFILES.values(), ids=tuple(PROFILES))
generators = st.integers(0, 2**32 - 1).map(np.random.default_rng)


def draw_of(
    spec: KernelSpec, draw: Callable[[KernelSpec, Draws, Profile], Case]
) -> Callable[[np.random.Generator], Case]:
    """Return a function that draws a case of one kernel under any profile."""
    return lambda rng: draw(spec, rng, drawn_profile(rng, spec, None))
