"""An exported C project on an emulated board: built, run, measured."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fxpgrad.codegen.emulated_boards import TIMED_OUT, Board, Sizes, build, run, sizes_in_map
from fxpgrad.codegen.model_source import KERNELS, WATCH
from fxpgrad.codegen.training_main import FILES
from fxpgrad.errors import InputError

ProgramName = Literal["selftest", "train"]
_MAIN = {"selftest": "selftest.c", "train": "train_main.c"}


@dataclass(frozen=True, slots=True)
class Emulation:
    """What a program did on a board.

    Attributes
    ----------
    status : int
        Its exit status; 0 is good.
    said : str
    sizes : Sizes
        Of the model and its kernels alone: without the program's own data, the C library and the stack.
    """

    board: str
    program: str
    status: int
    said: str
    sizes: Sizes


def project_prefix(folder: Path) -> str:
    """Return what the files of a project's model are called, or raise `InputError` if it is no project."""
    found = [path.name.removesuffix("_constants.h") for path in folder.glob("*_constants.h")]
    if len(found) != 1 or not (folder / f"{found[0]}.c").is_file():
        raise InputError(f"{folder} is no folder that fxpgrad export-c has written")
    return found[0]


def emulate(
    folder: Path,
    board: Board,
    program: ProgramName = "selftest",
    *,
    steps: int | None = None,
    optimize: str = "-Os",
    seconds: float = 3600.0,
) -> Emulation:
    """Build one of a project's programs for a board and run it there.

    train: reads samples.bin and labels.bin of the folder, takes `steps` steps and writes trained.bin there.

    Raises
    ------
    InputError
        The folder is no project, lacks the program or its data, or the board's tools are missing; or the
        program does not end in time.
    """
    prefix = project_prefix(folder)
    main = folder / _MAIN[program]
    if not main.is_file():
        raise InputError(f"{folder} has no {main.name}: export it with --train")
    missing = [name for name in FILES[:2] if program == "train" and not (folder / name).is_file()]
    if missing:
        raise InputError(f"{folder} has no {' and no '.join(missing)}, which train reads on a board")
    defines = [f"{prefix.upper()}_{WATCH}"] if program == "selftest" else []
    if steps is not None:
        defines.append(f"TRAIN_STEPS={steps}")
    sources = [main, folder / f"{prefix}.c", *sorted((folder / KERNELS).glob("*.c"))]
    with tempfile.TemporaryDirectory(prefix="fxpgrad-board-") as work:
        elf = build(board, sources, Path(work) / "program.elf", defines=defines, optimize=optimize)
        own = [path.stem for path in sources[1:]]
        sizes = sizes_in_map(elf.with_suffix(".map"), own)
        status, said = run(board, elf, folder=folder, seconds=seconds)
    if status == TIMED_OUT:
        raise InputError(f"{program} did not end on {board.name} within {seconds:g} seconds")
    return Emulation(board.name, program, status, said, sizes)
