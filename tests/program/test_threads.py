"""Threads: the rows are dealt out, and no bit depends on how."""

from __future__ import annotations

import numpy as np
import pytest

from fxpgrad.errors import InputError
from fxpgrad.program.execute import run_program
from fxpgrad.program.lower import lower
from fxpgrad.program.threads import ThreadedExecutor, run_on_threads
from tests.program.random_programs import random_samples, small_network
from tests.trainer.small_programs import dense_integers, dense_program


@pytest.mark.parametrize("rows", [1, 2, 7, 33])
def test_threads_change_no_bit(rows: int) -> None:
    program = lower(small_network()[1])
    x = random_samples(program, 0, rows)
    wanted = run_program(program, x)
    for threads in (1, 2, 3, 8):
        np.testing.assert_array_equal(run_on_threads(program, x, threads, batch=4), wanted)
        executor = ThreadedExecutor(program, rows, threads)
        np.testing.assert_array_equal(executor.run(x), wanted)
        np.testing.assert_array_equal(executor.run(x), wanted)


def test_rows_that_do_not_fit_and_bad_thread_counts_are_refused() -> None:
    program = lower(small_network()[1])
    x = random_samples(program, 0, 3)
    with pytest.raises(InputError, match="planned for batches of 2; got 3"):
        ThreadedExecutor(program, 2, 2).run(x)
    for threads in (0, -1, 1.5):
        with pytest.raises(InputError, match="threads must be an integer of at least 1"):
            ThreadedExecutor(program, 2, threads)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "x", None, True])
@pytest.mark.parametrize("name", ["threads", "batch"])
def test_counts_that_are_no_positive_integers_are_named(name, wrong):
    program = dense_program()
    x, _ = dense_integers(program)
    given = {"threads": 2, "batch": 4, name: wrong}
    for run in (
        lambda: run_on_threads(program, x, **given),
        lambda: ThreadedExecutor(program, given["batch"], given["threads"]),
    ):
        with pytest.raises(InputError, match=f"{name} must be an integer of at least 1; got {wrong!r}"):
            run()


def test_counts_may_be_integers_of_numpy():
    program = dense_program()
    x, _ = dense_integers(program)
    np.testing.assert_array_equal(
        run_on_threads(program, x, np.int64(2), np.int32(4)), run_on_threads(program, x, 1)
    )


def test_threads_that_the_system_refuses_are_said_and_the_others_awaited(monkeypatch):
    program = dense_program()
    x, _ = dense_integers(program)
    executor = ThreadedExecutor(program, len(x), 3)
    executor.load_all(x)
    submit = executor._pool.submit

    seen: list[object] = []

    def refuse_second(job):
        if seen:
            raise RuntimeError("can't start new thread")
        seen.append(job)
        return submit(job)

    monkeypatch.setattr(executor._pool, "submit", refuse_second)
    with pytest.raises(InputError, match=r"cannot run 3 threads .*use fewer"):
        executor.execute()
