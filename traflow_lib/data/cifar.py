"""CIFAR-10's batches: pickles, read without running anything they name."""

import io
import pickle
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .readers import Chunk, labels_of, reading, require


class _PlainUnpickler(pickle.Unpickler):
    """Builds plain containers and numpy arrays, and refuses every other name before anything is called."""

    ALLOWED = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): lambda text, _: text.encode("latin1"),  # bytes of Python 3's protocol 2
    }
    # the module's name before and since numpy 2; an array tells the functions themselves
    for _core in ("numpy.core", "numpy._core"):
        ALLOWED[f"{_core}.multiarray", "_reconstruct"] = np.zeros(1).__reduce__()[0]
        ALLOWED[f"{_core}.numeric", "_frombuffer"] = np.zeros(1).__reduce_ex__(5)[0]

    def find_class(self, module: str, name: str):
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(
                f"it asks for {module}.{name}, which is no part of a CIFAR batch; nothing of it was executed"
            )
        return self.ALLOWED[module, name]


def _members(source: Path, names: list[str]) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the named files of a folder, or of a .tar.gz in the order of `names`."""
    if source.is_dir():
        for name in names:
            yield name, (source / name).read_bytes()
        return
    with reading(source), tarfile.open(source, "r:gz") as archive:
        found = {
            Path(member.name).name: archive.extractfile(member).read()
            for member in archive
            if member.isfile() and Path(member.name).name in names
        }
        require(set(found) == set(names), f"it lacks {', '.join(sorted(set(names) - set(found)))}")
    for name in names:
        yield name, found[name]


def cifar(source: Path, names: list[str]) -> Iterator[Chunk]:
    """CIFAR-10's python version: 32x32 colour images and labels 0..9 of the named batches.

    They lie in cifar-10-batches-py or its .tar.gz.
    """
    for name, content in _members(source, names):
        with reading(source / name):
            batch = _PlainUnpickler(io.BytesIO(content), encoding="bytes").load()
            pixels = batch[b"data"]
            require(
                pixels.dtype == np.uint8 and pixels.ndim == 2 and pixels.shape[1] == 3072,
                f"data {pixels.dtype} {pixels.shape}, not uint8 [n, 3072]",
            )
            labels = labels_of(batch[b"labels"], len(pixels), 0, 9)
        yield pixels.reshape(-1, 3, 32, 32), labels
