"""Readers of the formats image data sets come in.

Generators of (pixels uint8 [n, C, H, W], labels int64 [n] or None), in a fixed order. A damaged, truncated or
foreign file is a ValueError that names it. Nothing in a file is ever executed.
"""

import gzip
import io
import json
import math
import zipfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from ..files.checks import require_ratio, require_unpacked

Chunk = tuple[np.ndarray, np.ndarray | None]
BLOCK = 256  # images decoded at a time


class Unusable(ValueError):
    """A file that is whole but not to be used; the message goes on from its name."""


@contextmanager
def reading(what) -> Iterator[None]:
    """Whatever goes wrong inside is a ValueError that names the file `what`."""
    try:
        yield
    except Unusable as error:
        raise ValueError(f"{what} {error}") from None
    except Exception as error:  # decoders raise all kinds on damaged input
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"{what} is damaged, incomplete or of another format ({reason}); replace it"
        ) from None


def require(condition: bool, complaint: str) -> None:
    """ValueError with the complaint unless the condition holds."""
    if not condition:
        raise ValueError(complaint)


def labels_of(values, count: int, first: int, last: int) -> np.ndarray:
    """Labels numbered from 0; they must be `count` integers between first and last."""
    labels = np.asarray(values)
    require(
        labels.shape == (count,) and labels.dtype.kind in "iu",
        f"{count} integer labels expected, found {labels.dtype} of shape {labels.shape}",
    )
    require(bool(((labels >= first) & (labels <= last)).all()), f"labels outside {first}..{last}")
    return labels.astype(np.int64) - first


def rows_of_colour(values: np.ndarray, size: int) -> np.ndarray:
    """Rows uint8 [n, 3 * size * size] as images [n, 3, size, size]."""
    require(
        values.dtype == np.uint8 and values.ndim == 2 and values.shape[1] == 3 * size * size,
        f"data {values.dtype} {values.shape}, not uint8 [n, {3 * size * size}]",
    )
    return values.reshape(-1, 3, size, size)


def _idx(file: Path, dimensions: int) -> np.ndarray:
    """LeCun's idx, gzipped: two zero bytes, type 8 (byte), number of dimensions, their sizes, the values."""
    with gzip.open(file) as stream:
        head = stream.read(4)
        require(
            head == bytes([0, 0, 8, dimensions]),
            f"its first bytes are {head.hex()}, not 000008{dimensions:02x}",
        )
        sizes = np.frombuffer(stream.read(4 * dimensions), ">u4", dimensions).tolist()
        require_ratio(math.prod(sizes), file.stat().st_size)
        values = np.frombuffer(stream.read(math.prod(sizes) + 1), np.uint8)
    require(
        len(values) == math.prod(sizes),
        f"{len(values):,} values found where its head says {' x '.join(map(str, sizes))}",
    )
    return values.reshape(sizes)


def idx(files: Iterable[tuple[Path, Path]], pad: int) -> Iterator[Chunk]:
    """Grey images and labels 0..9 from (images, labels) pairs of .gz files, `pad` black pixels around."""
    for image_file, label_file in files:
        with reading(image_file):
            pixels = _idx(image_file, 3)
        with reading(label_file):
            labels = labels_of(_idx(label_file, 1), len(pixels), 0, 9)
        yield np.pad(pixels, ((0, 0), (pad, pad), (pad, pad)))[:, None], labels


def npz(files: list[Path], size: int, classes: int, order: Path | None = None) -> Iterator[Chunk]:
    """Downsampled ImageNet: data uint8 [n, 3*size*size] and labels of each .npz, from 1 there, from 0 here.

    order: map_clsloc.txt, lines `n02119789 1 kit_fox`, renumbers classes in the order of their synsets, as
    EDM, ADM and torchvision number them.
    """
    rank = np.arange(classes)
    if order:
        with reading(order):
            rows = [line.split() for line in order.read_text(encoding="utf-8").splitlines()]
            synsets = {int(number): synset for synset, number, _ in rows}
            require(set(synsets) == set(range(1, classes + 1)), f"{len(synsets)} classes, not 1..{classes}")
            rank = np.argsort(np.argsort([synsets[number] for number in range(1, classes + 1)]))
    for file in files:
        with reading(file), np.load(file, allow_pickle=False) as content:
            require_unpacked(content.zip)
            pixels = rows_of_colour(content["data"], size)
            labels = rank[labels_of(content["labels"], len(pixels), 1, classes)]
        yield pixels, labels


def celeba_face(image: Image.Image) -> Image.Image:
    """Score-SDE's (and so RectifiedFlow's) CelebA-64: the central 140 pixels, shrunk to 64.

    Theirs is tf.image.resize(antialias=True), whose filter Pillow calls BILINEAR. Cut first: resize(box=...)
    lets the filter see beyond the box.
    """
    return image.crop((19, 39, 159, 179)).resize((64, 64), Image.Resampling.BILINEAR)


def halve(image: Image.Image) -> Image.Image:
    """The mean of every 2x2 pixels, exactly; resize() with a box filter rounds twice."""
    return image.reduce(2)


def each(work: Callable, items: list, folder: Path = Path()) -> Iterator[list]:
    """work(item) of all items, BLOCK at a time, on all cores: Pillow and hashing free Python's lock.

    ValueError, at the end, if any failed: names the first, a file in `folder`, and says how many did.
    """

    def tried(item):
        try:
            with reading(folder / item):
                return work(item), None
        except ValueError as error:
            return None, str(error)

    faults = []
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(items), BLOCK):
            results = list(pool.map(tried, items[start : start + BLOCK]))
            faults += [fault for _, fault in results if fault]
            if not faults:
                yield [result for result, _ in results]
    if faults:
        more = f" (and {len(faults) - 1:,} more of {len(items):,} files)" if len(faults) > 1 else ""
        raise ValueError(faults[0] + more)


def encoded(
    source: Path,
    names: list[str],
    size: tuple[int, int],
    shrink: Callable[[Image.Image], Image.Image] | None = None,
    labels: np.ndarray | None = None,
) -> Iterator[Chunk]:
    """The named jpeg or png files, all of (width, height) `size`, in a folder or .zip, after shrink()."""
    with reading(source):
        place: Path | zipfile.Path = source
        if not source.is_dir():
            place = zipfile.Path(source)
            require_unpacked(place.root)

    def decode(name: str) -> np.ndarray:
        with Image.open(io.BytesIO(place.joinpath(name).read_bytes())) as image:
            require(image.size == size, f"{image.size[0]}x{image.size[1]} pixels, not {size[0]}x{size[1]}")
            picture = image.convert("RGB")
        return np.asarray(shrink(picture) if shrink else picture).transpose(2, 0, 1)

    done = 0
    for part in each(decode, names, source):
        yield np.stack(part), None if labels is None else labels[done : done + len(part)]
        done += len(part)


def zip_of_png(file: Path, size: int, classes: int | None = None) -> Iterator[Chunk]:
    """EDM's and ADM's archive: png files in the order of their names, labels 0..classes-1 in dataset.json."""
    with reading(file), zipfile.ZipFile(file) as archive:
        require_unpacked(archive)
        names = sorted(name for name in archive.namelist() if name.lower().endswith(".png"))
        labels = None
        if classes:
            of = dict(json.loads(archive.read("dataset.json"))["labels"])
            labels = labels_of([of[name] for name in names], len(names), 0, classes - 1)
    yield from encoded(file, names, (size, size), labels=labels)


def partition(file: Path) -> dict[str, list[str]]:
    """CelebA's list_eval_partition.txt: lines `000001.jpg 0`, where 0 is train, 1 valid and 2 test."""
    parts: dict[str, list[str]] = {"0": [], "1": [], "2": []}
    with reading(file):
        for line in file.read_text(encoding="utf-8").splitlines():
            name, part = line.split()
            require(part in parts and Path(name).name == name, f"the line '{line}'")
            parts[part].append(name)
    return dict(zip(("train", "valid", "test"), parts.values()))
