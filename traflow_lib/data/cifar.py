"""CIFAR-10's batches: pickles, read without running anything they name."""

import gzip
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

from ..files.checks import require_ratio
from ..files.inert_pickle import Unpickler
from .readers import Chunk, labels_of, reading, require, rows_of_colour


class Bounded(gzip.GzipFile):
    """A .gz that is never asked for more than it may hold, whatever lengths are written in it."""

    def __init__(self, file: Path):
        super().__init__(file)
        self.packed = file.stat().st_size

    def read(self, size: int | None = -1) -> bytes:
        """The next `size` bytes."""
        require_ratio(self.tell() + (size or 0), self.packed)
        return super().read(size)


def _contents(source: Path, names: list[str]) -> dict[str, bytes]:
    """The named files of a folder or a .tar.gz."""
    if source.is_dir():
        return {name: (source / name).read_bytes() for name in names}
    found = {}
    with Bounded(source) as unpacked, tarfile.TarFile(fileobj=unpacked) as archive:
        for member in archive:
            require_ratio(member.offset_data + member.size, unpacked.packed)
            name, stream = Path(member.name).name, archive.extractfile(member)
            if stream and name in names:
                found[name] = stream.read()
    require(set(found) == set(names), f"it lacks {', '.join(sorted(set(names) - set(found)))}")
    return found


def cifar(source: Path, names: list[str]) -> Iterator[Chunk]:
    """32x32 colour images and labels 0..9 of the named batches in cifar-10-batches-py or its .tar.gz."""
    with reading(source):
        contents = _contents(source, names)
    for name in names:
        with reading(source / name):
            batch = Unpickler(io.BytesIO(contents[name]), encoding="bytes").load()
            pixels = rows_of_colour(batch[b"data"], 32)
            labels = labels_of(batch[b"labels"], len(pixels), 0, 9)
        yield pixels, labels
