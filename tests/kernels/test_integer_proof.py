"""Integer-only, proved twice: in the machine code of every kernel and in the source of every device file."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest

import fxpgrad
import fxpgrad_kernels
from fxpgrad_kernels import jit, registry

KERNELS = Path(fxpgrad_kernels.__file__).parent
EXECUTE = Path(fxpgrad.__file__).parent / "program" / "execute.py"

# --- the compiled form

_QUOTED = re.compile(r'"[^"]*"')
_NAME = re.compile(r"[%@!#][\w.$-]+")  # values, globals, metadata, attribute groups: names, not code
_FLOAT_TOKEN = re.compile(
    r"\b(?:half|bfloat|float|double|fp128|x86_fp80|ppc_fp128"
    r"|fadd|fsub|fmul|fdiv|frem|fneg|fcmp|fpext|fptrunc|fptosi|fptoui|sitofp|uitofp)\b"
)
_DECLARED = re.compile(r"^declare .*?@(\"[^\"]+\"|[\w.$]+)\(", re.MULTILINE)
_HARMLESS = re.compile(r"(?:llvm\.|Py|_Py|NRT_|numba_)")  # LLVM, and the wrapper that Python calls


def float_lines(ir: str) -> list[str]:
    """Return the lines of LLVM IR in which a float type or instruction occurs."""
    return [
        line
        for line in ir.splitlines()
        if _FLOAT_TOKEN.search(line)  # most lines end here
        and _FLOAT_TOKEN.search(_NAME.sub("_", _QUOTED.sub("", line.split(";")[0])))
    ]


def unseen_functions(ir: str) -> list[str]:
    """Return what the code calls but the text does not hold, so that the scan would not see it."""
    return [name for name in _DECLARED.findall(ir) if not _HARMLESS.match(name.strip('"'))]


@pytest.mark.parametrize("name", registry.kernels())
def test_machine_code_of_kernel_holds_no_float(name):
    spec = registry.kernel_named(name)
    examples = dict(zip(spec.arguments, spec.example_arguments(), strict=True))
    functions = [(spec.function, list(examples.values()))]
    if spec.preparation is not None:
        roles = ("constant", "prepared", "parameter")
        functions.append((spec.preparation.function, [v for a, v in examples.items() if a.role in roles]))
        if spec.preparation.records is not None:
            taken = [argument.example() for argument in spec.record_arguments]
            functions.append((spec.preparation.records.function, taken))
    for function, arguments in functions:
        ir = jit.llvm_ir(function, *arguments)
        assert "define" in ir
        assert float_lines(ir) == []
        assert unseen_functions(ir) == []


def halve(values, output):
    for i in range(values.size):
        output[i] = np.int32(values[i] * 0.5)


def divide(values, output):
    for i in range(values.size):
        output[i] = np.int32(values[i] / 3)


def compare_with_unsigned(values, output):
    """Numba compares uint64 with int64 as doubles: a float that no source shows."""
    for i in range(values.size):
        output[i] = np.int32(values[i] > np.uint64(output[i]))


def round_through_the_library(values, output):
    for i in range(values.size):
        output[i] = np.int32(np.exp(values[i]))


@jit.device
def fraction_of(value):
    return value * np.float32(0.25)


def call_a_device_function(values, output):
    for i in range(values.size):
        output[i] = np.int32(fraction_of(values[i]))


FLOAT_KERNELS = (halve, divide, compare_with_unsigned, round_through_the_library, call_a_device_function)


@pytest.mark.parametrize("function", FLOAT_KERNELS, ids=lambda function: function.__name__)
def test_scan_of_machine_code_finds_a_planted_float(function):
    array = np.zeros(1, np.int32)
    assert float_lines(jit.llvm_ir(jit.kernel(function), array, array))


def test_scan_of_machine_code_ignores_names_and_text():
    assert not float_lines('%double.1 = phi i64 [ %half.2, %float ], [ 0, %"a float" ] ; to double')
    assert not float_lines('@.const.float = internal constant [5 x i8] c"float"')
    assert not float_lines("!3 = !{!4, !double}")
    assert float_lines("%x = sitofp i64 %y to double")
    assert float_lines("declare float @llvm.exp.f32(float) #2")
    assert float_lines("%v = load <8 x half>, ptr %p")
    assert unseen_functions("declare i64 @lround(i64)\ndeclare void @NRT_Free(ptr)") == ["lround"]


# --- the source form

_FLOAT_MODULES = {"math", "cmath", "random", "statistics", "decimal"}
_FLOAT_NAMES = {
    "float", "complex", "float16", "float32", "float64", "float128", "half", "single", "double",
    "longdouble", "floating", "inexact", "complex64", "complex128", "exp", "exp2", "expm1", "log", "log2",
    "log10", "log1p", "sqrt", "cbrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arctan", "hypot",
    "mean", "average", "std", "var", "median", "true_divide", "divide", "reciprocal", "rint", "nan", "inf",
    "linspace", "logspace", "logaddexp",
}  # fmt: skip
_FLOAT_TYPE_TEXT = re.compile(r"[<>=|]?(?:float\d*|double|half|f[248]|complex\d*)")


class FloatFinder(ast.NodeVisitor):
    """Collects (line, what) for everything in a source that makes or names a float."""

    def __init__(self) -> None:
        self.found: list[tuple[int, str]] = []

    def _report(self, node: ast.expr | ast.stmt, what: str) -> None:
        self.found.append((node.lineno, what))

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, (float, complex)):
            self._report(node, f"literal {node.value}")
        elif isinstance(node.value, str) and _FLOAT_TYPE_TEXT.fullmatch(node.value):
            self._report(node, f"type name {node.value!r}")

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if isinstance(node.op, ast.Div):
            self._report(node, "true division")
        if isinstance(node.op, ast.Pow) and isinstance(node.right, ast.UnaryOp):
            self._report(node, "power of a signed exponent")
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.op, ast.Div):
            self._report(node, "true division")
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if node.id in {"float", "complex"}:
            self._report(node, node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr in _FLOAT_NAMES and isinstance(node.value, ast.Name):
            self._report(node, f"{node.value.id}.{node.attr}")
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name.split(".")[0] in _FLOAT_MODULES:
                self._report(node, f"import {alias.name}")

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        root = (node.module or "").split(".")[0]
        names = [alias.name for alias in node.names]
        if root in _FLOAT_MODULES or (root == "numpy" and _FLOAT_NAMES.intersection(names)):
            self._report(node, f"from {node.module} import {', '.join(names)}")


def floats_in(source: str) -> list[tuple[int, str]]:
    """Return what makes or names a float in a Python source, with line numbers."""
    finder = FloatFinder()
    finder.visit(ast.parse(source))
    return finder.found


def device_sources() -> list[Path]:
    # jit.py runs on the host only and joins paths with a slash
    sources = [path for path in sorted(KERNELS.rglob("*.py")) if path.name != "jit.py"]
    return [*sources, EXECUTE] if EXECUTE.exists() else sources


@pytest.mark.parametrize("path", device_sources(), ids=lambda path: "/".join(path.parts[-2:]))
def test_source_holds_no_float(path):
    assert floats_in(path.read_text()) == []


@pytest.mark.parametrize(
    "line",
    [
        "x = 0.5",
        "x = 1e3",
        "x = a / b",
        "x /= 2",
        "x = 2 ** -3",
        "x = float(y)",
        "x = np.float32(y)",
        "x = np.exp(y)",
        "x = y.mean()",
        "x = np.zeros(3, 'float32')",
        "x = y.astype('<f4')",
        "import math",
        "from math import sqrt",
        "from numpy import float64",
        "def f(x: NDArray[np.floating]): pass",
    ],
)
def test_walk_of_source_finds_a_planted_float(line):
    assert floats_in(f"a = 1\n{line}")


@pytest.mark.parametrize(
    "line",
    ["x = a // b", "x = a >> 3", "x = 2 ** n", "x = np.int64(y)", "'''a float, 0.5 / 2'''", "half = 1 << n"],
)
def test_walk_of_source_passes_integers(line):
    assert floats_in(line) == []
