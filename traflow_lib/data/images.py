"""Image data sets by name: load(name, split) -> images and labels; folder:PATH is a person's own."""

import re
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..files import paths
from ..files.checksums import tensor_sha256
from . import published_sets, stand_ins
from .arrays import ImageArray, of_dataset
from .cache import cached
from .folder import ImageFolder
from .image_set import Images

FOLDER = "folder:PATH@SIZE (your own pictures, cut and shrunk to SIZE x SIZE; without @SIZE as they are)"


def _digits(split: str) -> tuple[Tensor, Tensor]:
    """scikit-learn's 1,797 digits (8x8, grey, 0..16; UCI, CC BY 4.0); test: every fifth image of a class."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.from_numpy(bunch.images).float()[:, None] / 8 - 1
    labels = torch.from_numpy(bunch.target)
    if split == "all":
        return images, labels
    same_class_so_far = torch.nn.functional.one_hot(labels).cumsum(0)
    rank = same_class_so_far.gather(1, labels[:, None])[:, 0] - 1
    chosen = (rank % 5 == 0) == (split == "test")
    return images[chosen], labels[chosen]


def folder_in(name: str) -> tuple[Path, int | None] | None:
    """The folder and size that folder:PATH@SIZE names; None for other names."""
    match = re.fullmatch(r"folder:(.+?)(?:@(\d+))?", name)
    return match and (Path(match[1]).expanduser(), int(match[2]) if match[2] else None)


def _known(name: str) -> tuple[list[str], tuple[int, int, int]]:
    """The splits of a data set that has a name, and the shape [C, H, W] of its images."""
    if name == "digits":
        return ["all", "train", "test"], (1, 8, 8)
    if drawn := stand_ins.parse(name):
        _, size, channels = drawn
        return list(stand_ins.SPLITS), (channels, size, size)
    if name not in published_sets.DATASETS:
        known = f"{FOLDER}, digits, {', '.join(published_sets.DATASETS)}, and {stand_ins.NAMES}"
        raise ValueError(f"unknown image data set '{name}'; there are {known}")
    dataset = published_sets.DATASETS[name]
    return dataset.splits, dataset.shape


def splits(name: str) -> list[str]:
    """The splits of a data set; ValueError lists the data sets that exist."""
    return ["all"] if folder_in(name) else _known(name)[0]


def shape(name: str) -> tuple[int, int, int]:
    """[C, H, W] of a data set's images, which need not be there (except a folder's); errors as splits()."""
    return load(name)[0].shape[1:] if folder_in(name) else _known(name)[1]


def load(
    name: str, split: str = "all", root: Path | str | None = None, flip: bool = False
) -> tuple[Images, Tensor | None]:
    """Images in [-1, 1] and int64 labels [N], or None where there are no classes.

    root: the folder of the published files (data/README.md), else paths.data(); flip: as Images has it.
    ValueError lists the data sets or splits that exist, or names a damaged file; FileNotFoundError says which
    file to put where.
    """
    if split not in splits(name):
        raise ValueError(f"unknown split '{split}' of {name}; there are {', '.join(splits(name))}")
    if name == "digits":
        pixels, labels = _digits(split)
        images = Images(pixels, labels, flip, tensor_sha256(pixels))
    elif drawn := stand_ins.parse(name):
        found = stand_ins.Drawn(stand_ins.SPLITS[split], *drawn)
        sample = tensor_sha256(found[:64])  # the same code draws the others
        if name.startswith("shapes"):
            images = Images(found, found.labels, flip, sample)
        else:  # a batch takes longer to draw than to train on
            images = cached(f"{name}-{split}", [name, split, sample], found.chunks, flip)
    elif own := folder_in(name):
        images = ImageFolder(*own, flip=flip)
    else:
        source = published_sets.find(name, split, Path(root or paths.data()))
        read = partial(published_sets.chunks, name, split, source)
        images = cached(f"{name}-{split}", source.facts(), read, flip)
    return images, images.labels


def as_images(data, **options) -> Images:
    """Anything that is a set of images, as one; options and errors are those of what reads it.

    data: Images; the name of a data set (read by load), folder:PATH@SIZE for instance; a folder's
    pathlib.Path (ImageFolder); a torch Dataset (of_dataset); a NumPy array or tensor (ImageArray).
    """
    if isinstance(data, Images):
        return data
    if isinstance(data, str):
        return load(data, **options)[0]
    if isinstance(data, Path):
        return ImageFolder(data, **options)
    return (of_dataset if isinstance(data, Dataset) else ImageArray)(data, **options)
