"""What the kit says while it works: one logger, whose lines go to standard output.

Once, however many processes there are. `logging.getLogger("traflow_lib").setLevel("WARNING")` silences it.
"""

import logging
import sys

from .processes import processes


class _StandardOutput(logging.Handler):
    """Lines on what standard output is now: a notebook's cell, or what a test captures."""

    def emit(self, record: logging.LogRecord) -> None:
        if processes().is_main_process:
            print(self.format(record), file=sys.stdout, flush=True)


log = logging.getLogger("traflow_lib")
log.addHandler(_StandardOutput())
log.setLevel(logging.INFO)
log.propagate = False
