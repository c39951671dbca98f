"""Whole networks from model files: this package under two profiles, against the peers that run files."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.benchmarks.candidate import OURS, Built, Candidate, Case, Options
from fxpgrad.benchmarks.peers.peer import Peer, PeerError, attempt
from fxpgrad.errors import FxpgradError, InputError, StoreError
from fxpgrad.importers.model_file import program_from, read_model
from fxpgrad.program.execute import Executor, only_input, run_reference
from fxpgrad.program.program import Program
from fxpgrad.program.threads import ThreadedExecutor

PROFILES = ("tflite_double", "tosa_single")
_BATCHES = (1, 25)
_LARGE_BATCH_VALUES = 8_192  # inputs of more values are run in batches of one only
_COMPARED_ROWS = 2  # the reference definitions are slow


def model_files(files: Sequence[str], folders: Sequence[str]) -> tuple[str, ...]:
    """Return the given files, and every .tflite file in the folders, by name.

    Raises
    ------
    StoreError, ModelFileError
        A file cannot be read or imported, or a folder is none.
    InputError
        A folder holds no .tflite file.
    """
    found = list(files)
    for file in files:
        only_input(program_from(read_model(file), file, None))
    for folder in folders:
        if not Path(folder).is_dir():
            raise StoreError(f"cannot read {folder}: it is not a directory")
        inside = sorted(str(path) for path in Path(folder).rglob("*.tflite"))
        if not inside:
            raise InputError(f"there is no .tflite file in {folder}")
        found += inside
    return tuple({Path(path).resolve(): path for path in reversed(found)}.values())[::-1]


def net_cases(options: Options) -> list[Case]:
    """Return each model in batches of 1, and small ones in batches of 25 too.

    A file that this package does not read (a float model, say) becomes a case whose only remark says why.
    """
    cases = []
    stems = Counter(Path(path).stem for path in options.models)
    for path in options.models:
        name = Path(path).stem if stems[Path(path).stem] == 1 else str(Path(path).with_suffix(""))
        try:
            program = program_from(read_model(path), path, None)
            values = program.tensors[only_input(program)].elements
        except FxpgradError as error:
            cases.append(Case(name, functools.partial(_refused, str(error))))
            continue
        for batch in _BATCHES:
            if batch > 1 and (values > _LARGE_BATCH_VALUES or program.variables):
                continue
            label = f"{name}, batch {batch}"
            cases.append(Case(label, functools.partial(_build_net, path, batch, options)))
    return cases


def _refused(reason: str) -> Built:
    return Built((), (f"left out: {reason}",))


def _build_net(path: str, batch: int, options: Options) -> Built:
    content = read_model(path)
    found: list[Candidate] = []
    notes: list[str] = []
    expected: NDArray[Any] | None = None
    x: NDArray[Any] | None = None
    for profile in PROFILES:
        try:
            program = program_from(content, path, profile)
        except FxpgradError as error:
            notes.append(f"{profile}: {error}")
            continue
        x = random_input(program, batch)
        name = OURS if not found else f"{OURS} {profile}"
        candidate, outputs = _our_net(program, x, name, options.threads)
        expected = outputs if expected is None else expected
        found.append(candidate)
    for peer in options.peers:
        if peer.net is None or not peer.installed or x is None or expected is None:
            continue
        run = functools.partial(_peer_net, peer, content, x, expected, options.threads)
        try:
            found.append(attempt(peer.name, run))
        except PeerError as error:
            notes.append(str(error))
    return Built(tuple(found), tuple(notes))


def random_input(program: Program, batch: int) -> NDArray[Any]:
    """Return a batch over the whole range of the input's type."""
    info = program.tensors[only_input(program)]
    kind = np.iinfo(info.outer_dtype)
    low, high = max(kind.min, -(2**15)), min(kind.max, 2**15 - 1)
    values = np.random.default_rng(0).integers(low, high + 1, (batch, *info.shape))
    return values.astype(info.outer_dtype)


def _our_net(program: Program, x: NDArray[Any], name: str, threads: int) -> tuple[Candidate, NDArray[Any]]:
    outputs = Executor(program, len(x)).run(x)
    rows = min(_COMPARED_ROWS, len(x))
    equal = np.array_equal(outputs[:rows], run_reference(program, x[:rows])[program.outputs[0]])
    verdict = "bits equal" if equal else "DIFFERS from its reference"
    executor = ThreadedExecutor(program, len(x), 1 if program.variables else threads)
    executor.load_all(x)
    return Candidate(name, executor.execute, None, f"{verdict} ({program.profile})"), outputs


def _peer_net(peer: Peer, content: bytes, x: NDArray[Any], expected: NDArray[Any], threads: int) -> Candidate:
    assert peer.net is not None
    network = peer.net(content, len(x), threads)
    network.load(x)
    network.run()
    outputs = network.result().reshape(expected.shape)
    differing = np.abs(outputs.astype(np.float64) - expected)
    verdict = "outputs equal ours"
    if differing.any():
        share = 100 * float((differing > 0).mean())
        verdict = f"outputs not ours: {share:.2g} % of them, by up to {differing.max():.0f}"
    return Candidate(peer.name, network.run, None, verdict)
