"""NumPy: the matrix product in float32 (its BLAS) and in int32."""

from __future__ import annotations

import contextlib

import numpy as np

from fxpgrad.benchmarks.layer import Kind, Layer
from fxpgrad.benchmarks.peers.peer import Peer, Prepared

_DENSE: frozenset[Kind] = frozenset({"dense"})


def prepare_float(layer: Layer, threads: int) -> Prepared:
    """`a @ w` in float32 with a ready output."""
    limit_blas_threads(threads)
    x = (layer.x.astype(np.float32) - layer.input_zero_point) * np.float32(layer.input_scale)
    weights = (layer.weights * layer.weight_scale[:, None]).T.astype(np.float32, order="C")
    out = np.empty((len(x), weights.shape[1]), np.float32)
    return Prepared(lambda: np.matmul(x, weights, out=out), lambda: out, "real")


def prepare_integer(layer: Layer, threads: int) -> Prepared:
    """`a @ w` in int32: exact sums."""
    del threads  # one, always
    x = layer.x.astype(np.int32) - np.int32(layer.input_zero_point)
    weights = layer.weights.T.astype(np.int32, order="C")
    out = np.empty((len(x), weights.shape[1]), np.int32)
    return Prepared(lambda: np.matmul(x, weights, out=out), lambda: out, "sums")


def limit_blas_threads(threads: int) -> None:
    """Limit NumPy's BLAS, if the package for it is there; else its threads show in the process's time."""
    with contextlib.suppress(ImportError):
        import threadpoolctl  # noqa: PLC0415

        threadpoolctl.threadpool_limits(threads, user_api="blas")


PEERS = (
    Peer("numpy-float32", "numpy", "numpy", "bench", _DENSE, prepare_float),
    Peer("numpy-int32", "numpy", "numpy", "bench", _DENSE, prepare_integer, slow=True),
)
