"""TFLite-Micro: whole .tflite files under its reference kernels, the bits that `tflite_double` names."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.benchmarks.peers.peer import Network, Peer


def prepare_net(model: bytes, batch: int, threads: int) -> Network:
    """Make a whole model of one input ready; it runs the rows of a batch one after the other."""
    del threads  # it has one
    from tflite_micro.python.tflite_micro import runtime  # noqa: PLC0415

    interpreter = runtime.Interpreter.from_bytes(model)
    shape = interpreter.get_input_details(0)["shape"]
    kind = interpreter.get_input_details(0)["dtype"]
    rows = np.zeros((batch, *shape), kind)
    outputs: list[NDArray[Any]] = [np.zeros(0)] * batch

    def load(x: NDArray[Any]) -> None:
        rows[:] = x.reshape(rows.shape)

    def run() -> None:
        for number, row in enumerate(rows):
            interpreter.set_input(row, 0)
            interpreter.invoke()
            outputs[number] = interpreter.get_output(0)

    return Network(load, run, lambda: np.stack(outputs))


PEERS = (Peer("tflm-reference", "tflite_micro", "tflite-micro", "tflm", frozenset(), net=prepare_net),)
