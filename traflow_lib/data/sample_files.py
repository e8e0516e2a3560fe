"""Samples on disk: what the command sample writes and the command evaluate reads.

The name says what is in it: .pt a tensor as the network made it, [N, C, H, W] floats with black -1 and white
1; .npz bytes, `arr_0` [N, H, W, C] and their classes in `arr_1`, as ADM has them; .png one picture of all; a
folder one PNG a sample. .npy is read, too.
"""

import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..files.checks import require_unpacked
from ..files.checksums import tensor_sha256
from ..files.inert_pickle import read_torch
from ..files.whole import whole
from .arrays import ImageArray
from .folder import ImageFolder
from .image_set import Images
from .readers import reading, require

ARRAYS = (".npz", ".npy", ".pt")


def check_name(file: Path, points: bool) -> None:
    """ValueError if no samples can be written there; points: they are no images."""
    kinds = [".pt", ".npz"] if points else [".pt", ".npz", ".png", "no suffix (a new folder)"]
    known = file.suffix in kinds or not (file.suffix or points)
    require(known, f"samples cannot be written as {file.name}; there are {', '.join(kinds)}")
    taken = not file.suffix and file.exists() and (file.is_file() or any(file.iterdir()))
    require(not taken, f"{file} is there already and not an empty folder; name another")


def write(file: Path, x: Tensor, pixels: Tensor | None, label: Tensor | None = None) -> None:
    """Samples x [N, ...] as the file's name says; pixels: the same as uint8, None of points; label: [N]."""
    with whole(file) as part:
        if file.suffix == ".pt":
            with part.open("wb") as stream:
                torch.save(x, stream)
        elif file.suffix == ".npz":
            array = x if pixels is None else pixels.permute(0, 2, 3, 1)
            with part.open("wb") as stream:
                np.savez(stream, array.numpy(), *([] if label is None else [label.numpy()]))
        elif pixels is not None and file.suffix == ".png":
            sheet(pictures(pixels), math.ceil(len(pixels) ** 0.5)).save(part, "png")
        elif pixels is not None:
            part.mkdir()
            for number, picture in enumerate(pictures(pixels)):
                picture.save(part / f"{number:06d}.png")


def pictures(pixels: Tensor) -> list[Image.Image]:
    """Pixels uint8 [N, C, H, W], of one or three channels, as pictures of Pillow."""
    arrays = pixels.squeeze(1) if pixels.shape[1] == 1 else pixels.permute(0, 2, 3, 1)
    return [Image.fromarray(array) for array in arrays.numpy()]


def sheet(pictures: list[Image.Image], columns: int) -> Image.Image:
    """All pictures, of one size, row by row in one; the rest is black."""
    width, height = pictures[0].size
    rows = math.ceil(len(pictures) / columns)
    found = Image.new(pictures[0].mode, (width * min(columns, len(pictures)), height * rows))
    for i, picture in enumerate(pictures):
        found.paste(picture, (i % columns * width, i // columns * height))
    return found


def read(place: Path) -> Images:
    """The images in a folder or a file of ARRAYS (of .npz the uint8 ones); ValueError names what is none."""
    if not place.exists():
        raise FileNotFoundError(f"there is no file or folder {place}")
    if place.suffix not in ARRAYS or place.is_dir():
        return ImageFolder(place)
    if place.suffix == ".pt":
        array = read_torch(place)
        if isinstance(array, Tensor) and array.ndim == 4 and array.is_floating_point():
            return Images(array.float(), None, False, tensor_sha256(array.float()))
    else:
        with reading(place):
            array = np.load(place, allow_pickle=False)
            if place.suffix == ".npz":
                with array:
                    require_unpacked(array.zip)
                    found = {name: array[name] for name in array.files}
                images = [one for one in found.values() if one.dtype == np.uint8 and one.ndim in (3, 4)]
                kinds = ", ".join(f"{name} {one.dtype} {list(one.shape)}" for name, one in found.items())
                require(len(images) == 1, f"it has {kinds}, so not one array of uint8 images")
                array = images[0]
    try:
        return ImageArray(array)
    except ValueError as error:
        raise ValueError(f"{place.name}: {error}") from None
