"""The checkpoints of a training, written whole or not at all."""

from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate.utils import gather_object

from ..files.inert_pickle import read_torch
from ..files.log import log
from ..files.processes import processes
from ..files.whole import whole


@dataclass
class Checkpoints:
    """The files checkpoint-STEP.pt of one folder, each holding everything that decides the next step.

    parts: what has state_dict() and load_state_dict(), by name. generator: it draws the batches, so its state
    is also the position in the data. identity: settings that must be the same when the run goes on. keep: how
    many files stay. With several processes every one calls save() and load(); the first writes.
    """

    folder: Path
    parts: dict
    generator: torch.Generator
    identity: dict
    keep: int

    def files(self) -> list[Path]:
        """Whole checkpoints, newest first."""
        return sorted(self.folder.glob("checkpoint-*.pt"), reverse=True)

    def save(self, step: int, seconds: float) -> Path:
        """Write checkpoint-STEP.pt beside its place, then rename it; older ones than the last `keep` go."""
        device = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
        dropout = gather_object([{"cpu": torch.get_rng_state(), "cuda": device}])
        file = self.folder / f"checkpoint-{step:09d}.pt"
        if processes().is_main_process:
            content = {name: part.state_dict() for name, part in self.parts.items()}
            content |= {"step": step, "seconds": seconds, "identity": self.identity}
            content |= {"draws": self.generator.get_state(), "dropout": dropout}
            with whole(file) as part, part.open("wb") as stream:
                torch.save(content, stream)
            for old in self.files()[self.keep :]:
                old.unlink()
        return file

    def load(self) -> tuple[int, float]:
        """Restore the newest whole checkpoint; returns its step and seconds, (0, 0.0) if there is none."""
        if processes().is_main_process:
            for part in self.folder.glob("checkpoint-*.part*"):  # of a killed process
                part.unlink()
        for file in self.files():
            try:
                content = read_torch(file)
            except ValueError as error:
                log.warning(f"{file} is damaged ({error}); trying the one before it")
                continue
            if content["identity"] != self.identity:
                raise ValueError(
                    f"{file} belongs to a run with other settings; delete its folder or choose another"
                )
            for name, part in self.parts.items():
                part.load_state_dict(content[name])
            self.generator.set_state(content["draws"])
            number = min(processes().process_index, len(content["dropout"]) - 1)
            dropout = content["dropout"][number]
            torch.set_rng_state(dropout["cpu"])
            if dropout["cuda"] is not None and torch.cuda.is_available():
                torch.cuda.set_rng_state(dropout["cuda"])
            return content["step"], content["seconds"]
        if damaged := self.files():
            names = ", ".join(file.name for file in damaged)
            raise ValueError(f"no checkpoint in {self.folder} can be read; delete {names} to start anew")
        return 0, 0.0
