"""The registry and the operator folders: nothing unregistered or undocumented, one order of arguments."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import numpy as np
import pytest

import fxpgrad_kernels
from fxpgrad_kernels import registry
from fxpgrad_kernels.errors import UnknownKernelError

KERNELS = Path(fxpgrad_kernels.__file__).parent
ROLE_ORDER = ("input", "constant", "state", "prepared", "workspace", "output", "parameter")
EVERY_KERNEL = pytest.mark.parametrize("name", registry.kernels())


def modules_with_specs() -> set[str]:
    """Return the dotted names of the modules whose source assigns SPECS at top level."""
    found = set()
    for path in KERNELS.rglob("*.py"):
        for statement in ast.parse(path.read_text()).body:
            targets = statement.targets if isinstance(statement, ast.Assign) else []
            if isinstance(statement, ast.AnnAssign):
                targets = [statement.target]
            if any(isinstance(target, ast.Name) and target.id == "SPECS" for target in targets):
                found.add(".".join(path.relative_to(KERNELS).with_suffix("").parts))
    return found


def test_every_module_with_specs_is_registered():
    assert modules_with_specs() == set(registry._MODULES)


def test_every_folder_has_a_contract():
    folders = {path.parent for path in KERNELS.rglob("*.py")} - {KERNELS}
    missing = sorted(folder.name for folder in folders if not (folder / "contract.md").is_file())
    assert missing == []


@EVERY_KERNEL
def test_kernel_lives_in_the_folder_that_it_names(name):
    spec = registry.kernel_named(name)
    module = spec.function.py_func.__module__.split(".")
    assert module[:2] == ["fxpgrad_kernels", spec.operator]
    assert (KERNELS / spec.operator / "contract.md").is_file()


@EVERY_KERNEL
def test_arguments_are_those_of_the_function_in_order(name):
    spec = registry.kernel_named(name)
    declared = [argument.name for argument in spec.arguments]
    assert declared == list(inspect.signature(spec.function.py_func).parameters)


@EVERY_KERNEL
def test_arguments_come_by_role_inputs_constants_state_workspaces_outputs_parameters(name):
    ranks = [ROLE_ORDER.index(argument.role) for argument in registry.kernel_named(name).arguments]
    assert ranks == sorted(ranks)
    assert ROLE_ORDER.index("output") in ranks


@EVERY_KERNEL
def test_reference_takes_inputs_constants_state_parameters(name):
    spec = registry.kernel_named(name)
    roles = ("input", "constant", "state", "parameter")
    wanted = [argument.name for role in roles for argument in spec.of_role(role)]
    parameters = inspect.signature(spec.reference).parameters.values()
    # keyword-only: an extent that the kernel reads off its output array (output_size, count)
    assert [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY] == wanted


@EVERY_KERNEL
def test_ranges_lie_within_the_types(name):
    for argument in registry.kernel_named(name).arguments:
        limits = np.iinfo(argument.dtype)
        assert limits.min <= argument.low <= argument.high <= limits.max


@EVERY_KERNEL
def test_workspaces_have_a_rule(name):
    spec = registry.kernel_named(name)
    assert bool(spec.of_role("workspace")) == (spec.workspace is not None)


def test_unknown_kernel_names_the_nearest():
    with pytest.raises(UnknownKernelError, match="did you mean requantize_a32"):
        registry.kernel_named("requantise_a32")
