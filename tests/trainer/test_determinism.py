"""Same seed, same bits: other processes, and machine code compiled anew or taken from the cache."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import fxpgrad
import fxpgrad_kernels
from fxpgrad.program.program import constants_sha256
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.objective import LinearCrossEntropy
from fxpgrad.trainer.trainer import Trainer
from tests.trainer.small_programs import dense_integers, dense_program

CONFIG = TrainerConfig(epsilon=1e-2, learning_rate=2e-2, seed=12)


def trained_digest() -> str:
    """Train the small dense network for a few steps and return the digest of its weights."""
    program = dense_program()
    x, y = dense_integers(program)
    trainer = Trainer(program, CONFIG, LinearCrossEntropy(), len(x))
    trainer.fit(x, y, 8)
    return constants_sha256({item.name: item.values for item in trainer.trainables})


def _digest_elsewhere(cache: Path, threads: str) -> str:
    roots = [Path(__file__).resolve().parents[2]]
    roots += [Path(package.__file__).resolve().parents[1] for package in (fxpgrad, fxpgrad_kernels)]
    environment = {
        **os.environ,
        "NUMBA_CACHE_DIR": str(cache),
        "NUMBA_NUM_THREADS": threads,
        "PYTHONPATH": os.pathsep.join(map(str, roots)),
    }
    code = "from tests.trainer.test_determinism import trained_digest; print(trained_digest())"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_other_processes_with_a_cold_and_a_warm_cache_get_the_same_bits(tmp_path: Path) -> None:
    here = trained_digest()
    cold = _digest_elsewhere(tmp_path, "1")
    compiled = {path.name for path in tmp_path.rglob("*.nbc")}
    assert compiled, "the first process compiled into the empty cache"
    warm = _digest_elsewhere(tmp_path, "2")
    assert {path.name for path in tmp_path.rglob("*.nbc")} == compiled, "the second compiled nothing"
    assert cold == warm == here


def test_the_bits_are_those_of_every_machine() -> None:
    """A recorded digest: float code may only choose the constants, and those round alike everywhere."""
    assert trained_digest() == RECORDED


RECORDED = "fbd68c76a0c03c59e6492ca8b99481dae1a74828d983431eaae257bfce207205"
