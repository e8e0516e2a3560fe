"""Images that are in memory already: NumPy and torch arrays, and torch's Dataset of them."""

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from ..files.checksums import tensor_sha256
from .folder import pixels
from .image_set import Images
from .readers import labels_of, require

CHANNELS = (1, 3)
MOST = 2**31  # classes


class ImageArray(Images):
    """A NumPy array or tensor as images: [N, H, W], [N, H, W, C] or [N, C, H, W], with C 1 or 3.

    It is copied; uint8 as it is, floats carried from value_range, (lowest, highest), to [-1, 1]. labels:
    integers from 0, [N]. ValueError where the layout could be read in two ways or in none, or values are not
    of their range.
    """

    def __init__(
        self, array, labels=None, value_range: tuple[float, float] | None = None, flip: bool = False
    ):
        images = _channels_first(_tensor(array))
        require(images.numel() > 0, "an array without images")
        images = _scaled(images, value_range)
        labels = None if labels is None else torch.from_numpy(labels_of(labels, len(images), 0, MOST))
        super().__init__(images, labels, flip, tensor_sha256(images))


def _tensor(array) -> Tensor:
    if isinstance(array, Tensor):
        return array.detach().cpu().clone()
    try:
        return torch.from_numpy(np.array(array, order="C"))
    except (TypeError, ValueError) as error:
        raise ValueError(f"a {type(array).__name__} that is no array of images: {error}") from None


def _channels_first(array: Tensor) -> Tensor:
    """[N, C, H, W] of any of the layouts."""
    shape = list(array.shape)
    if len(shape) == 3 and all(shape) and shape[0] != 3 and shape[2] not in CHANNELS:
        return array[:, None]
    channels = [axis for axis in (1, 3) if len(shape) == 4 and shape[axis] in CHANNELS]
    require(
        len(channels) == 1,
        f"an array of shape {shape} is not clearly one of [N, H, W], [N, H, W, C] and [N, C, H, W] with C 1 "
        "or 3; give it an axis of channels",
    )
    return array if channels == [1] else array.permute(0, 3, 1, 2).contiguous()


def _scaled(array: Tensor, value_range: tuple[float, float] | None) -> Tensor:
    """uint8, or float32 in [-1, 1]."""
    if array.dtype == torch.uint8:
        require(value_range is None, "value_range is for floats; uint8 has levels from 0 to 255")
        _require_contrast(array, 0, 255)
        return array
    require(array.is_floating_point(), f"an array of {array.dtype}: images are uint8 or floats")
    if value_range is None or np.shape(value_range) != (2,):
        raise ValueError(
            "an array of floats needs value_range, the numbers of black and white: "
            "(0, 1), (-1, 1) or (0, 255)"
        )
    array, (low, high) = array.float(), value_range
    least, most = _require_contrast(array, low, high)
    require(
        low < high and low <= least and most <= high,  # false of NaN, too
        f"an array of floats from {least:g} to {most:g} is not in value_range, [{low:g}, {high:g}]",
    )
    return ((array - low) / (high - low)).mul_(2).sub_(1)


def _require_contrast(array: Tensor, low: float, high: float) -> tuple[float, float]:
    """The least and the greatest value; ValueError where all look alike, as [0, 1] does among 255 levels."""
    least, most = map(float, array.aminmax())
    require(
        not 0 < most - least < (high - low) / 100,
        f"an array from {least:g} to {most:g} has no contrast, if {low:g} is black and {high:g} white; "
        "scale it, or give its value_range",
    )
    return least, most


def of_dataset(
    dataset: Dataset, value_range: tuple[float, float] | None = None, flip: bool = False
) -> ImageArray:
    """All items of torch's Dataset, each asked for once and kept: an image or (image, label).

    Images are Pillow's, read as ImageFolder reads files, or arrays as ImageArray takes them; all of one size.
    Grey ones among colour get three channels. ValueError names the first item that does not fit.
    """
    stream = isinstance(dataset, IterableDataset)
    found: list[Tensor] = []
    labels: list = []
    items: Any = dataset
    for item in items if stream else (items[number] for number in range(len(items))):
        image, *label = item if isinstance(item, (tuple, list)) else [item]
        if isinstance(image, Image.Image):
            image = np.array(pixels(image))
        fits = isinstance(image, (np.ndarray, Tensor)) and image.ndim > 1
        require(fits, f"item {len(found)} is no image: {type(image)}")
        found.append(_tensor(image))
        labels += label
    channels = max((len(image) for image in found), default=0)
    for number, image in enumerate(found):
        if len(image) == 1 and channels == 3:
            image = found[number] = image.expand(3, -1, -1)
        kinds = [f"{one.dtype} {list(one.shape)}" for one in (image, found[0])]
        require(kinds[0] == kinds[1], f"item {number} is {kinds[0]} and item 0 {kinds[1]}; resize them first")
    require(bool(found), "a dataset without items")
    return ImageArray(torch.stack(found), labels or None, value_range, flip)
