"""Suites of single layers: matrix products, convolutions, 1x1 and depthwise convolutions."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from fxpgrad.benchmarks.candidate import Built, Candidate, Case, Options
from fxpgrad.benchmarks.layer import (
    Geometry,
    Layer,
    cached_layer,
    compare_fine_outputs,
    compare_outputs,
    compare_real,
    compare_sums,
)
from fxpgrad.benchmarks.ours import layer_candidate, wide_candidates
from fxpgrad.benchmarks.peak import peak_candidate
from fxpgrad.benchmarks.peers.peer import Peer, PeerError, attempt

_SLOW_MACS = 120_000_000  # slow peers are left out of larger layers
_COMPARE = {
    "sums": compare_sums,
    "outputs": compare_outputs,
    "fine outputs": compare_fine_outputs,
    "real": compare_real,
}

# (rows, inputs, outputs): squares, convolutions as products, a batch of 25, single rows.
GEMM = tuple(
    Geometry("dense", rows, inputs, outputs)
    for rows, inputs, outputs in (
        (64, 64, 64),
        (256, 256, 256),
        (1024, 1024, 1024),
        (3136, 576, 64),
        (196, 1152, 128),
        (25, 1024, 1024),
        (1, 1024, 1024),
        (1, 640, 128),
    )
)
# 3x3 convolutions of ResNet-8, and of ResNet-12 on 84 x 84 images.
CONV = tuple(
    Geometry("conv", batch, inputs, outputs, size, 3)
    for size, inputs, outputs, batches in (
        (32, 16, 16, (1, 25)),
        (16, 32, 32, (1, 25)),
        (8, 64, 64, (1, 25)),
        (84, 64, 64, (1,)),
    )
    for batch in batches
)
# 1x1 convolutions of MobileNet-0.25 at 96 x 96, then that of DS-CNN (25 x 5 is taken as 11 x 11).
POINTWISE = tuple(
    Geometry("conv", 1, inputs, outputs, size)
    for size, inputs, outputs in (
        (48, 8, 16),
        (24, 16, 32),
        (24, 32, 32),
        (12, 32, 64),
        (12, 64, 64),
        (6, 64, 128),
        (6, 128, 128),
        (3, 128, 256),
        (3, 256, 256),
        (11, 64, 64),
    )
)
# Depthwise 3x3 convolutions of the same networks: (size, channels, stride).
DEPTHWISE = tuple(
    Geometry("depthwise", 1, channels, channels, size, 3, stride)
    for size, channels, stride in (
        (48, 8, 1),
        (48, 16, 2),
        (24, 32, 1),
        (24, 32, 2),
        (12, 64, 1),
        (12, 64, 2),
        (6, 128, 1),
        (6, 128, 2),
        (3, 256, 1),
        (11, 64, 1),
    )
)


def layer_cases(geometries: Sequence[Geometry], options: Options) -> list[Case]:
    """Return one case a geometry."""
    return [
        Case(geometry.label, functools.partial(build_layer, geometry, options), large=geometry.large)
        for geometry in geometries
    ]


def build_layer(geometry: Geometry, options: Options) -> Built:
    """Make every candidate of one layer ready, and compare each one's numbers with the exact ones."""
    layer = cached_layer(geometry)
    found = [layer_candidate(layer, threads=options.threads)]
    if options.wide and geometry.kind != "depthwise":
        found += wide_candidates(geometry, options.threads)
    if geometry.kind != "depthwise":
        found.append(peak_candidate())
    notes = []
    for peer in options.peers:
        if not peer.installed or geometry.kind not in peer.kinds:
            continue
        if peer.slow and geometry.macs > _SLOW_MACS:
            continue
        try:
            found.append(attempt(peer.name, functools.partial(peer_candidate, peer, layer, options.threads)))
        except PeerError as error:
            notes.append(str(error))
    return Built(tuple(found), tuple(notes))


def peer_candidate(peer: Peer, layer: Layer, threads: int = 1) -> Candidate:
    """Return a peer's layer, run once and compared with the exact numbers."""
    assert peer.prepare is not None
    prepared = peer.prepare(layer, threads)
    prepared.run()
    verdict = _COMPARE[prepared.numbers](layer, prepared.result())
    return Candidate(peer.name, prepared.run, layer.geometry.macs, verdict)


def gemm_cases(options: Options) -> list[Case]:
    """Return the matrix products."""
    return layer_cases(GEMM, options)


def conv_cases(options: Options) -> list[Case]:
    """Return the 3x3 convolutions."""
    return layer_cases(CONV, options)


def pointwise_cases(options: Options) -> list[Case]:
    """Return the 1x1 convolutions."""
    return layer_cases(POINTWISE, options)


def depthwise_cases(options: Options) -> list[Case]:
    """Return the depthwise convolutions."""
    return layer_cases(DEPTHWISE, options)
