"""Each installed peer on tiny layers; peers that are not installed or refuse are said, not raised."""

from __future__ import annotations

import dataclasses

import pytest

from fxpgrad.benchmarks.candidate import OURS, PEAK, Options
from fxpgrad.benchmarks.layer import Geometry, make_layer
from fxpgrad.benchmarks.layer_suites import build_layer, peer_candidate
from fxpgrad.benchmarks.peers.peer import PeerError, attempt
from fxpgrad.benchmarks.peers.table import PEERS, peers_named
from fxpgrad.errors import InputError

GEOMETRIES = (
    Geometry("dense", 4, 32, 16),
    Geometry("conv", 2, 8, 8, 6, 3),
    Geometry("conv", 1, 8, 16, 6, 1),
    Geometry("depthwise", 1, 8, 8, 6, 3),
)
# These sum exactly on every processor; the rest saturates on some.
EXACT = (
    "litert-xnnpack", "litert-builtin", "litert-reference", "litert-16x8", "onnxruntime-s8s8",
    "onnxruntime-matmulinteger-s8s8", "numpy-int32",
)  # fmt: skip


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=lambda g: f"{g.kind} {g.label}")
@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_peer_does_the_layer_and_is_judged(peer, geometry):
    if not peer.installed:
        pytest.skip(peer.absence)
    if geometry.kind not in peer.kinds:
        pytest.skip("not a layer of this peer")
    layer = make_layer(geometry)
    try:
        candidate = attempt(peer.name, lambda: peer_candidate(peer, layer))
    except PeerError as error:
        if peer.name.startswith("torch-"):  # an engine that this build lacks
            pytest.skip(str(error))
        raise
    assert candidate.macs == geometry.macs
    if peer.name in EXACT:
        assert candidate.result == "exact"
    elif "float32" in peer.name:
        assert float(candidate.result.removeprefix("float, error ")) < 1e-4
    else:
        assert candidate.result.startswith(("exact", "inexact: "))


def test_names_stand_for_libraries_and_variants():
    assert [peer.name for peer in peers_named(["litert-xnnpack"])] == ["litert-xnnpack"]
    assert {peer.name.partition("-")[0] for peer in peers_named(["numpy", "torch-float32"])} == {
        "numpy",
        "torch",
    }
    assert peers_named([]) == ()


def test_unknown_peer_names_the_nearest():
    with pytest.raises(InputError, match="litert-xnnpack"):
        peers_named(["litert-xnpack"])


def test_names_are_unique():
    assert len({peer.name for peer in PEERS}) == len(PEERS)


def refuse(layer, threads):
    raise RuntimeError("no such thing\nwith a second line")


def test_absent_and_refusing_peers_leave_the_others_alone():
    absent = dataclasses.replace(PEERS[0], package="a_package_that_is_not_there")
    refusing = dataclasses.replace(PEERS[-1], name="refusing", prepare=refuse)
    assert not absent.installed
    assert "pip install" in absent.absence
    built = build_layer(GEOMETRIES[0], Options((absent, refusing)))
    assert [candidate.name for candidate in built.candidates] == [OURS, PEAK]
    assert built.notes == ("refusing cannot do it: no such thing",)


def test_a_library_with_exceptions_of_its_own_is_heard_too():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from fxpgrad.benchmarks.peers.onnxruntime import _session

    layer = make_layer(GEOMETRIES[0])
    with pytest.raises(PeerError):
        _session("NoSuchOperator", ["x"], {}, layer.x, layer.x.dtype, {}, 1)
