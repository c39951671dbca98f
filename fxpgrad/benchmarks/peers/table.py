"""The peers by name."""

from __future__ import annotations

from collections.abc import Sequence

from fxpgrad.benchmarks.peers import litert, numpy, onnxruntime, tflm, torch
from fxpgrad.benchmarks.peers.peer import Peer
from fxpgrad.errors import InputError
from fxpgrad.graph.attributes import nearest

PEERS: tuple[Peer, ...] = (*litert.PEERS, *tflm.PEERS, *onnxruntime.PEERS, *torch.PEERS, *numpy.PEERS)


def peers_named(names: Sequence[str]) -> tuple[Peer, ...]:
    """Return the peers with these names; the name of a library stands for all of its variants.

    Raises
    ------
    InputError
        A name is unknown; the message gives the nearest.
    """
    libraries = tuple(dict.fromkeys(peer.name.partition("-")[0] for peer in PEERS))
    known = (*libraries, *(peer.name for peer in PEERS))
    for name in names:
        if name not in known:
            raise InputError(f"there is no peer {name!r}{nearest(name, known)}")
    wanted = set(names)
    return tuple(peer for peer in PEERS if peer.name in wanted or peer.name.partition("-")[0] in wanted)
