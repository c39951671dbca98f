"""Damaged files: always a model or one ModelFileError, soon, and without much memory."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tflite")

from fxpgrad.errors import ModelFileError
from fxpgrad.importers.tflite_graph import import_tflite
from tests.importers.tflite_mutations import mutated, seed_models
from tests.importers.tflite_nonsense import nonsense

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
SLOWEST = 2.0  # seconds of processor time
DEEP_RUNS = 250_000
REAL_MODELS = ("tflm/hello_world_int8", "tflm/micro_speech_quantized", "mlperf_tiny/kws_ref_model")


def outcome(content: bytes) -> str:
    """Import `content` and return what came of it; anything but a model or one clear error propagates."""
    start = time.process_time()
    try:
        import_tflite(content)
        result = "a model"
    except ModelFileError as error:
        message = str(error)
        assert 10 < len(message) < 2100
        assert "\n" not in message
        result = "refused"
    assert time.process_time() - start < SLOWEST
    return result


def run(seeds: list[bytes], count: int, seed: int) -> dict[str, int]:
    """Import `count` damaged files: the seeds in turn, or nonsense where there are none."""
    results = {"a model": 0, "refused": 0}
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        content = mutated(seeds[number % len(seeds)], rng) if seeds else nonsense(rng)
        try:
            results[outcome(content)] += 1
        except BaseException as error:
            raise AssertionError(f"damage ({seed}, {number})") from error
    return results


def test_the_seed_models_are_imported():
    assert [outcome(content) for content in seed_models()] == ["a model"] * 4


def test_every_truncation_is_refused():
    for content in seed_models():
        assert {outcome(content[:size]) for size in range(0, len(content) - 64, 7)} == {"refused"}


def test_damaged_files_give_a_model_or_one_error():
    results = run(seed_models(), 2000, seed=1)
    assert min(results.values()) > 100  # neither all harmless nor all refused at the first byte


def test_well_formed_nonsense_gives_a_model_or_one_error():
    """Huge dimensions, cycles, missing inputs, operators that are called something else."""
    results = run([], 2000, seed=4)
    assert min(results.values()) > 150


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no folder {DATA}: the model files are not in this repository")
def test_damaged_real_files_give_a_model_or_one_error():
    seeds = [(DATA / f"{name}.tflite").read_bytes() for name in REAL_MODELS]
    results = run(seeds, 300, seed=2)
    assert sum(results.values()) == 300


@pytest.mark.deep
def test_a_quarter_of_a_million_damaged_files():
    """About an hour; no single import may take memory beyond 1 GiB either."""
    seeds = seed_models()
    if DATA.is_dir():
        seeds += [(DATA / f"{name}.tflite").read_bytes() for name in REAL_MODELS]
    for results in (run(seeds, DEEP_RUNS // 2, seed=3), run([], DEEP_RUNS // 2, seed=5)):
        assert sum(results.values()) == DEEP_RUNS // 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2**20  # KiB
