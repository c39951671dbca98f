"""House rules that a machine can hold: sizes, names, silence, annotations, what references may import."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

import fxpgrad
import fxpgrad_kernels

HOST = Path(fxpgrad.__file__).parent
DEVICE = Path(fxpgrad_kernels.__file__).parent
TESTS = Path(__file__).parent
LIBRARY_SOURCES = sorted([*HOST.rglob("*.py"), *DEVICE.rglob("*.py")])
REFERENCES = [path for path in LIBRARY_SOURCES if path.stem.endswith("_ref")]
LONGEST_FILE = 350
FORBIDDEN_NAMES = {"util", "utils", "helper", "helpers", "common", "core", "misc", "tools", "stuff"}


def named(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=lambda path: "/".join(path.parts[-3:]))


@named([*LIBRARY_SOURCES, *sorted(TESTS.rglob("*.py"))])
def test_file_is_short_and_named_for_its_idea(path):
    assert len(path.read_text().splitlines()) <= LONGEST_FILE
    assert not FORBIDDEN_NAMES & {path.stem, path.parent.name}


@named(LIBRARY_SOURCES)
def test_library_does_not_print(path):
    if HOST / "cli" in path.parents:
        pytest.skip("the command line prints")
    assert calls_of("print", path.read_text()) == []


def calls_of(name: str, source: str) -> list[int]:
    """Return the lines on which a builtin is called."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ]


def test_search_for_print_finds_a_planted_one():
    assert calls_of("print", "x = 1\nif x:\n    print(x)") == [3]


@named(LIBRARY_SOURCES)
def test_no_handler_catches_everything(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "everything"
            assert caught not in {"everything", "Exception", "BaseException"}, f"line {node.lineno}"


@named(REFERENCES)
def test_reference_is_annotated(path):
    """Kernels carry no annotations (the compiler infers them); what defines them must."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            every = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
            bare = [argument.arg for argument in every if argument.annotation is None]
            assert bare == [], f"line {node.lineno}"
            assert node.returns is not None, f"line {node.lineno}"


def imported_from_device(path: Path) -> set[Path]:
    """Return the files of the device side that a source imports directly."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    files = set()
    for name in names:
        package, *parts = name.split(".")
        if package == "fxpgrad_kernels" and parts:
            files.add(DEVICE.joinpath(*parts).with_suffix(".py"))
    return {file for file in files if file.exists()}


@named(REFERENCES)
def test_reference_reaches_no_compiled_code(path):
    reached, todo = set(), [path]
    while todo:
        for file in imported_from_device(todo.pop()) - reached:
            reached.add(file)
            todo.append(file)
    assert DEVICE / "jit.py" not in reached


def test_walk_of_imports_sees_that_a_kernel_reaches_the_compiler():
    assert DEVICE / "jit.py" in imported_from_device(DEVICE / "arithmetic" / "requantize.py")


def test_every_operator_is_held_independent(repository):
    contracts = tomllib.loads((repository / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    (operators,) = (contract for contract in contracts if contract["id"] == "operators")
    held = {module.removeprefix("fxpgrad_kernels.") for module in operators["modules"]}
    folders = {path.parent.name for path in DEVICE.glob("*/__init__.py")}
    assert folders - held == {"arithmetic", "random"}  # what operators are made of


def test_every_golden_file_has_provenance():
    golden = TESTS / "golden"
    provenance = (golden / "README.md").read_text()
    data = [
        path for path in golden.rglob("*") if path.is_file() and path.suffix not in {".py", ".md", ".pyc"}
    ]
    assert [path.name for path in data if path.name not in provenance] == []
