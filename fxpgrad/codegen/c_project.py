"""A Program as a folder of C files that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fxpgrad.codegen.build_files import cmake_lists, executables, makefile
from fxpgrad.codegen.golden_runs import golden_runs
from fxpgrad.codegen.header import HEADER, header_text
from fxpgrad.codegen.host_source import host_main
from fxpgrad.codegen.memory_need import check_ram_limit
from fxpgrad.codegen.model_readme import readme
from fxpgrad.codegen.model_source import KERNELS, constants_file, header, source
from fxpgrad.codegen.model_text import ModelText
from fxpgrad.codegen.ports import port_files, sources_of
from fxpgrad.codegen.selftest_source import selftest
from fxpgrad.codegen.training_form import TrainingForm
from fxpgrad.codegen.training_main import train_main, training_notes
from fxpgrad.codegen.training_source import training_header, training_memory, training_source
from fxpgrad.codegen.training_text import TrainingText
from fxpgrad.errors import InputError
from fxpgrad.program.layer_names import short_name
from fxpgrad.program.program import Program
from fxpgrad.program.validate import check_program
from fxpgrad_kernels.registry import kernels

DEFAULT_SAMPLES = 4
MOST_SAMPLES = 1000


@dataclass(frozen=True, slots=True, eq=False)
class CProject:
    """The files of a project by their path in its folder, and what they were made of."""

    text: ModelText
    files: dict[str, str]
    training: TrainingText | None = None


def c_project(
    program: Program,
    *,
    samples: int = DEFAULT_SAMPLES,
    ram_limit: int | None = None,
    training: TrainingForm | None = None,
) -> CProject:
    """Write a Program as C; the same Program gives the same files.

    Parameters
    ----------
    samples : int
        Golden samples of the self-test.
    ram_limit : int, optional
        Bytes that the arena may have; perturbed layers lie in it, too.
    training : TrainingForm, optional
        Of the same Program: the project trains, too.

    Raises
    ------
    InputError
        A kernel has no C port, the arena is beyond the limit, or `samples` is out of range.
    LoweringError
        `check_program` refuses the Program.
    """
    if not 1 <= samples <= MOST_SAMPLES:
        raise InputError(f"samples must be from 1 to {MOST_SAMPLES}; got {samples}")
    check_program(program)
    _check_ports(program)
    trained = None if training is None else TrainingText.of(program, training)
    text = ModelText.of(program) if trained is None else trained.model
    if ram_limit is not None:
        check_ram_limit(program, text.plan, ram_limit)
        if trained is not None:
            check_ram_limit(trained.form.program, trained.passes.plan, ram_limit)
    used = [call.kernel for call in program.calls]
    copies = kernel_copies(used if trained is None else [*used, *trained.kernels()])
    programs, kernel_files = executables(text, training=trained is not None), tuple(copies)
    prefix = text.prefix
    files = {
        f"{prefix}.h": header(text, "" if trained is None else training_header(trained)),
        f"{prefix}.c": _source(text, trained),
        f"{prefix}_constants.h": constants_file(text),
        "selftest.c": selftest(text, golden_runs(text, samples)),
        "host_main.c": host_main(text),
        "Makefile": makefile(text, programs, kernel_files),
        "CMakeLists.txt": cmake_lists(text, programs, kernel_files),
        "README.md": readme(text, programs, kernel_files, "" if trained is None else training_notes(trained)),
        **{f"{KERNELS}/{name}": content for name, content in copies.items()},
    }
    if trained is not None:
        files["train_main.c"] = train_main(trained)
    return CProject(text, files, trained)


def _source(text: ModelText, trained: TrainingText | None) -> str:
    if trained is None:
        return source(text)
    return source(text, training_memory(trained), training_source(trained))


def _check_ports(program: Program) -> None:
    missing = {call.kernel: call for call in reversed(program.calls) if call.kernel not in port_files()}
    for kernel, call in reversed(missing.items()):
        others = f" (nor have {', '.join(sorted(set(missing) - {kernel}))})" if len(missing) > 1 else ""
        raise InputError(
            f"layer {short_name(call.name)} needs the kernel {kernel}, which has no C port{others}"
        )


def kernel_copies(names: Iterable[str]) -> dict[str, str]:
    """Return the C files and headers that the ports of some kernels need, by file name.

    The header declares every port that the files define.
    """
    paths = sources_of(names)
    defined = {name for name, path in port_files().items() if path in paths}
    copies = {path.name: path.read_text() for path in paths}
    if len(copies) != len(paths):
        raise AssertionError(f"two of these files have one name: {paths}")
    copies[HEADER] = header_text(spec for name, spec in kernels().items() if name in defined)
    return dict(sorted(copies.items()))
