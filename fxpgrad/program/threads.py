"""Threads: the rows of a batch dealt out, to each thread an executor and an arena of its own.

Kernels release the interpreter's lock and run for a whole network at a time, so that plain Python
threads are enough: nothing here can abort, and no thread starts others.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError
from fxpgrad.program.execute import Executor, Feed, check_feed, named_inputs, positive, run_program
from fxpgrad.program.program import Program


class ThreadedExecutor:
    """Runs a Program for one batch size on up to `threads` threads; the results do not depend on them.

    Raises
    ------
    InputError
        `threads` is no positive integer, or the Program keeps state from row to row.
    """

    def __init__(self, program: Program, batch: int, threads: int) -> None:
        threads, batch = positive("threads", threads), positive("batch", batch)
        if program.variables and threads > 1:
            raise InputError(f"program {program.name} keeps state from row to row: it runs on one thread")
        count = min(threads, batch)
        ends = [batch * k // count for k in range(count + 1)]
        self.program = program
        self.batch = batch
        self._rows = [slice(start, end) for start, end in pairwise(ends)]
        first = Executor(program, ends[1])
        self._executors = [first]
        self._executors += [Executor(program, end - start, like=first) for start, end in pairwise(ends[1:])]
        self._pool = ThreadPoolExecutor(count - 1, "fxpgrad-rows") if count > 1 else None

    def load_all(self, feed: Feed) -> None:
        """Copy a batch into every input: one array, or a mapping by name."""
        rows = check_feed(self.program, feed)
        if rows != self.batch:
            raise InputError(f"this executor was planned for batches of {self.batch}; got {rows}")
        arrays = named_inputs(self.program, feed)
        for executor, part in zip(self._executors, self._rows, strict=True):
            executor.load_all({name: x[part] for name, x in arrays.items()})

    def execute(self) -> None:
        """Run all calls on what is loaded."""
        if self._pool is None:
            self._executors[0].execute()
            return
        others: list[Future[None]] = []
        try:
            for executor in self._executors[1:]:
                others.append(self._pool.submit(executor.execute))
            self._executors[0].execute()
        except RuntimeError as error:  # the system gives no more threads, or no memory for their stacks
            raise InputError(f"cannot run {len(self._executors)} threads ({error}); use fewer") from error
        finally:
            wait(others)
        for other in others:
            other.result()

    def run(self, feed: Feed) -> NDArray[Any]:
        """Run one batch and return a copy of the first output."""
        return self.run_all(feed)[self.program.outputs[0]]

    def run_all(self, feed: Feed) -> dict[str, NDArray[Any]]:
        """Run one batch and return copies of all outputs by name."""
        self.load_all(feed)
        self.execute()
        return {
            name: np.concatenate([executor.value(name) for executor in self._executors])
            for name in self.program.outputs
        }


def threaded_batches(
    program: Program, feed: Feed, threads: int, batch: int = 32
) -> Iterator[tuple[ThreadedExecutor, Feed]]:
    """Yield (executor, rows) for each stretch of rows, `batch` a thread at a time."""
    total = check_feed(program, feed)
    threads, batch = positive("threads", threads), positive("batch", batch)
    arrays = named_inputs(program, feed)
    executor = None
    for start in range(0, total, batch * threads):
        part = {name: x[start : start + batch * threads] for name, x in arrays.items()}
        size = min(batch * threads, total - start)
        if executor is None or executor.batch != size:
            executor = ThreadedExecutor(program, size, threads)
        yield executor, part


def run_on_threads(program: Program, feed: Feed, threads: int, batch: int = 32) -> NDArray[Any]:
    """Run any number of rows and return the first output for all of them.

    A stateful Program runs its rows one by one, in order, on one thread.
    """
    if program.variables:
        return run_program(program, feed, batch)
    return np.concatenate(
        [executor.run(part) for executor, part in threaded_batches(program, feed, threads, batch)]
    )
