"""The settings of one training, as a recipe's `train` block holds them."""

import math
from dataclasses import dataclass, fields

from ..nets.precision import DTYPES


@dataclass(frozen=True)
class TrainConfig:
    """steps: optimiser steps; batch: samples a step, over all processes; lr: peak rate; optimizer adam or adamw; warmup: steps of linear
    warm-up; schedule: "cosine" (to 0) or "constant"; clip: gradient norm bound, 0 for none; precision: "fp32", "bf16" or "fp16" (autocast;
    fp16 scales the loss).

    ema: decay of the moving average of the weights, warmed up by min(ema, (1 + n) / (10 + n)). A list keeps several: the first is the
    result, the last the target network of the objective. micro_batch: the most samples a process takes in
    one pass, gradients being added up over as many passes as that needs; 0 for no limit. channels_last, compile: torch's memory
    layout and compiler. save_every: steps between checkpoints, of which `keep` stay; watch_every: steps between calls of fit's `watch`,
    0 for none. tensorboard: write the log for TensorBoard too.
    """

    steps: int
    batch: int
    lr: float = 1e-3
    optimizer: str = "adam"
    weight_decay: float = 0.0
    warmup: int = 0
    schedule: str = "cosine"
    clip: float = 1.0
    ema: float | list[float] = 0.999
    precision: str = "fp32"
    micro_batch: int = 0
    channels_last: bool = False
    compile: bool = False
    save_every: int = 500
    keep: int = 2
    log_every: int = 50
    watch_every: int = 0
    tensorboard: bool = False

    @classmethod
    def of(cls, options: dict) -> "TrainConfig":
        """From a recipe's block; an unknown or missing key is a ValueError that names it."""
        known = {field.name for field in fields(cls)}
        if unknown := set(options) - known:
            raise ValueError(f"unknown training option {sorted(unknown)}; there are {sorted(known)}")
        if missing := {"steps", "batch"} - set(options):
            raise ValueError(f"the recipe lacks the training option {sorted(missing)}")
        return cls(**options)

    def __post_init__(self):
        for name, allowed in {
            "optimizer": ("adam", "adamw"),
            "schedule": ("cosine", "constant"),
            "precision": tuple(DTYPES),
        }.items():
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"training option {name} is '{getattr(self, name)}'; it must be one of {', '.join(allowed)}"
                )
        for name in ("steps", "batch", "save_every", "keep", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"training option {name} is {getattr(self, name)}; it must be at least 1")

    def passes(self, processes: int) -> int:
        """Passes that each of `processes` takes a batch in; a ValueError says when the batch cannot be split evenly."""
        if self.batch % processes:
            raise ValueError(f"a batch of {self.batch} cannot be split evenly over {processes} processes")
        share = self.batch // processes
        return next(
            n
            for n in range(1, share + 1)
            if share % n == 0 and (not self.micro_batch or share // n <= self.micro_batch)
        )

    @property
    def decays(self) -> list[float]:
        """Decays of all moving averages."""
        return self.ema if isinstance(self.ema, list) else [self.ema]

    def lr_at(self, step: int) -> float:
        """Learning rate of step 0 .. steps-1."""
        warm = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        decay = 0.5 * (1 + math.cos(math.pi * step / self.steps)) if self.schedule == "cosine" else 1.0
        return self.lr * warm * decay
