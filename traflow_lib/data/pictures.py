"""One picture of any kind that Pillow reads as 8-bit grey or RGB."""

from pathlib import Path

import numpy as np

from .readers import pillow

# Pillow's formats that hold no pixels of their own, or that other programs would have to draw
NO_PICTURES = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
SIXTEEN_BITS = {
    "PNG",
    "PPM",
}  # formats whose numbers Pillow gives as 32-bit ones (mode I) though they have 16


class Unusable(ValueError):
    """A picture that is whole but not to be used; the message goes on from its file's name."""


def formats() -> list[str]:
    """The formats that are read, as Pillow calls them."""
    pillow().init()
    return [kind for kind in pillow().OPEN if kind not in NO_PICTURES]


def is_grey(file: Path) -> bool:
    """Whether a file is of a kind without colours, by its head alone (or has a palette without any)."""
    with pillow().open(file, formats=formats()) as image:
        return _is_grey(image)


def _is_grey(image) -> bool:
    if image.mode == "P":
        return bool((np.ptp(np.reshape(image.getpalette(), (-1, 3)), axis=1) == 0).all())
    return pillow().getmodebase(image.mode) == "L"


def read(file: Path, grey: bool | None, size: int | None) -> np.ndarray:
    """The picture in a file, as pixels() gives it."""
    with pillow().open(file, formats=formats()) as image:
        return pixels(image, grey, size)


def pixels(image, grey: bool | None = None, size: int | None = None) -> np.ndarray:
    """A Pillow image as uint8 [C, H, W]: upright, its first frame, transparency laid on white.

    16 bits a channel are rounded to the nearest of 256 levels (of colours, Pillow itself keeps the upper 8
    bits). grey: one channel or three; None as the image is. size: shrunk to size x size, see ImageFolder.

    Raises:
        Unusable: 32 bits a channel, whose range is not known; or smaller than size.
    """
    from PIL import ImageOps

    kind, mode = image.format, image.mode
    grey = _is_grey(image) if grey is None else grey
    transparent = "A" in image.getbands() or "transparency" in image.info
    image = ImageOps.exif_transpose(image)
    if mode.startswith("I;16") or (mode == "I" and kind in SIXTEEN_BITS):
        levels = np.asarray(image).astype(np.float64) * (255 / 65535)
        image = pillow().fromarray(levels.round().astype(np.uint8))
    elif mode in ("I", "F"):
        raise Unusable(
            f"has 32-bit numbers (mode {mode}), whose range is not known; convert it to 8 or 16 bits"
        )
    elif transparent:
        image = image.convert("RGBA")
        image = pillow().alpha_composite(pillow().new("RGBA", image.size, "white"), image)
    image = image.convert("L" if grey else "RGB")
    if size is not None:
        if min(image.size) < size:
            width, height = image.size
            raise Unusable(f"has {width}x{height} pixels, fewer than size {size}; take a smaller size")
        image = ImageOps.fit(image, (size, size), pillow().Resampling.LANCZOS)
    found = np.asarray(image)
    return found[None] if grey else found.transpose(2, 0, 1)
