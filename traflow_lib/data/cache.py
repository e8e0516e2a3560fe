"""The cache of decoded images, made once by one process, checked in full whenever it is opened.

A folder holds images.npy (uint8 [N, C, H, W], memory-mapped), labels.npy (int64 [N], if there are labels)
and, written last, cache.json with the SHA-256 of both. Its name ends in a key of all that decides the pixels,
so other sources make another cache.
"""

import json
import shutil
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from ..files import paths
from ..files.checksums import file_sha256
from ..files.whole import whole
from .image_set import Images
from .readers import Chunk

VERSION = 2  # of how pixels are made from the sources; raise it when a reader or a resizing changes


def _digests(folder: Path) -> dict[str, str] | None:
    """The checksums of the cache in a folder; None if it is not there, or changed by a byte."""
    try:  # a second for about 1.5 GB, once a process, which are in memory then, where training wants them
        digests = json.loads((folder / "cache.json").read_text(encoding="utf-8"))
        whole = all(file_sha256(folder / name) == digest for name, digest in digests.items())
    except (OSError, ValueError, AttributeError):
        return None
    return digests if whole else None


def _write(chunks: Iterable[Chunk], folder: Path) -> None:
    """images.npy and labels.npy of all chunks, without ever holding more than one."""
    count, shape, labels = 0, (), []
    with (folder / "images.npy").open("wb") as stream:

        def header():  # numpy's own, with room for the first axis to grow: N is known at the end
            fields = {"descr": "|u1", "fortran_order": False, "shape": (count, *shape)}
            stream.seek(0)
            np.lib.format.write_array_header_1_0(stream, fields)

        for pixels, chunk_labels in chunks:
            if not count:
                shape = pixels.shape[1:]
                header()
            stream.write(np.ascontiguousarray(pixels).data)
            count += len(pixels)
            labels += [] if chunk_labels is None else [chunk_labels]
        header()
    if labels:
        np.save(folder / "labels.npy", np.concatenate(labels))


def _build(chunks: Iterable[Chunk], folder: Path) -> dict[str, str]:
    """Write the chunks beside `folder`, rename that when it is complete, and give the files' checksums."""
    for old in folder.parent.glob(f"{folder.name}.part*"):  # of a process that was killed
        shutil.rmtree(old, ignore_errors=True)
    with whole(folder) as part:
        part.mkdir()
        _write(chunks, part)
        digests = {file.name: file_sha256(file) for file in sorted(part.glob("*.npy"))}
        (part / "cache.json").write_text(json.dumps(digests) + "\n", encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)  # a damaged one
    return digests


def cached(name: str, facts: list, read: Callable[[], Iterable[Chunk]], flip: bool) -> Images:
    """The images that read() gives, from the cache under runs/images if they are there and whole.

    name: for people; facts: JSON-able, all that decides the pixels; read() gives at least one image, all of
    one shape. The images' sha256 is that of their file.
    """
    key = sha256(json.dumps([VERSION, *facts]).encode()).hexdigest()[:16]
    folder = paths.runs() / "images" / f"{name}-{key}"
    digests = _digests(folder)
    if not digests:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):  # another process may have made it meanwhile
            digests = _digests(folder) or _build(read(), folder)
    # copy-on-write: torch wants writable memory, the file stays as it is
    tensors = {name: torch.from_numpy(np.load(folder / name, mmap_mode="c")) for name in digests}
    pixels, labels = tensors["images.npy"], tensors.get("labels.npy")
    return Images(pixels, labels, flip, digests["images.npy"], folder / "images.npy")
