"""Files that are there whole or not at all, whenever the process is killed or the disk is full."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from safetensors import SafetensorError

# how torch.save says that a stream took less than it was given
TORCH_SAYS = ("PytorchStreamWriter", "file write failed", "unexpected pos")


@contextmanager
def whole(file: str | Path) -> Iterator[Path]:
    """A place beside `file` to write a file or folder to, which takes its name when the block has ended.

    Folders above are made. What could not be written leaves nothing and is an OSError that names the file.
    """
    file = Path(file).absolute()
    part = file.with_name(f"{file.name}.part{os.getpid()}")  # several processes may write one file
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        yield part
        if part.is_file():
            with part.open("rb") as stream:
                os.fsync(stream.fileno())
        part.replace(file)
    except (OSError, SafetensorError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not any(words in str(error) for words in TORCH_SAYS):
            raise
        reason = getattr(error, "strerror", None) or "the disk is full, or the file may not grow"
        free = f"{shutil.disk_usage(_existing(file)).free / 1e6:,.0f} MB are free there"
        told = f"{file} could not be written ({reason}; {free}): free some room there, or take another place"
        raise OSError(told) from None
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        with suppress(OSError):
            part.unlink(missing_ok=True)


def appending(file: Path) -> TextIO:
    """A file of lines, opened to add some; a last line without its end, a killed process's, is dropped."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists() and not (content := file.read_bytes()).endswith(b"\n"):
        os.truncate(file, content.rfind(b"\n") + 1)
    return file.open("a", encoding="utf-8")


def _existing(file: Path) -> Path:
    """The nearest folder above that is there."""
    return next(folder for folder in file.absolute().parents if folder.exists())
