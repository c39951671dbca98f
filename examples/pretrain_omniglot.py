"""Pretrain the ResNet12 backbone that fxpgrad bundles, from the bundled Omniglot alone.

Network: ResNet12 in the layout of FEAT (four residual blocks of three 3x3 convolutions with batch
norm, a 1x1 convolution with batch norm as shortcut, 2x2 max pool after blocks 1 to 3, global average
pool after block 4), widths 16, 32, 48, 64, with ReLU in place of LeakyReLU(0.1).

Objective: a prototypical-network episode per step. An episode holds WAYS classes with IMAGES drawings
each; every drawing is classified by its squared Euclidean distance, times a learned `distance_scale`,
to the prototypes (class means; its own class's mean leaves the drawing itself out). A class is a
character at one of four 90-degree rotations. Every other episode takes whole alphabets, which look
alike, instead of characters from everywhere. Drawings are shifted, rotated and sheared a little.

Four background alphabets (VALIDATION) are never trained on: tune on those, report on the evaluation
split. The seed fixes the run for one version of PyTorch and one thread.

    python examples/pretrain_omniglot.py resnet12_omniglot.npz --steps 3000 --checkpoints checkpoints/
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from fxpgrad.tasks.omniglot import Omniglot, load_omniglot

WIDTHS = (16, 32, 48, 64)
WAYS = 50
IMAGES = 6
VALIDATION = ("Armenian", "Grantha", "Hebrew", "N_Ko")


class Block(nn.Module):
    """relu(bn(conv(relu(bn(conv(relu(bn(conv(x)))))))) + bn(conv1x1(x))), before any pooling."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv3 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        return functional.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class ResNet12(nn.Module):
    """[n, 1, 28, 28] with values 0 and 1 to an embedding [n, 64]."""

    def __init__(self) -> None:
        super().__init__()
        ends = zip((1, *WIDTHS[:-1]), WIDTHS, strict=True)
        self.layer1, self.layer2, self.layer3, self.layer4 = (Block(a, b) for a, b in ends)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        for layer in (self.layer1, self.layer2, self.layer3):
            x = functional.max_pool2d(layer(x), 2)
        return self.layer4(x).mean(dim=(2, 3))


def episode_classes(pool: list[np.ndarray], rng: np.random.Generator, hard: bool) -> np.ndarray:
    """Choose WAYS rows (character, quarter turns): from everywhere, or (`hard`) alphabet by alphabet."""
    everything = np.concatenate(pool)
    if not hard:
        classes = rng.choice(4 * len(everything), WAYS, replace=False)
        return np.stack([everything[classes // 4], classes % 4], axis=1)
    chosen: list[np.ndarray] = []
    for alphabet in rng.permutation(len(pool)):
        members = rng.permutation(pool[alphabet])
        chosen.append(np.stack([members, np.full_like(members, rng.integers(4))], axis=1))
        if sum(map(len, chosen)) >= WAYS:
            break
    return np.concatenate(chosen)[:WAYS]


def augment(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Shift by up to 2 pixels, rotate by up to 12 degrees, scale by 10 % and shear a little; back to 0/1."""
    n = len(images)
    angle = rng.uniform(-math.pi / 15, math.pi / 15, n)
    size = rng.uniform(0.9, 1.1, (2, n))
    shear = rng.uniform(-0.15, 0.15, n)
    shift = rng.uniform(-2 / 14, 2 / 14, (2, n))
    theta = np.empty((n, 2, 3), np.float32)
    theta[:, 0] = np.stack([np.cos(angle) * size[0], -np.sin(angle) + shear, shift[0]], axis=1)
    theta[:, 1] = np.stack([np.sin(angle), np.cos(angle) * size[1], shift[1]], axis=1)
    grid = functional.affine_grid(torch.from_numpy(theta), [n, 1, 28, 28], align_corners=False)
    return (functional.grid_sample(images, grid, align_corners=False) > 0.45).float()


def episode_images(data: Omniglot, classes: np.ndarray, rng: np.random.Generator) -> Tensor:
    """Return float32 [WAYS * IMAGES, 1, 28, 28], class by class."""
    drawings = np.concatenate([rng.choice(data.drawings_of(c), IMAGES, replace=False) for c, _ in classes])
    images = data.images(drawings)[..., 0].reshape(len(classes), IMAGES, 28, 28)
    turned = np.stack(
        [np.rot90(group, turns, (1, 2)) for group, (_, turns) in zip(images, classes, strict=True)]
    )
    return torch.from_numpy(turned.reshape(-1, 1, 28, 28).astype(np.float32))


def prototype_logits(embeddings: Tensor, scale: Tensor) -> Tensor:
    """Return [WAYS * IMAGES, WAYS]; the own class's prototype leaves the drawing itself out."""
    groups = embeddings.reshape(WAYS, IMAGES, -1)
    means = groups.mean(dim=1)
    distances = (embeddings[:, None] - means[None]).square().sum(dim=2)
    # x - mean of the others = (x - mean of all) * IMAGES / (IMAGES - 1)
    own = functional.one_hot(torch.arange(WAYS).repeat_interleave(IMAGES), WAYS).bool()
    distances = torch.where(own, distances * (IMAGES / (IMAGES - 1)) ** 2, distances)
    return -scale * distances


@torch.no_grad()
def validate(network: ResNet12, data: Omniglot, characters: np.ndarray, episodes: int = 200) -> float:
    """Return the 5-way 5-shot accuracy over tasks within one alphabet, on undistorted drawings."""
    network.eval()
    drawings = np.flatnonzero(np.isin(data.char, characters))
    images = torch.from_numpy(data.images(drawings).astype(np.float32)).permute(0, 3, 1, 2)
    embeddings = torch.cat([network(part) for part in images.split(500)]).numpy()
    embeddings = embeddings.reshape(len(characters), 20, -1)
    alphabets = data.char_alphabet[characters]
    rng, right = np.random.default_rng(0), 0.0
    for _ in range(episodes):
        members = np.flatnonzero(alphabets == rng.choice(np.unique(alphabets)))
        task = rng.permuted(embeddings[rng.choice(members, 5, replace=False)], axis=1)
        prototypes = task[:, :5].mean(axis=1)
        distances = ((task[:, 5:, None] - prototypes) ** 2).sum(axis=3)
        right += (distances.argmin(axis=2) == np.arange(5)[:, None]).mean()
    network.train()
    return right / episodes


def save(path: Path, network: ResNet12, scale: float) -> None:
    state = {k: v.numpy() for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    np.savez_compressed(path, **state, distance_scale=np.float32(scale))


def train(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    torch.use_deterministic_algorithms(True)
    rng = np.random.default_rng(arguments.seed)
    data = load_omniglot()
    held_out = [int(np.flatnonzero(data.alphabet_names == name)[0]) for name in VALIDATION]
    pool = [data.classes("background", a) for a in data.alphabets("background") if a not in held_out]
    validation = np.concatenate([data.classes("background", a) for a in held_out])
    network = ResNet12().to(memory_format=torch.channels_last).train()
    log_scale = nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.AdamW(
        [*network.parameters(), log_scale], lr=arguments.learning_rate, weight_decay=1e-3
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, arguments.learning_rate, total_steps=arguments.steps, pct_start=0.1
    )
    labels = torch.arange(WAYS).repeat_interleave(IMAGES)
    start, seen = time.perf_counter(), []
    for step in range(1, arguments.steps + 1):
        classes = episode_classes(pool, rng, hard=step % 2 == 0)
        images = augment(episode_images(data, classes, rng), rng)
        logits = prototype_logits(network(images.to(memory_format=torch.channels_last)), log_scale.exp())
        loss = functional.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        seen.append((loss.item(), (logits.argmax(1) == labels).float().mean().item()))
        if step % arguments.every == 0 or step == arguments.steps:
            mean_loss, accuracy = np.mean(seen, axis=0)
            line = f"step {step} loss {mean_loss:.4f} train {accuracy:.4f} scale {log_scale.exp().item():.4f}"
            seconds = time.perf_counter() - start
            print(f"{line} validation {validate(network, data, validation):.4f} {seconds:.0f} s", flush=True)
            seen.clear()
            if arguments.checkpoints is not None:
                arguments.checkpoints.mkdir(parents=True, exist_ok=True)
                save(arguments.checkpoints / f"step{step:05d}.npz", network, log_scale.exp().item())
    save(arguments.output, network, log_scale.exp().item())


def main() -> None:
    parser = argparse.ArgumentParser(description="Pretrain ResNet12 on Omniglot's background alphabets.")
    parser.add_argument("output", type=Path, help="npz file to write")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=200, help="steps between log lines and checkpoints")
    parser.add_argument("--checkpoints", type=Path, default=None, help="folder for checkpoints on the way")
    train(parser.parse_args())


if __name__ == "__main__":
    main()
