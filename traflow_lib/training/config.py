"""The settings of one training, as a recipe's `train` block holds them."""

import math
from dataclasses import fields
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from ..files.checks import brief, first_fault
from ..nets.precision import Precision

Decay = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True, config=ConfigDict(strict=True, allow_inf_nan=False))
class TrainConfig:
    """The settings of one training."""

    steps: Annotated[int, Field(ge=1, description="optimiser steps")]
    batch: Annotated[int, Field(ge=1, description="samples a step, over all processes")]
    lr: Annotated[float, Field(ge=0, description="peak learning rate")] = 1e-3
    optimizer: Annotated[Literal["adam", "adamw"], Field(description="optimiser")] = "adam"
    weight_decay: Annotated[float, Field(ge=0, description="of adamw, and adam's L2 term")] = 0.0
    warmup: Annotated[int, Field(ge=0, description="steps of linear warm-up")] = 0
    schedule: Annotated[
        Literal["cosine", "constant"], Field(description="of the rate after warm-up; cosine ends at 0")
    ] = "cosine"
    clip: Annotated[float, Field(ge=0, description="bound of the gradient's norm, 0 for none")] = 1.0
    ema: Annotated[
        Decay | Annotated[list[Decay], Field(min_length=1)],
        Field(
            description="decay of the weights' moving average, warmed up by min(ema, (1 + n) / (10 + n)); "
            "of a list the first is the result, the last the target network, but "
            "of an objective with a target_average"
        ),
    ] = 0.999
    precision: Annotated[Precision, Field(description="of autocast; fp16 scales the loss")] = "fp32"
    micro_batch: Annotated[
        int, Field(ge=0, description="most samples a process takes in one pass, 0 for no limit")
    ] = 0
    channels_last: Annotated[bool, Field(description="torch's memory layout for images")] = False
    compile: Annotated[bool, Field(description="torch's compiler")] = False
    save_every: Annotated[int, Field(ge=1, description="steps between checkpoints")] = 500
    keep: Annotated[int, Field(ge=1, description="checkpoints that stay")] = 2
    log_every: Annotated[int, Field(ge=1, description="steps between lines of the log")] = 50
    watch_every: Annotated[
        int, Field(ge=0, description="steps between measurements on the way, 0 for none")
    ] = 0
    tensorboard: Annotated[bool, Field(description="whether the log is written for TensorBoard too")] = False

    @classmethod
    def of(cls, options: dict) -> "TrainConfig":
        """From a recipe's block; a key that is unknown, missing or wrong is a ValueError that names it."""
        known = {field.name for field in fields(cls)}
        if unknown := set(options) - known:
            raise ValueError(f"unknown training option {sorted(unknown)}; there are {sorted(known)}")
        try:
            return cls(**options)
        except ValidationError as error:
            (name, *_), value, message = first_fault(error, options)
            raise ValueError(f"training option {name} is {brief(value)}: {message}") from None

    def passes(self, processes: int) -> int:
        """Passes that each of `processes` takes a batch in; ValueError if it cannot be split evenly."""
        if self.batch % processes:
            raise ValueError(f"a batch of {self.batch} cannot be split evenly over {processes} processes")
        share = self.batch // processes
        most = self.micro_batch or share
        return next(n for n in range(1, share + 1) if share % n == 0 and share // n <= most)

    @property
    def decays(self) -> list[float]:
        """Decays of all moving averages."""
        return self.ema if isinstance(self.ema, list) else [self.ema]

    def lr_at(self, step: int) -> float:
        """Learning rate of step 0 .. steps-1."""
        warm = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        decay = 0.5 * (1 + math.cos(math.pi * step / self.steps)) if self.schedule == "cosine" else 1.0
        return self.lr * warm * decay
