"""The cache of decoded images.

One folder a data set and split, made once by one process, checked in full whenever it is opened.

A folder holds images.npy (uint8 [N, C, H, W], memory-mapped), labels.npy (int64 [N], if there are labels)
and, written last, cache.json with the SHA-256 of both. Its name ends in a key of the source files (names,
sizes, dates) and of how they are read, so other sources make another cache.
"""

import json
import os
import shutil
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from ..files import paths
from ..files.checksums import file_sha256
from . import fetch
from .published_sets import DATASETS, Source

VERSION = 1  # of how pixels are made from the sources; raise it when a reader or a resizing changes


@dataclass(frozen=True)
class Cached:
    """images: uint8 [N, C, H, W] on the mapped file; labels: int64 [N] or None.

    sha256 of `file`, as sha256sum prints it.
    """

    images: Tensor
    labels: Tensor | None
    file: Path
    sha256: str


def _identity(file: Path) -> list:
    """Name, size and date of a file, or of every file below a folder."""
    files = sorted(file.rglob("*")) if file.is_dir() else [file]
    return [
        (str(below.relative_to(file.parent)), state.st_size, state.st_mtime_ns)
        for below, state in ((each, each.stat()) for each in files)
    ]


def _open(folder: Path) -> Cached | None:
    """The cache in a folder; None if it is not there or if one byte of it differs from what was written.

    Reading it all costs a second for about 1.5 GB, once a process, and brings it into memory, where training
    wants it anyway.
    """
    try:
        digests = json.loads((folder / "cache.json").read_text(encoding="utf-8"))
        if any(file_sha256(folder / name) != digest for name, digest in digests.items()):
            return None
    except (OSError, ValueError, AttributeError):
        return None
    # copy-on-write: torch wants writable memory, the file stays as it is
    tensors = {name: torch.from_numpy(np.load(folder / name, mmap_mode="c")) for name in digests}
    return Cached(
        tensors["images.npy"], tensors.get("labels.npy"), folder / "images.npy", digests["images.npy"]
    )


def _sync(file: Path) -> None:
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _header(stream, shape: tuple[int, ...]) -> None:
    """numpy's .npy header with room for the first axis to grow: it is written again when N is known."""
    stream.seek(0)
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _build(name: str, split: str, source: Source, folder: Path) -> None:
    """Decode the source into a folder beside `folder` and rename it when it is complete.

    ValueError names what is wrong with the source.
    """
    for file in source.files:
        if file.is_file():
            fetch.verify(file)
    dataset, count, labels = DATASETS[name], 0, []
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)  # of a process that was killed
    part.mkdir(parents=True)
    try:
        with (part / "images.npy").open("wb") as stream:
            _header(stream, (0, *dataset.shape))
            for pixels, chunk_labels in source.read():
                if pixels.shape[1:] != dataset.shape:
                    raise ValueError(
                        f"{name}: {source.files[0]} has images of shape {pixels.shape[1:]}, not "
                        f"{dataset.shape}; put the published file there"
                    )
                stream.write(np.ascontiguousarray(pixels))
                count += len(pixels)
                labels += [] if chunk_labels is None else [chunk_labels]
            _header(stream, (count, *dataset.shape))
        expected = sum(dataset.counts[published] for published in dataset.parts(split))
        if not count or (count != expected and fetch.verifying()):
            raise ValueError(
                f"{name} ({split}) has {count:,} images in {source.files[-1]}, not the published "
                f"{expected:,}; "
                f"fetch it again (or set {fetch.UNVERIFIED}=1 if it is your own)"
            )
        if labels:
            np.save(part / "labels.npy", np.concatenate(labels))
        digests = {file.name: file_sha256(file) for file in sorted(part.glob("*.npy"))}
        (part / "cache.json").write_text(json.dumps(digests) + "\n", encoding="utf-8")
        for file in (*part.iterdir(), part):
            _sync(file)
        shutil.rmtree(folder, ignore_errors=True)  # a damaged one
        part.rename(folder)
        _sync(folder.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def cached(name: str, split: str, source: Source) -> Cached:
    """The decoded images of a source, from the cache under runs/images if it is there and whole.

    ValueError names a damaged source file.
    """
    facts = [VERSION, fetch.verifying(), [_identity(file) for file in source.files]]
    folder = paths.runs() / "images" / f"{name}-{split}-{sha256(json.dumps(facts).encode()).hexdigest()[:16]}"
    found = _open(folder)
    if found is None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            found = _open(folder)  # another process may have made it meanwhile
            if found is None:
                _build(name, split, source, folder)
                found = _open(folder)
    return found
