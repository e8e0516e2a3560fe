"""Image data sets: load(name) -> images [N, C, H, W] in [-1, 1] and labels [N]."""

import torch
from torch import Tensor

SPLITS = ("all", "train", "test")


def _digits(split: str) -> tuple[Tensor, Tensor]:
    """scikit-learn's 1,797 handwritten digits (8x8, grey, values 0..16; UCI, CC BY 4.0). test: every fifth image of each class."""
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


DATASETS = {"digits": _digits}


def load(name: str, split: str = "all") -> tuple[Tensor, Tensor]:
    """Images [N, C, H, W], float in [-1, 1], and integer labels [N]; ValueError lists the data sets or splits that exist."""
    if name not in DATASETS:
        raise ValueError(f"unknown image data set '{name}'; there are {', '.join(DATASETS)}")
    if split not in SPLITS:
        raise ValueError(f"unknown split '{split}' of {name}; there are {', '.join(SPLITS)}")
    return DATASETS[name](split)
