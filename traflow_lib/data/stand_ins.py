"""Stand-in data sets without files: shapes, cartoon faces and objects of any size, drawn when asked for."""

import re
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from . import drawn, faces, objects, portraits
from .readers import Chunk

NAMES = (
    "shapes<size>, shapes<size>x<channels>, faces<size> and objects<size> (shapes32x1, faces64, objects32)"
)
SPLITS = {"all": range(60_000), "train": range(50_000), "test": range(50_000, 60_000)}


def parse(name: str) -> tuple[str, int, int] | None:
    """(kind, size, channels) of shapes32, shapes32x1, faces64 or objects32; None for other names."""
    match = re.fullmatch(r"(shapes|faces|objects)([1-9]\d*)(?:x([1-9]\d*))?", name)
    if not match or (match[3] and match[1] != "shapes"):
        return None
    return match[1], int(match[2]), int(match[3] or 3)


def labels(kind: str, index: np.ndarray) -> np.ndarray:
    """Classes int64 [n] of the images with these numbers."""
    if kind == "shapes":
        return drawn.kinds(index)
    return index % (faces.CLASSES if kind == "faces" else len(objects.KINDS))


def draw(kind: str, index: np.ndarray, size: int, channels: int = 3) -> np.ndarray:
    """The images numbered index [n] (integers from 0), uint8 [n, channels, size, size]."""
    if kind == "shapes":
        return drawn.draw(index, size, channels)
    if kind == "faces":
        return np.stack([portraits.portrait(faces.Look(i), size) for i in index.tolist()])
    return np.stack([objects.picture(i, size) for i in index.tolist()])


class Drawn:
    """Indexes like a uint8 tensor [N, channels, size, size]; its image i is numbers[i] of its kind."""

    def __init__(self, numbers: range, kind: str, size: int, channels: int):
        self.kind, self.numbers = kind, torch.arange(numbers.start, numbers.stop)
        self.shape = (len(numbers), channels, size, size)
        self.labels = torch.from_numpy(labels(kind, self.numbers.numpy()))

    def __getitem__(self, index) -> Tensor:
        chosen, (_, channels, size, _) = self.numbers[index], self.shape
        pixels = torch.from_numpy(draw(self.kind, chosen.reshape(-1).numpy(), size, channels))
        return pixels.reshape(*chosen.shape, *self.shape[1:])

    def chunks(self) -> Iterator[Chunk]:
        """All of them with their labels, a thousand at a time."""
        for start in range(0, len(self.numbers), 1000):
            yield self[start : start + 1000].numpy(), self.labels[start : start + 1000].numpy()
