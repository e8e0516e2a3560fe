"""A person's own pictures: a folder of image files is a data set.

Every file is read to the end before anything is given out; what cannot be used is named, never left out.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from ..files.checksums import file_sha256
from .image_set import Images
from .pictures import Unusable, formats, is_grey, read
from .readers import BLOCK, Chunk, pillow


class ImageFolder(Images):
    """The image files in a folder and below, of all formats that Pillow reads, in the order of their paths.

    Labels: where every image lies in a subfolder, those of the first level are its classes, numbered in the
    order of their names (`classes`). Hidden files and folders are left out, and so are files of other
    suffixes (`skipped` says how many). Links are followed; one that leads back to a folder above is not.

    Pixels: upright (EXIF), the first frame, transparency laid on white, 8 bits a channel (16 are rounded to
    the nearest of 256 levels). If all files are grey there is one channel, else there are three. With `size`
    the shorter side is shrunk to it by Pillow's antialiased Lanczos filter, on the file's own values, and the
    centre is kept (ImageOps.fit); nothing is enlarged. They are decoded once, into the cache under
    runs/images, which is known by the contents of all files: each time, they are read to be hashed.
    """

    def __init__(self, folder: Path | str, size: int | None = None, flip: bool = False):
        """size: height and width in pixels; without it the pictures stay as they are, all of one size.

        Raises:
            FileNotFoundError: there is no such folder, or no image in it.
            ValueError: a size that is none, or a file that cannot be used; names the first one of them.
        """
        from .cache import cached  # needs file locks, which not every system has

        folder = Path(folder)
        if size is not None and (not isinstance(size, int) or size < 1):
            raise ValueError(
                f"size is {size!r}: pixels, a whole number from 1, or None for pictures as they are"
            )
        kinds, everything = formats(), list(_below(folder))
        suffixes = {suffix for suffix, kind in pillow().registered_extensions().items() if kind in kinds}
        files = [file for file in everything if file.suffix.lower() in suffixes]
        self.skipped = len(everything) - len(files)
        if not files:
            raise FileNotFoundError(f"{folder} has no image files ({self.skipped:,} others)")
        contents = list(chain(*_each(file_sha256, files)))
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
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
        raise kind(f"{folder} is no folder that can be read ({error.strerror})") from None
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _below(entry, (*above, place))
        elif entry.is_file() or entry.is_symlink():
            yield entry


def _each(work: Callable, files: list[Path]) -> Iterator[list]:
    """work(file) of all files, BLOCK at a time, on all cores (decoding and hashing free Python's lock).

    Raises:
        ValueError: at the end, if any file failed; names the first and says how many did.
    """

    def tried(file: Path):
        try:
            return work(file), None
        except Unusable as error:
            return None, f"{file} {error}"
        except Exception as error:  # decoders raise all kinds on damaged input
            reason = " ".join(str(error).split()) or type(error).__name__
            return None, f"{file} is no whole image ({reason}); remove it or make it again"

    faults = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(files), BLOCK):
            results = list(pool.map(tried, files[start : start + BLOCK]))
            faults += [fault for _, fault in results if fault]
            if not faults:
                yield [result for result, _ in results]
    if faults:
        more = f" (and {len(faults) - 1:,} more of {len(files):,} files)" if len(faults) > 1 else ""
        raise ValueError(faults[0] + more)


def _decoded(files: list[Path], size: int | None) -> Iterator[Chunk]:
    """The pixels of all files, of one shape, as one kind of images: grey or colour."""
    grey = all(chain(*_each(is_grey, files)))
    ((first,),) = _each(partial(read, grey=grey, size=size), files[:1])

    def alike(file: Path) -> np.ndarray:
        found = read(file, grey, size)
        if found.shape != first.shape:
            sizes = [f"{width}x{height}" for _, height, width in (found.shape, first.shape)]
            raise Unusable(
                f"has {sizes[0]} pixels and {files[0].name} {sizes[1]}: without @SIZE, or size=, "
                "a folder holds images of one size"
            )
        return found

    for part in _each(alike, files):
        yield np.stack(part), None
