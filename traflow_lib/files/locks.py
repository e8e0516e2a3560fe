"""One process at a time for what is to be done once, such as training a network or solving pairs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from accelerate.utils import gather_object
from filelock import FileLock, Timeout

from . import paths
from .log import log
from .processes import processes

# seconds of waiting between two exchanges of a job's processes, well below the time-outs of their barriers
PATIENCE = 60


@contextmanager
def exclusively(name: str | Path, what: str) -> Iterator[None]:
    """Keep every other process that shares runs/ out of the block of the same name, or file.

    One that has to wait says in one line what for. Of a job with several processes the main one takes the
    lock for all. The system frees it when its holder dies, so none is ever stale.
    """
    main, patience = processes().is_main_process, 0
    file = name if isinstance(name, Path) else paths.runs() / "locks" / f"{name}.lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file)
    try:
        while not any(gather_object([main and _taken(lock, patience)])):
            if main and not patience:
                log.info(f"waiting for {what}: another process is at it")
            patience = PATIENCE
        yield
    finally:
        lock.release()


def _taken(lock: FileLock, seconds: float) -> bool:
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        return False
    return True
