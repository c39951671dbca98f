"""Make torch_network.onnx and torch_network.npz: a small network as PyTorch exports it, and what it computes.

Run in an environment of its own:
    pip install torch==2.13.0 onnx onnxscript && python tests/golden/make_torch_onnx.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

SEED = 20261123


class Network(nn.Module):
    """Convolutions with batch norms, a depthwise one, a residual sum, a concat, two flattenings."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.deep = nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 1),
        )
        self.pool = nn.MaxPool2d(2)
        self.last = nn.Conv2d(16, 12, 3, stride=2, padding=1)
        self.flat = nn.Linear(12 * 3 * 3, 12)
        self.head = nn.Linear(12, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.stem(x)
        b = torch.relu(a + self.deep(a))
        c = nn.functional.hardtanh(self.last(self.pool(torch.cat([a, b], 1))), 0, 6)
        return self.head(c.mean((2, 3))) + self.head(self.flat(c.flatten(1)))


def main() -> None:
    """Write the files beside this script."""
    torch.manual_seed(SEED)
    network = Network()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    network.eval()
    x = torch.randn(8, 1, 12, 12)
    path = Path(__file__).with_name("torch_network.onnx")
    shapes = ({0: torch.export.Dim("batch")},)
    torch.onnx.export(network, (x,), str(path), dynamo=True, dynamic_shapes=shapes, external_data=False)
    with torch.no_grad():
        y = network(x)
    np.savez_compressed(path.with_suffix(".npz"), x=x.numpy(), y=y.numpy())


if __name__ == "__main__":
    main()
