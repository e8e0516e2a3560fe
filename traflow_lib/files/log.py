"""What the kit says while it works: one logger, whose lines go to standard output, warnings to stderr.

Once, however many processes there are. `logging.getLogger("traflow_lib").setLevel("WARNING")` silences it.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from .processes import processes


class _Console(logging.Handler):
    """Lines on what the standard streams are now: a notebook's cell, or what a test captures."""

    def emit(self, record: logging.LogRecord) -> None:
        if processes().is_main_process:
            stream = sys.stdout if record.levelno < logging.WARNING else sys.stderr
            print(self.format(record), file=stream, flush=True)


log = logging.getLogger("traflow_lib")
log.addHandler(_Console())
log.setLevel(logging.INFO)
log.propagate = False


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out what the block says but its warnings."""
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(level)
