"""Pretrain a small ResNet12 or ResNet18 for few-shot tasks, on the base classes of Tiny ImageNet at 32x32.

Networks: ResNet12 in the layout of FEAT (as `examples/pretrain_omniglot.py`, widths 16, 32, 48, 96), and
ResNet18 (a 3x3 convolution without stride, then four stages of two basic blocks, widths 12, 24, 48, 96;
the stages after the first begin with stride 2). Both take normalized RGB images of any size and end in a
global average pool: an embedding of 96 numbers, none negative.

First a classifier of the base classes (SGD, one-cycle rate, label smoothing; images cropped, turned over
and recoloured), then prototypical-network episodes of the same classes, in
which the factor `distance_scale` of the squared distances is learned too.

    python examples/pretrain_few_shot.py TINY.npz resnet12.npz --network resnet12 [--cub CUB.npz]

TINY.npz holds images, labels, names and class_split, as `fxpgrad.tasks.few_shot_data.load_tiny_imagenet`
wants them. The images of Tiny ImageNet are for non-commercial research: a backbone trained on them is not
part of fxpgrad. The seed fixes the run for one version of PyTorch and one thread on one kind of processor;
`--bfloat16` trains twice as fast on those that multiply in it (all accuracies are judged in float32).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from fxpgrad.tasks.few_shot_data import FewShotData, load_cub, load_tiny_imagenet
from fxpgrad.tasks.statistics import mean_and_ci95

WIDTHS = {"resnet12": (16, 32, 48, 96), "resnet18": (12, 24, 48, 96)}
BATCH = 128
WAYS, IMAGES = 20, 10  # of an episode of training


def normed(inputs: int, outputs: int, size: int, stride: int = 1) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    convolution = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return convolution, nn.BatchNorm2d(outputs)


class FeatBlock(nn.Module):
    """relu(three convolutions of x + bn(conv1x1(x))), before any pooling."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = normed(inputs, outputs, 3)
        self.conv2, self.bn2 = normed(outputs, outputs, 3)
        self.conv3, self.bn3 = normed(outputs, outputs, 3)
        self.downsample = nn.Sequential(*normed(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        return functional.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class ResNet12(nn.Module):
    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        ends = zip((3, *widths[:-1]), widths, strict=True)
        self.layer1, self.layer2, self.layer3, self.layer4 = (FeatBlock(a, b) for a, b in ends)

    def forward(self, x: Tensor) -> Tensor:
        for layer in (self.layer1, self.layer2, self.layer3):
            x = functional.max_pool2d(layer(x), 2)
        return self.layer4(x).mean(dim=(2, 3))


class BasicBlock(nn.Module):
    """relu(two convolutions of x + x), or + bn(conv1x1(x)) where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = normed(inputs, outputs, 3, stride)
        self.conv2, self.bn2 = normed(outputs, outputs, 3)
        same = inputs == outputs and stride == 1
        self.downsample = nn.Identity() if same else nn.Sequential(*normed(inputs, outputs, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class ResNet18(nn.Module):
    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.conv1, self.bn1 = normed(3, widths[0], 3)
        ends = zip((widths[0], *widths[:-1]), widths, (1, 2, 2, 2), strict=True)
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            nn.Sequential(BasicBlock(a, b, stride), BasicBlock(b, b, 1)) for a, b, stride in ends
        )

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x)))
        return self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean(dim=(2, 3))


NETWORKS = {"resnet12": ResNet12, "resnet18": ResNet18}


def augment(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Crop 30 to 100 % of the area, turn over, change brightness, contrast and colours."""
    n = len(images)
    side = np.sqrt(rng.uniform(0.3, 1.0, n))
    ratio = np.exp(rng.uniform(-0.2, 0.2, n) / 2)
    size = np.minimum(np.stack([side * ratio, side / ratio]), 1.0)
    theta = np.zeros((n, 2, 3), np.float32)
    theta[:, 0, 0], theta[:, 1, 1] = size[0] * rng.choice([-1, 1], n), size[1]
    theta[:, :, 2] = ((1 - size) * rng.uniform(-1, 1, (2, n))).T
    grid = functional.affine_grid(torch.from_numpy(theta), list(images.shape), align_corners=False)
    images = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    gain = torch.from_numpy(rng.uniform(0.7, 1.3, (n, 1, 1, 1)) * rng.uniform(0.9, 1.1, (n, 3, 1, 1)))
    shift = torch.from_numpy(rng.uniform(-0.4, 0.4, (n, 1, 1, 1)))
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return ((images - mean) * gain.float() + mean + shift.float()).contiguous(
        memory_format=torch.channels_last
    )


def prototype_logits(embeddings: Tensor, scale: Tensor) -> Tensor:
    """Return [WAYS * IMAGES, WAYS]; the own class's prototype leaves the image itself out."""
    means = embeddings.reshape(WAYS, IMAGES, -1).mean(dim=1)
    distances = (embeddings[:, None] - means[None]).square().sum(dim=2)
    own = functional.one_hot(torch.arange(WAYS).repeat_interleave(IMAGES), WAYS).bool()
    return -scale * torch.where(own, distances * (IMAGES / (IMAGES - 1)) ** 2, distances)


@torch.no_grad()
def zero_shot(network: nn.Module, data: FewShotData, split: str, tasks: int) -> tuple[float, float]:
    """Return mean and 95 % interval of the prototypes' 5-way 5-shot accuracy, 15 queries per class."""
    network.eval()
    rows = data.rows(split)
    images = torch.from_numpy(data.real(data.images[rows])).permute(0, 3, 1, 2)
    embeddings = torch.cat([network(part) for part in images.split(100)]).numpy()
    network.train()
    place = np.full(len(data.images), -1)
    place[rows] = np.arange(len(rows))
    scores = []
    for number in range(tasks):
        task = data.sample_episode(0, number, 5, 5, 15, split)
        prototypes = embeddings[place[task.support_drawings]].reshape(5, 5, -1).mean(axis=1)
        queries = embeddings[place[task.query_drawings]]
        distances = ((queries[:, None] - prototypes) ** 2).sum(axis=2)
        scores.append((distances.argmin(axis=1) == task.query_y).mean())
    return mean_and_ci95(scores)


def embed(network: nn.Module, images: Tensor, bfloat16: bool) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        return network(images).float()


def train_classifier(
    network: nn.Module,
    data: FewShotData,
    epochs: int,
    rate: float,
    bfloat16: bool,
    rng: np.random.Generator,
) -> None:
    rows, base = data.rows("base"), data.classes("base")
    images = torch.from_numpy(data.real(data.images[rows])).permute(0, 3, 1, 2)
    labels = torch.from_numpy(np.searchsorted(base, data.labels[rows]))
    head = nn.Linear(96, len(base))
    optimizer = torch.optim.SGD(
        [*network.parameters(), *head.parameters()], lr=rate, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    steps = len(rows) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=max(2, epochs * steps), pct_start=0.2
    )
    start = time.perf_counter()
    for epoch in range(1, epochs + 1):
        total, order = 0.0, torch.from_numpy(rng.permutation(len(rows)))
        for part in order[: steps * BATCH].split(BATCH):
            logits = head(embed(network, augment(images[part], rng), bfloat16))
            loss = functional.cross_entropy(logits, labels[part], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() / steps
        line = f"epoch {epoch} loss {total:.3f} {time.perf_counter() - start:.0f} s"
        if epoch % 5 == 0 or epoch == epochs:
            line += f" validation {zero_shot(network, data, 'validation', 100)[0]:.4f}"
        print(line, flush=True)


def train_prototypes(
    network: nn.Module,
    data: FewShotData,
    episodes: int,
    rate: float,
    bfloat16: bool,
    rng: np.random.Generator,
) -> float:
    """Train by episodes of the base classes (none: learn the scale alone); return the distance scale."""
    rows = [np.flatnonzero(data.labels == label) for label in data.classes("base")]
    labels = torch.arange(WAYS).repeat_interleave(IMAGES)
    log_scale = nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9, weight_decay=5e-4)
    scale_optimizer = torch.optim.Adam([log_scale], lr=0.02)
    warm = 50  # steps in which only the scale is learned
    start, seen = time.perf_counter(), []
    for step in range(1, warm + episodes + 1):
        for parameter in network.parameters():
            parameter.requires_grad_(step > warm)
        chosen = [rng.choice(rows[c], IMAGES, replace=False) for c in rng.choice(len(rows), WAYS, False)]
        x = torch.from_numpy(data.real(data.images[np.concatenate(chosen)])).permute(0, 3, 1, 2)
        embeddings = embed(network, augment(x, rng), bfloat16)
        if step == 1:  # start where distances are about 1
            log_scale.data -= (2 * embeddings.var(dim=0).sum()).log()
        logits = prototype_logits(embeddings, log_scale.exp())
        loss = functional.cross_entropy(logits, labels)
        optimizer.zero_grad()
        scale_optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = rate * min(1.0, 2 * (1 - (step - 1 - warm) / max(1, episodes)))
        optimizer.step()
        scale_optimizer.step()
        seen.append((loss.item(), (logits.argmax(1) == labels).float().mean().item()))
        if step % 50 == 0 or step == warm + episodes:
            mean_loss, right = np.mean(seen, axis=0)
            line = f"episode {step - warm} loss {mean_loss:.3f} right {right:.3f}"
            line += f" scale {log_scale.exp().item():.4f}"
            accuracy = zero_shot(network, data, "validation", 100)[0]
            print(f"{line} validation {accuracy:.4f} {time.perf_counter() - start:.0f} s", flush=True)
            seen.clear()
    return log_scale.exp().item()


def save(path: Path, network: nn.Module, scale: float) -> None:
    state = {k: v.numpy() for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    np.savez_compressed(path, **state, distance_scale=np.float32(scale))


def report(name: str, result: tuple[float, float]) -> None:
    print(f"{name}, novel classes, 5-way 5-shot: {result[0]:.4f} ± {result[1]:.4f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="Tiny ImageNet at 32x32, .npz")
    parser.add_argument("output", type=Path, help="npz file to write")
    parser.add_argument("--network", choices=list(NETWORKS), default="resnet12")
    parser.add_argument("--epochs", type=int, default=45, help="of the classifier")
    parser.add_argument("--episodes", type=int, default=150, help="of prototypes")
    parser.add_argument("--rate", type=float, default=0.1, help="largest learning rate of the classifier")
    parser.add_argument("--episode-rate", type=float, default=2e-3)
    parser.add_argument("--bfloat16", action="store_true", help="products in bfloat16 while training")
    parser.add_argument("--cub", type=Path, default=None, help="CUB classes, .npz: judged as well")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(given.seed)
    rng = np.random.default_rng(given.seed)
    data = load_tiny_imagenet(given.data)
    network = NETWORKS[given.network](WIDTHS[given.network]).to(memory_format=torch.channels_last).train()
    train_classifier(network, data, given.epochs, given.rate, given.bfloat16, rng)
    report("classifier alone, Tiny ImageNet", zero_shot(network, data, "novel", 100))
    scale = train_prototypes(network, data, given.episodes, given.episode_rate, given.bfloat16, rng)
    save(given.output, network, scale)
    report("Tiny ImageNet", zero_shot(network, data, "novel", 100))
    if given.cub is not None:
        report("CUB", zero_shot(network, load_cub(given.cub), "novel", 100))


if __name__ == "__main__":
    main()
