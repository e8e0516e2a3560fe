"""Readers of the formats image data sets come in.

Generators of (pixels uint8 [n, C, H, W], labels int64 [n] or None), in a fixed order.

A damaged, truncated or foreign file is a ValueError that names it. Nothing in a file is ever executed.
"""

import gzip
import io
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

Chunk = tuple[np.ndarray, np.ndarray | None]
BLOCK = 256  # images decoded at a time


class Unusable(ValueError):
    """A file that is whole but not to be used; the message goes on from its name."""


@contextmanager
def reading(what) -> Iterator[None]:
    """Whatever goes wrong inside is an error of the file `what`.

    Decoders raise all kinds of exceptions on damaged input.
    """
    try:
        yield
    except Unusable as error:
        raise ValueError(f"{what} {error}") from None
    except Exception as error:
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


def _idx(file: Path, dimensions: int) -> np.ndarray:
    """A gzipped idx file of unsigned bytes (LeCun's MNIST format).

    Two zero bytes, type 8, number of dimensions, their sizes, the values.
    """
    content = gzip.decompress(file.read_bytes())
    require(
        content[:4] == bytes([0, 0, 8, dimensions]),
        f"its first bytes are {content[:4].hex()}, not 000008{dimensions:02x}",
    )
    sizes = np.frombuffer(content, ">u4", dimensions, 4)
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions)
    require(
        len(values) == sizes.prod(dtype=np.int64),
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

    order: map_clsloc.txt, lines `n02119789 1 kit_fox` that say which synset a label is; with it, classes are
    renumbered in the order of their synsets, as EDM, ADM and torchvision number them. The .npz files have
    another order.
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
            pixels = content["data"]
            expected = 3 * size * size
            require(
                pixels.dtype == np.uint8 and pixels.ndim == 2 and pixels.shape[1] == expected,
                f"data {pixels.dtype} {pixels.shape}, not uint8 [n, {expected}]",
            )
            labels = rank[labels_of(content["labels"], len(pixels), 1, classes)]
        yield pixels.reshape(-1, 3, size, size), labels


def pillow():
    """Pillow's module Image; ImportError says how to get it."""
    try:
        from PIL import Image
    except ImportError:
        raise ImportError(
            "image files are read with Pillow, which is not installed; pip install pillow"
        ) from None
    return Image


def celeba_face(image):
    """Score-SDE's (and so RectifiedFlow's) CelebA-64.

    The central 140 pixels, shrunk to 64 with an antialiased triangle filter.

    Theirs is tf.image.resize(antialias=True), whose filter Pillow calls BILINEAR. Cut first: resize(box=...)
    lets the filter see beyond the box.
    """
    return image.crop((19, 39, 159, 179)).resize((64, 64), pillow().Resampling.BILINEAR)


def halve(image):
    """The mean of every 2x2 pixels, exactly; resize() with a box filter rounds twice."""
    return image.reduce(2)


def decode(content: bytes, size: tuple[int, int], shrink: Callable | None = None) -> np.ndarray:
    """A jpeg or png of (width, height) `size` as uint8 [3, H, W], after shrink(Pillow image)."""
    with pillow().open(io.BytesIO(content)) as image:
        require(image.size == size, f"{image.size[0]}x{image.size[1]} pixels, not {size[0]}x{size[1]}")
        image = image.convert("RGB")
    return np.asarray(shrink(image) if shrink else image).transpose(2, 0, 1)


def each(work: Callable, items: list, folder: Path = Path()) -> Iterator[list]:
    """work(item) of all items, BLOCK at a time, on all cores: Pillow and hashing free Python's lock.

    Raises:
        ValueError: at the end, if any failed; names the first, a file in `folder`, and says how many did.
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
    source: Path, names: list[str], decoder: Callable[[bytes], np.ndarray], labels: np.ndarray | None = None
) -> Iterator[Chunk]:
    """Decoded images of the named files of a folder or .zip, and their labels."""
    pillow()
    with ExitStack() as stack:
        if source.is_dir():
            content = lambda name: (source / name).read_bytes()  # noqa: E731
        else:
            with reading(source):
                content = stack.enter_context(zipfile.ZipFile(source)).read
        done = 0
        for part in each(lambda name: decoder(content(name)), names, source):
            yield np.stack(part), None if labels is None else labels[done : done + len(part)]
            done += len(part)


def zip_of_png(file: Path, size: int, classes: int | None = None) -> Iterator[Chunk]:
    """EDM's and ADM's data set archive.

    Png files in the order of their names, and labels 0..classes-1 from its dataset.json.
    """
    with reading(file), zipfile.ZipFile(file) as archive:
        names = sorted(name for name in archive.namelist() if name.lower().endswith(".png"))
        labels = None
        if classes:
            of = dict(json.loads(archive.read("dataset.json"))["labels"])
            labels = labels_of([of[name] for name in names], len(names), 0, classes - 1)
    yield from encoded(file, names, lambda content: decode(content, (size, size)), labels)


def partition(file: Path) -> dict[str, list[str]]:
    """CelebA's list_eval_partition.txt: lines `000001.jpg 0`, where 0 is train, 1 valid and 2 test."""
    parts = {"train": [], "valid": [], "test": []}
    with reading(file):
        for line in file.read_text(encoding="utf-8").splitlines():
            name, part = line.split()
            list(parts.values())[int(part)].append(name)
            require(0 <= int(part) and Path(name).name == name, f"the line '{line}'")
    return parts
