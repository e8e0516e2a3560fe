"""Image data sets: load(name, split) -> images in [-1, 1] and labels.

Real ones are read from their published files once and then from a cache.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from ..files import paths
from ..files.checksums import tensor_sha256
from ..randomness import integers
from . import stand_ins
from .published_sets import DATASETS, find

DIGITS_SPLITS = ["all", "train", "test"]


class Images:
    """N images, given out as float32 in [-1, 1].

    They are held as bytes (on a mapped file, or drawn when asked for) or as floats.

    images[index] -> [n, C, H, W] for a slice or integers (tensor, array, list), [C, H, W] for one integer;
    never flipped.
    """

    def __init__(self, source, labels: Tensor | None, flip: bool, sha256: str, file: Path | None = None):
        """source: uint8 or float tensor [N, C, H, W], or what indexes like one; labels: int64 [N].

        flip: sample() mirrors every other image, at random; sha256, file: the checksum for records and the
        file that has it, if there is one.
        """
        self.source, self.labels, self.flip, self.sha256, self.file = source, labels, flip, sha256, file
        self.shape = tuple(source.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index) -> Tensor:
        return from_uint8(self.source[index])

    def sample_labelled(
        self, n: int, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """n random images [n, C, H, W] drawn with replacement, and their labels [n] if there are any.

        Without a generator, the numbers come from torch's global CPU generator and n is this process's part
        of the batch (see draws).
        """
        index = _integers(len(self), n, generator)
        pixels = self.source[index]
        if self.flip:
            pixels = torch.where(
                _integers(2, n, generator).bool()[:, None, None, None], pixels.flip(3), pixels
            )
        return from_uint8(pixels), None if self.labels is None else self.labels[index]

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """The images of sample_labelled."""
        return self.sample_labelled(n, generator)[0]

    def batches(self, size: int) -> Iterator[Tensor]:
        """Every image once, in order, `size` at a time (the last batch may be smaller)."""
        for start in range(0, len(self), size):
            yield self[start : start + size]


def from_uint8(pixels: Tensor) -> Tensor:
    """Values from 0 to 255 as numbers in [-1, 1]; what is no uint8 stays as it is."""
    return pixels.float().div_(127.5).sub_(1) if pixels.dtype == torch.uint8 else pixels


def _integers(below: int, n: int, generator: torch.Generator | None) -> Tensor:
    if generator is None:
        return integers(0, below, n)
    return torch.randint(below, (n,), generator=generator)


def _digits(split: str) -> tuple[Tensor, Tensor]:
    """scikit-learn's 1,797 handwritten digits (8x8, grey, values 0..16; UCI, CC BY 4.0).

    test: every fifth image of each class.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.from_numpy(bunch.images).float()[:, None] / 8 - 1
    labels = torch.from_numpy(bunch.target)
    if split != "all":
        same_class_so_far = torch.nn.functional.one_hot(labels).cumsum(0)
        rank = same_class_so_far.gather(1, labels[:, None])[:, 0] - 1
        chosen = (rank % 5 == 0) == (split == "test")
        images, labels = images[chosen], labels[chosen]
    return images, labels


def data_root(root: Path | str | None = None) -> Path:
    """The folder with the data sets' files: root, else TRAFLOW_DATA, else data/ of the repository."""
    return Path(root or paths.data())


def splits(name: str) -> list[str]:
    """The splits of a data set; ValueError lists the data sets that exist."""
    if name == "digits":
        return DIGITS_SPLITS
    if stand_ins.parse(name):
        return list(stand_ins.SPLITS)
    if name not in DATASETS:
        raise ValueError(
            f"unknown image data set '{name}'; there are digits, {', '.join(DATASETS)}, {stand_ins.NAMES}"
        )
    return DATASETS[name].splits


def shape(name: str) -> tuple[int, int, int]:
    """Channels, height and width of a data set's images, which need not be there.

    ValueError lists the data sets that exist.
    """
    splits(name)
    if name == "digits":
        return (1, 8, 8)
    if drawn := stand_ins.parse(name):
        _, size, channels = drawn
        return (channels, size, size)
    return DATASETS[name].shape


def load(
    name: str, split: str = "all", root: Path | str | None = None, flip: bool = False
) -> tuple[Images, Tensor | None]:
    """Images in [-1, 1] and int64 labels [N], or None where there are no classes.

    root: the folder with the published files (data/README.md says what goes where); flip: mirror sampled
    images at random. ValueError lists the data sets or splits that exist, or names a damaged file;
    FileNotFoundError says which file to put where.
    """
    if split not in splits(name):
        raise ValueError(f"unknown split '{split}' of {name}; there are {', '.join(splits(name))}")
    if name == "digits":
        pixels, labels = _digits(split)
        images = Images(pixels, labels, flip, tensor_sha256(pixels))
    elif drawn := stand_ins.parse(name):
        found = stand_ins.Drawn(stand_ins.SPLITS[split], *drawn)
        images = Images(
            found, found.labels, flip, tensor_sha256(found[:64])
        )  # the same code draws the others
    else:
        from .cache import cached  # needs file locks, which not every system has

        cache = cached(name, split, find(name, split, data_root(root)))
        images = Images(cache.images, cache.labels, flip, cache.sha256, cache.file)
    return images, images.labels
