"""SIGTERM, by which a machine that is taken away says so: the training ends at its next step, resumable."""

import signal
import threading
from typing import Any


class Interrupted(SystemExit):
    """SIGTERM came, and a checkpoint of the last step was written; the process ends with status 143."""


class Termination:
    """Inside, SIGTERM (a preempted machine) only sets `asked`."""

    asked = False
    before: Any = None

    def __enter__(self) -> "Termination":
        if threading.current_thread() is threading.main_thread():  # no other can change what a signal does
            self.before = signal.signal(signal.SIGTERM, self._ask)
        return self

    def _ask(self, *_) -> None:
        self.asked = True

    def __exit__(self, *_) -> None:
        if self.before is not None:
            signal.signal(signal.SIGTERM, self.before)
