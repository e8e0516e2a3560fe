"""Stand-in data sets without files: shapes, cartoon faces and objects of any size, drawn when asked for."""

import re
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from . import drawn
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


def _artist(kind: str) -> tuple[Callable, Callable]:
    """labels(index) and draw(index, size, channels) of a kind."""
    if kind == "shapes":
        return drawn.kinds, drawn.draw
    try:
        from . import faces, objects, portraits
    except ImportError:
        raise ImportError(
            f"{kind} are drawn with Pillow, which is not installed; pip install pillow"
        ) from None
    labels, draw = (faces.labels, portraits.draw) if kind == "faces" else (objects.labels, objects.draw)
    return labels, lambda index, size, channels: draw(index, size)


class Drawn:
    """Indexes like a uint8 tensor [N, channels, size, size]; its image i is number[i] of the sequence.

    labels: int64 [N].
    """

    def __init__(self, numbers: range, kind: str, size: int, channels: int):
        """kind, size, channels: as parse gives them. ImportError without Pillow for faces and objects."""
        labels, self.draw = _artist(kind)
        self.numbers = torch.arange(numbers.start, numbers.stop)
        self.shape = (len(numbers), channels, size, size)
        self.labels = torch.from_numpy(labels(np.arange(numbers.start, numbers.stop)))

    def __getitem__(self, index) -> Tensor:
        chosen = self.numbers[index]
        _, channels, size, _ = self.shape
        pixels = torch.from_numpy(self.draw(chosen.reshape(-1).numpy(), size, channels))
        return pixels.reshape(*chosen.shape, *self.shape[1:])

    def chunks(self) -> Iterator[Chunk]:
        """All of them with their labels, a thousand at a time."""
        for start in range(0, len(self.numbers), 1000):
            yield self[start : start + 1000].numpy(), self.labels[start : start + 1000].numpy()
