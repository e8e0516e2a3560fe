"""Stand-in data sets without files: shapes, cartoon faces and objects of any size, drawn when asked for."""

import re
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from . import drawn, faces, objects, portraits
from .readers import Chunk

NAMES = (
    "shapes<size>, shapes<size>x<channels>, faces<size> and objects<size> (shapes32x1, faces64, objects32)"
)
# what labels and what draws the images of these numbers
ARTISTS: dict[str, tuple[Callable, Callable]] = {
    "shapes": (drawn.kinds, drawn.draw),
    "faces": (faces.labels, portraits.draw),
    "objects": (objects.labels, objects.draw),
}
SPLITS = {"all": range(60_000), "train": range(50_000), "test": range(50_000, 60_000)}


def parse(name: str) -> tuple[str, int, int] | None:
    """(kind, size, channels) of shapes32, shapes32x1, faces64 or objects32; None for other names."""
    match = re.fullmatch(r"(shapes|faces|objects)([1-9]\d*)(?:x([1-9]\d*))?", name)
    if not match or (match[3] and match[1] != "shapes"):
        return None
    return match[1], int(match[2]), int(match[3] or 3)


class Drawn:
    """Indexes like a uint8 tensor [N, channels, size, size]; its image i is numbers[i] of the sequence."""

    def __init__(self, numbers: range, kind: str, size: int, channels: int):
        """kind, size, channels: as parse gives them."""
        labels, draw = ARTISTS[kind]
        options = {"channels": channels} if kind == "shapes" else {}  # the others are in colour
        self.draw = partial(draw, size=size, **options)
        self.numbers = torch.arange(numbers.start, numbers.stop)
        self.shape = (len(numbers), channels, size, size)
        self.labels = torch.from_numpy(labels(self.numbers.numpy()))

    def __getitem__(self, index) -> Tensor:
        chosen = self.numbers[index]
        pixels = torch.from_numpy(self.draw(chosen.reshape(-1).numpy()))
        return pixels.reshape(*chosen.shape, *self.shape[1:])

    def chunks(self) -> Iterator[Chunk]:
        """All of them with their labels, a thousand at a time."""
        for start in range(0, len(self.numbers), 1000):
            yield self[start : start + 1000].numpy(), self.labels[start : start + 1000].numpy()
