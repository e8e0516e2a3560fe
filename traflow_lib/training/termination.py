"""SIGTERM, by which a machine that is taken away says so: the training ends at its next step, resumable."""

import signal
import threading


class Interrupted(SystemExit):
    """SIGTERM came, and a checkpoint of the last step was written; the process ends with status 143."""


class Termination:
    """Inside, SIGTERM (a preempted machine) only sets `asked`.

    Only the main thread can change what a signal does.
    """

    asked = False

    def __enter__(self) -> "Termination":
        self.before = (
            signal.signal(signal.SIGTERM, self._ask)
            if threading.current_thread() is threading.main_thread()
            else None
        )
        return self

    def _ask(self, *_) -> None:
        self.asked = True

    def __exit__(self, *_) -> None:
        if self.before is not None:
            signal.signal(signal.SIGTERM, self.before)
