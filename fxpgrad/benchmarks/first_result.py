"""Run as a program: import the package, run one network once, and print how long each part took, as JSON."""

from __future__ import annotations

import time

STARTED = time.perf_counter()

import json  # noqa: E402
import sys  # noqa: E402

from fxpgrad.importers.model_file import load_program  # noqa: E402
from fxpgrad.program.execute import Executor  # noqa: E402
from fxpgrad.program.program import Program  # noqa: E402

IMPORTED = time.perf_counter()


def first_result(program: Program) -> None:
    """Run the network on zeros."""
    executor = Executor(program)
    executor.execute()


def main() -> None:
    """Write {"import", "first", "total", "cpu"} in seconds; the argument is a model file, or none."""
    if len(sys.argv) > 1:
        program = load_program(sys.argv[1])
    else:
        from fxpgrad.benchmarks.training_programs import training_program  # noqa: PLC0415

        program = training_program("resnet8", 8)
    first_result(program)
    now = time.perf_counter()
    times = {"import": IMPORTED - STARTED, "first": now - IMPORTED, "total": now - STARTED}
    sys.stdout.write(json.dumps({**times, "cpu": time.process_time()}) + "\n")


if __name__ == "__main__":
    main()
