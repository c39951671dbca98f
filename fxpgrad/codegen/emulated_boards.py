"""Microcontrollers under QEMU: C files are built for one and run on it, and talk through semihosting.

The emulator proves bits and sizes, not time. Debian's packages: gcc-arm-none-eabi, libnewlib-arm-none-eabi
and qemu-system-arm; gcc-riscv64-unknown-elf, picolibc-riscv64-unknown-elf and qemu-system-misc.
"""

from __future__ import annotations

import difflib
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fxpgrad.codegen.host_compiler import STRICT, run_compiler
from fxpgrad.errors import InputError

FILES = Path(__file__).parent / "board_files"
_ARM, _RISCV = "arm-none-eabi-", "riscv64-unknown-elf-"
_PACKAGES = {
    _ARM: "gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm",
    _RISCV: "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf qemu-system-misc",
}
_SEMIHOSTING = ("-nographic", "-monitor", "none", "-serial", "none")
TIMED_OUT = -1  # what `run` returns as a status where the time ran out: no program exits with it


@dataclass(frozen=True, slots=True)
class Board:
    """An emulated board.

    Attributes
    ----------
    name, description : str
    prefix : str
        Of the cross compiler's programs.
    flags : tuple of str
        What the compiler is told of the processor.
    emulator, machine : str
        QEMU's program, and its name of the board.
    origins : (int, int) or None
        Where read-only memory and memory begin, 4 MiB each; None where the linker script says it.
    """

    name: str
    description: str
    prefix: str
    flags: tuple[str, ...]
    emulator: str
    machine: str
    origins: tuple[int, int] | None = None

    def missing(self) -> list[str]:
        """Return the programs that are not installed."""
        programs = (f"{self.prefix}gcc", f"{self.prefix}size", self.emulator)
        return [program for program in programs if shutil.which(program) is None]


def _cortex(name: str, processor: str, machine: str, rom: int, ram: int) -> Board:
    flags = (f"-mcpu={processor}", "-mthumb", "-mfloat-abi=soft")
    return Board(name, f"Arm, QEMU's {machine}", _ARM, flags, "qemu-system-arm", machine, (rom, ram))


_ALL = (
    _cortex("cortex-m3", "cortex-m3", "mps2-an385", 0x0, 0x20000000),
    _cortex("cortex-m4", "cortex-m4", "mps2-an386", 0x0, 0x20000000),
    _cortex("cortex-m7", "cortex-m7", "mps2-an500", 0x0, 0x20000000),
    _cortex("cortex-m33", "cortex-m33", "mps2-an505", 0x10000000, 0x38000000),
    _cortex("cortex-m55", "cortex-m55", "mps3-an547", 0x0, 0x21000000),
    Board(
        "rv32",
        "RISC-V RV32IMAC, QEMU's virt",
        _RISCV,
        ("-march=rv32imac", "-mabi=ilp32", "-mcmodel=medany"),
        "qemu-system-riscv32",
        "virt",
    ),
)
BOARDS: dict[str, Board] = {board.name: board for board in _ALL}


def board_named(name: str) -> Board:
    """Return the board called `name`, or raise `InputError` with the list of names."""
    try:
        return BOARDS[name]
    except KeyError:
        near = difflib.get_close_matches(name, BOARDS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"board must be one of {', '.join(BOARDS)}; got {name!r}{hint}") from None


def check_installed(board: Board) -> None:
    """Raise `InputError` naming the packages if the board's compiler or emulator is not installed."""
    missing = board.missing()
    if missing:
        raise InputError(
            f"{', '.join(missing)} not found, needed for the board {board.name}: on Debian, "
            f"apt install {_PACKAGES[board.prefix]}"
        )


def build(
    board: Board,
    sources: Iterable[Path],
    output: Path,
    *,
    include: Iterable[Path] = (),
    defines: Iterable[str] = (),
    optimize: str = "-Os",
) -> Path:
    """Compile and link C files that use the standard library's files and output; return `output`.

    Beside it go the linker's map, with the suffix .map, and a folder of object files named as their sources.

    Raises
    ------
    InputError
        The compiler is not installed, or refuses.
    """
    check_installed(board)
    compiler = f"{board.prefix}gcc"
    told = [*(f"-I{folder}" for folder in include), *(f"-D{macro}" for macro in defines)]
    common = [*board.flags, *STRICT, optimize, "-ffunction-sections", "-fdata-sections", *told]
    objects = output.with_suffix(".objects")
    objects.mkdir(exist_ok=True)
    linker = ["-Wl,--gc-sections", f"-Wl,-Map={output.with_suffix('.map')}"]
    if board.origins is not None:
        names = ("rom_origin", "rom_length", "ram_origin", "ram_length")
        numbers = (board.origins[0], 1 << 22, board.origins[1], 1 << 22)
        linker += [f"-Wl,--defsym={name}={number:#x}" for name, number in zip(names, numbers, strict=True)]
        linker += ["--specs=rdimon.specs", "-nostartfiles", "-T", str(FILES / "cortex_m.ld")]
        own = [FILES / "cortex_m.c"]
    else:
        common.append("--specs=picolibc.specs")
        linker += [
            "--specs=picolibc.specs",
            "--oslib=semihost",
            "--crt0=hosted",
            "-T",
            str(FILES / "riscv.ld"),
        ]
        own = []
    linked = []
    for source in (*own, *sources):
        linked.append(objects / f"{Path(source).stem}.o")
        run_compiler([compiler, *common, "-c", source, "-o", linked[-1]])
    run_compiler([compiler, *board.flags, *linked, *linker, "-o", output])
    return output


def run(
    board: Board, program: Path, *, folder: Path | None = None, seconds: float = 600.0
) -> tuple[int, str]:
    """Run a program on the board; return its exit status (`TIMED_OUT` if the time ran out) and what it said.

    folder: where the files lie that it opens by relative names.
    """
    check_installed(board)
    command = [board.emulator, "-machine", board.machine, *_SEMIHOSTING]
    if board.origins is None:
        command += ["-bios", "none"]
    command += ["-semihosting-config", "enable=on,target=native", "-kernel", str(program.resolve())]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", cwd=folder, timeout=seconds,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired as late:
        said = late.stdout or b""
        return TIMED_OUT, said.decode(errors="replace") if isinstance(said, bytes) else said
    return done.returncode, done.stdout + done.stderr


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of a linked program, or of some of its files: code and constants, set data, zeroed data."""

    text: int
    data: int
    bss: int

    @property
    def flash(self) -> int:
        """What has to lie in read-only memory: code, constants and the first values of data."""
        return self.text + self.data

    @property
    def ram(self) -> int:
        """What lies in memory but for the stack."""
        return self.data + self.bss


_SECTION = re.compile(r"^ \.(\w+)\S*\s+0x[0-9a-f]+\s+(0x[0-9a-f]+)\s+(\S+)$", re.MULTILINE)
_KINDS = {"text": "text", "rodata": "text", "data": "data", "sdata": "data", "bss": "bss", "sbss": "bss"}


def sizes_in_map(board_map: Path, names: Sequence[str] | None = None) -> Sizes:
    """Return the sizes of what the linker kept, from its map; of all files or of those that `names` name.

    names: stems of source files.
    """
    text = board_map.read_text()
    text = text[text.index("Linker script and memory map") :]
    text = re.sub(r"^( \.\S+)\n\s+", r"\1 ", text, flags=re.MULTILINE)  # long names stand on their own line
    totals = dict.fromkeys(("text", "data", "bss"), 0)
    for kind, size, file in _SECTION.findall(text):
        if kind in _KINDS and (names is None or Path(file).stem in names):
            totals[_KINDS[kind]] += int(size, 16)
    return Sizes(**totals)
