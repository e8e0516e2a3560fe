"""A person's own pictures: a folder of image files is a data set.

Every file is read to the end before anything is given out; what cannot be used is named, never left out.
"""

import io
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from ..files.checksums import file_sha256
from .cache import cached
from .image_set import Images
from .readers import Chunk, Unusable, each, reading, require

# Pillow's formats that hold no pixels of their own, or that other programs would have to draw
NO_PICTURES = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
PIXELS = 90_000_000  # as many as Pillow takes without a warning
# how a PNG lays out the pixels of which Pillow finds the transparent ones
KEYED = {"1", "L", "RGB"}
# formats whose 16-bit numbers Pillow may give as 32-bit ones (mode I)
SIXTEEN_BITS = {"PNG", "PPM"}


class ImageFolder(Images):
    """The image files in a folder and below, of all formats that Pillow reads, in the order of their paths.

    Labels: where every image lies in a subfolder, those of the first level are its classes, numbered in the
    order of their names (`classes`). Hidden files and folders are left out, and so are files of other
    suffixes (`skipped` says how many). Links are followed; one that leads back to a folder above is not.

    Pixels: upright (EXIF), the first frame, transparency laid on white, 8 bits a channel (16 are rounded to
    the nearest of 256 levels; of colours, Pillow keeps the upper 8 bits). If all files are grey there is one
    channel, else there are three. With `size` the shorter side is shrunk to it by Pillow's antialiased
    Lanczos filter and the centre is kept (ImageOps.fit); nothing is enlarged. They are decoded once, into the
    cache under runs/images, which is known by the contents of all files: each time, they are hashed.

    FileNotFoundError where there is no such folder, or no image in it; ValueError names the first file that
    cannot be used, without `size` also one of another size.
    """

    def __init__(self, folder: Path | str, size: int | None = None, flip: bool = False):
        folder = Path(folder)
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no folder {folder}")
        if size is not None and (not isinstance(size, int) or size < 1):
            raise ValueError(f"size is {size!r}: a whole number of pixels, or None for pictures as they are")
        kinds, everything = _formats(), list(_below(folder))
        suffixes = {suffix for suffix, kind in Image.registered_extensions().items() if kind in kinds}
        files = [file for file in everything if file.suffix.lower() in suffixes]
        self.skipped = len(everything) - len(files)
        if not files:
            raise FileNotFoundError(f"{folder} has no image files ({self.skipped:,} others)")
        contents = list(chain(*each(file_sha256, files)))
        kept = cached("folder", [size, contents], partial(_decoded, files, size), flip)
        places = [file.relative_to(folder).parts for file in files]
        labels = None
        if all(len(parts) > 1 for parts in places):
            self.classes = tuple(sorted({parts[0] for parts in places}))
            labels = torch.tensor([self.classes.index(parts[0]) for parts in places])
        super().__init__(kept.source, labels, flip, kept.sha256, kept.file)


def _below(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """The files in a folder and below that are not hidden; above: the folders that it lies in."""
    place = folder.resolve()
    if place in above:  # a link that goes in circles
        return
    with reading(folder):
        entries = sorted(folder.iterdir())
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _below(entry, (*above, place))
        elif entry.is_file() or not entry.exists():  # a link to nothing is named, a device never read
            yield entry


def _decoded(files: list[Path], size: int | None) -> Iterator[Chunk]:
    """The pixels of all files, of one shape, as one kind of images: grey or colour."""

    def is_grey(file: Path) -> bool:
        with Image.open(file, formats=_formats()) as image:
            if image.width * image.height > PIXELS:
                raise Unusable(f"has {image.width}x{image.height} pixels, more than {PIXELS:,}; shrink it")
            return _is_grey(image)

    grey = all(chain(*each(is_grey, files)))

    def read(file: Path) -> np.ndarray:
        content = file.read_bytes()
        stream = io.BytesIO(content)
        with Image.open(stream, formats=_formats()) as image:
            if image.format == "JPEG":  # has no checksums; thumbnails before its scan have ends of their own
                require(content.find(b"\xff\xd9", stream.tell()) > 0, "it has no end")
            image.verify()
        with Image.open(io.BytesIO(content), formats=_formats()) as image:
            return pixels(image, grey, size)

    def alike(file: Path) -> np.ndarray:
        found = read(file)
        if found.shape != shape:
            sizes = [f"{width}x{height}" for _, height, width in (found.shape, shape)]
            raise Unusable(
                f"has {sizes[0]} pixels and {files[0].name} {sizes[1]}: without @SIZE, or size=, "
                "a folder holds images of one size"
            )
        return found

    shape = (1 if grey else 3, size, size) if size else next(each(read, files[:1]))[0].shape
    for part in each(alike, files):
        yield np.stack(part), None


def _formats() -> list[str]:
    Image.init()
    return [kind for kind in Image.OPEN if kind not in NO_PICTURES]


def _is_grey(image: Image.Image) -> bool:
    """Whether an image is of a kind without colours, or has a palette without any."""
    if image.mode == "P":
        return bool((np.ptp(np.reshape(image.getpalette() or [], (-1, 3)), axis=1) == 0).all())
    return Image.getmodebase(image.mode) == "L" or _layout(image) == "LA;16B"


def _layout(image: Image.Image) -> str:
    """How the pixels lie in the file, which Pillow knows until it has read them; then its own mode."""
    tile = getattr(image, "tile", None)  # one made in memory has none
    return str(tile[0][-1]) if tile else image.mode


def pixels(image: Image.Image, grey: bool | None = None, size: int | None = None) -> np.ndarray:
    """A Pillow image as uint8 [C, H, W], as ImageFolder says.

    grey: one channel or three; None as the image is. Unusable if it has 32 bits, is too small, or is a PNG
    that Pillow would misread: a transparent level of other than 8 bits, colours that its palette lacks.
    """
    kind, mode, layout = image.format, image.mode, _layout(image)
    grey = _is_grey(image) if grey is None else grey
    if kind == "PNG" and mode == "P":
        if int(np.asarray(image).max()) * 3 >= len(image.getpalette() or []):
            raise Unusable("has colours that its palette lacks; replace it")
    elif kind == "PNG" and "transparency" in image.info and layout not in KEYED:
        raise Unusable(
            f"marks a level of {layout} as transparent; save it in 8 bits, or with an alpha channel"
        )
    transparent = "A" in image.getbands() or "transparency" in image.info
    image = ImageOps.exif_transpose(image)
    if mode.startswith("I;16") or (mode == "I" and kind in SIXTEEN_BITS):
        levels = np.asarray(image).astype(np.float64) * (255 / 65535)
        image = Image.fromarray(levels.round().astype(np.uint8))
    elif mode in ("I", "F"):
        raise Unusable(
            f"has 32-bit numbers (mode {mode}), whose range is not known; convert it to 8 or 16 bits"
        )
    elif transparent:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L" if grey else "RGB")
    if size is not None:
        if min(image.size) < size:
            width, height = image.size
            raise Unusable(f"has {width}x{height} pixels, fewer than size {size}; take a smaller size")
        image = ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
    found = np.asarray(image)
    return found[None] if grey else found.transpose(2, 0, 1)
