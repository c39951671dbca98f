"""Every check under one name. Each session is also the plain command that it runs (CONTRIBUTING.md)."""

from __future__ import annotations

from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "layers", "tests", "wheel"]
nox.options.default_venv_backend = "venv"


@nox.session
def lint(session: nox.Session) -> None:
    """Style and formatting."""
    session.install("ruff>=0.6")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types of both packages."""
    session.install("-e", ".[dev]")
    session.run("mypy")


@nox.session
def layers(session: nox.Session) -> None:
    """Who may import whom."""
    session.install("-e", ".[dev]")
    session.run("lint-imports")


@nox.session
def tests(session: nox.Session) -> None:
    """The test suite on the checkout; arguments after -- go to pytest."""
    session.install("-e", ".[test]")
    session.run("pytest", "-q", "-n", "2", *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """The test suite on the installed wheel, from a copy of tests/ outside the checkout."""
    session.install("build")
    away = Path(session.create_tmp()).resolve()
    session.run("python", "-m", "build", "--wheel", "--outdir", str(away / "dist"))
    (built,) = (away / "dist").glob("*.whl")
    session.install(f"{built}[test]")
    session.run("cp", "-R", "tests", "pyproject.toml", str(away), external=True)
    session.chdir(away)
    session.run("pytest", "-q", "-n", "2", *session.posargs)


@nox.session
def deep(session: nox.Session) -> None:
    """10,000 examples a property, and the tests marked deep (hours)."""
    session.install("-e", ".[test]")
    session.run("pytest", "-q", "-n", "2", "--hypothesis-profile=deep", "-m", "deep or not deep")


# Other people's software, each in an environment of its own, and the scripts that it runs.
_TFLM = "tflite-micro==0.dev20261023182759"
_LITERT = "ai-edge-litert==2.3.0"
GOLDEN = {
    "tflm": ([_TFLM], ("operators", "movement", "elementwise", "reduction", "weighted", "formation"), "tflm"),
    "litert": ([_LITERT, _TFLM], ("vectors", "elementwise", "means", "tables"), "litert"),
    "ort": (["onnx==1.23.2", "onnxruntime==1.32.0"], ("vectors",), "ort"),
    "tosa": (["tosa-tools==2026.8.0"], ("rescale", "conformance"), "tosa"),
}


@nox.session
@nox.parametrize("runtime", list(GOLDEN))
def golden(session: nox.Session, runtime: str) -> None:
    """Make the golden vectors anew; fails if any differs from what is stored."""
    packages, names, prefix = GOLDEN[runtime]
    session.install("--pre", "numpy", "flatbuffers", *packages)
    for name in names:
        session.run("python", f"tests/golden/make_{prefix}_{name}.py")
    session.run("git", "diff", "--exit-code", "--stat", "--", "tests/golden", external=True)
