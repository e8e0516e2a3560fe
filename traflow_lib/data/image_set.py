"""The one object that every data set of images is."""

from pathlib import Path

import torch
from torch import Tensor

from ..randomness import Draws


class Images:
    """N images, held as bytes (on a mapped file, or drawn when asked for) or as floats.

    images[index] -> float32 in [-1, 1], [n, C, H, W] for a slice or integers (tensor, array, list), [C, H, W]
    for one integer; never flipped. source: uint8 or float tensor [N, C, H, W], or what indexes like one;
    labels: int64 [N]; flip: sample() mirrors every other image, at random; sha256, file: the checksum for
    records and the file that has it, if there is one.
    """

    classes: tuple[str, ...] = ()  # their names in the order of the labels, where those are known
    skipped = 0  # files beside them that are no images

    def __init__(self, source, labels: Tensor | None, flip: bool, sha256: str, file: Path | None = None):
        self.source, self.labels, self.flip, self.sha256, self.file = source, labels, flip, sha256, file
        self.shape = tuple(source.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index) -> Tensor:
        return from_uint8(self.source[index])

    def sample_labelled(self, n: int, draws: Draws) -> tuple[Tensor, Tensor | None]:
        """n random images [n, C, H, W] drawn with replacement, and their labels [n] if there are any."""
        index = draws.integers(0, len(self), n)
        pixels = self.source[index]
        if self.flip:
            mirrored = draws.integers(0, 2, n).bool()[:, None, None, None]
            pixels = torch.where(mirrored, pixels.flip(3), pixels)
        return from_uint8(pixels), None if self.labels is None else self.labels[index]

    def sample(self, n: int, draws: Draws) -> Tensor:
        """The images of sample_labelled."""
        return self.sample_labelled(n, draws)[0]


def from_uint8(pixels: Tensor) -> Tensor:
    """Values from 0 to 255 as numbers in [-1, 1]; what is no uint8 stays as it is."""
    return pixels.float().div_(127.5).sub_(1) if pixels.dtype == torch.uint8 else pixels
