"""The log of a training: one line of JSON now and then."""

import json
from pathlib import Path

from ..files.processes import processes
from ..files.whole import appending
from .config import TrainConfig


class Log:
    """log.jsonl: every log_every steps the averages since the last line, and what `watch` found.

    A line has the learning rate, seconds and samples a second too. Only the first process writes.
    """

    def __init__(self, folder: Path, config: TrainConfig):
        self.config, first = config, processes().is_main_process
        self.since: list[dict[str, float]] = []  # values of the steps since the last line
        self.timed: tuple[int, float] | None = None  # the step and seconds from which speed is counted
        self.file = appending(folder / "log.jsonl") if first else None
        self.board = _tensorboard(folder) if config.tensorboard and first else None

    def due(self, step: int) -> bool:
        """Whether the log is to be told of the steps up to this one."""
        # also of the first of a process, which warms up and is not timed
        return self.timed is None or step % self.config.log_every == 0

    def add(self, step: int, seconds: float, values: list[dict[str, float]]) -> None:
        """The values of the steps up to `step`, since the last time."""
        if self.file:
            self.since += values
        if self.file and step % self.config.log_every == 0:
            averages = {name: sum(one[name] for one in self.since) / len(self.since) for name in values[-1]}
            if self.timed:
                samples = (step - self.timed[0]) * self.config.batch
                averages["samples_per_second"] = round(samples / max(seconds - self.timed[1], 1e-9), 1)
            facts = {"step": step, "seconds": round(seconds, 2), "lr": self.config.lr_at(step - 1)}
            self._write(facts | averages)
            self.since, self.timed = [], (step, seconds)
        self.timed = self.timed or (step, seconds)

    def watched(self, step: int, values: dict[str, float]) -> None:
        """What was measured between steps."""
        self._write({"step": step, "watch": values})

    def _write(self, line: dict) -> None:
        assert self.file
        print(json.dumps(line), file=self.file, flush=True)
        if self.board:
            for name, value in (line.get("watch") or line).items():
                self.board.add_scalar(name, value, line["step"])
            self.board.flush()

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_) -> None:
        for stream in (self.file, self.board):
            if stream:
                stream.close()


def _tensorboard(folder: Path):
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ImportError("training option tensorboard needs the package: pip install tensorboard") from None
    return SummaryWriter(folder / "tensorboard")


def read_log(folder: Path, watched: bool = False) -> list[dict]:
    """The lines of a run's log.jsonl, or what was watched; of a repeated step the later one counts."""
    file, found = folder / "log.jsonl", {}
    for number, text in enumerate(file.read_bytes().splitlines(), start=1):
        try:
            line = json.loads(text)
            if ("watch" in line) == watched:
                found[line["step"]] = line
        except (ValueError, TypeError, KeyError, RecursionError):
            raise ValueError(f"{file}, line {number}, is no line of a log; delete that line") from None
    return list(found.values())
