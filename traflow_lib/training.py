"""fit(): the one training loop, for teachers and students alike. It resumes exactly and never loses the last good state."""

import copy
import json
import math
import sys
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm


@dataclass(frozen=True)
class TrainConfig:
    """steps: optimiser steps; batch: samples a step; lr: peak rate; optimizer adam or adamw; warmup: steps of linear warm-up;
    schedule: "cosine" (to 0) or "constant"; clip: gradient norm bound, 0 for none; ema: decay of the moving average, warmed up by
    min(ema, (1 + n) / (10 + n)); precision: "fp32" or "bf16" (autocast); save_every: steps between checkpoints."""

    steps: int
    batch: int
    lr: float = 1e-3
    optimizer: str = "adam"
    weight_decay: float = 0.0
    warmup: int = 0
    schedule: str = "cosine"
    clip: float = 1.0
    ema: float = 0.999
    precision: str = "fp32"
    save_every: int = 500
    log_every: int = 50

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
        for name, allowed in {"optimizer": ("adam", "adamw"), "schedule": ("cosine", "constant"), "precision": ("fp32", "bf16")}.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"training option {name} is '{getattr(self, name)}'; it must be one of {', '.join(allowed)}")

    def lr_at(self, step: int) -> float:
        """Learning rate of step 0 .. steps-1."""
        warm = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        decay = 0.5 * (1 + math.cos(math.pi * step / self.steps)) if self.schedule == "cosine" else 1.0
        return self.lr * warm * decay


class TrainingDiverged(RuntimeError):
    """The loss became NaN or infinite; the last good checkpoint is in the run's folder."""


def fit(net: nn.Module, loss_fn, config: TrainConfig, folder: Path, *, seed: int, label: str = "train") -> tuple[nn.Module, dict]:
    """Train `net` in place; returns (the network with its EMA weights, statistics).

    Args:
        loss_fn: called as loss_fn(net, ema_net, progress) -> LossTerms once a step, progress being the share of the steps that is done; it
            draws its own batch from torch's global generator.
        folder: holds checkpoint.pt (resumed if present) and log.jsonl (one line every log_every steps).
    Statistics: steps, seconds (training time over all resumes), parameters.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    ema_net = _copy(net)
    make = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
    optimizer = make(net.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True)
    state = _Checkpoint(folder / "checkpoint.pt", net, ema_net, optimizer, config, seed)
    step, seconds = state.load()
    since_log: list[dict[str, float]] = []
    start = time.perf_counter() - seconds
    # tqdm's carriage returns fill a notebook run by papermill with garbage; a terminal gets the bar
    bar = tqdm(total=config.steps, initial=step, desc=label, disable=not sys.stderr.isatty(), leave=False)
    with open(folder / "log.jsonl", "a") as log:
        while step < config.steps:
            for group in optimizer.param_groups:
                group["lr"] = config.lr_at(step)
            with torch.autocast(_device(net), torch.bfloat16, enabled=config.precision == "bf16"):
                terms = loss_fn(net, ema_net, step / config.steps)
            optimizer.zero_grad(set_to_none=True)
            terms.total.backward()
            norm = nn.utils.clip_grad_norm_(net.parameters(), config.clip or math.inf).item()
            if not (math.isfinite(total := terms.total.item()) and math.isfinite(norm)):
                raise TrainingDiverged(f"{label}: loss {total}, gradient norm {norm} at step {step}; the last good state is {state.file}")
            optimizer.step()
            _update_average(ema_net, net, min(config.ema, (1 + step) / (10 + step)))
            step += 1
            bar.update()
            since_log.append({"loss": total, "gradient_norm": norm, **terms.parts})
            if step % config.log_every == 0:
                averages = {name: sum(values[name] for values in since_log) / len(since_log) for name in since_log[0]}
                line = {"step": step, "seconds": round(time.perf_counter() - start, 2), "lr": config.lr_at(step - 1), **averages}
                log.write(json.dumps(line) + "\n")
                log.flush()
                since_log.clear()
            if step % config.save_every == 0 or step == config.steps:
                state.save(step, time.perf_counter() - start)
    bar.close()
    statistics = {"steps": step, "seconds": round(time.perf_counter() - start, 3), "parameters": sum(p.numel() for p in net.parameters())}
    return ema_net.eval(), statistics


def read_log(folder: Path) -> list[dict]:
    """The lines of a run's log.jsonl; after a resume the later line of a repeated step counts."""
    lines = (json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines())
    return list({line["step"]: line for line in lines}.values())


def _device(net: nn.Module) -> str:
    return next(net.parameters()).device.type


def _copy(net: nn.Module) -> nn.Module:
    return copy.deepcopy(net).requires_grad_(False).eval()


@torch.no_grad()
def _update_average(average: nn.Module, net: nn.Module, decay: float) -> None:
    torch._foreach_lerp_(list(average.parameters()), [p.detach() for p in net.parameters()], 1 - decay)


class _Checkpoint:
    """checkpoint.pt: everything that decides the next step. Written beside and renamed, so a crash leaves the old one."""

    def __init__(self, file: Path, net, ema_net, optimizer, config: TrainConfig, seed: int):
        self.file, self.parts = file, {"net": net, "ema": ema_net, "optimizer": optimizer}
        self.identity = {**asdict(config), "seed": seed}

    def save(self, step: int, seconds: float) -> None:
        part = self.file.with_suffix(".part")
        content = {name: part_.state_dict() for name, part_ in self.parts.items()}
        torch.save(content | {"step": step, "seconds": seconds, "rng": torch.get_rng_state(), "identity": self.identity}, part)
        part.replace(self.file)

    def load(self) -> tuple[int, float]:
        if not self.file.exists():
            return 0, 0.0
        content = torch.load(self.file, weights_only=True)
        if content["identity"] != self.identity:
            raise ValueError(f"{self.file} belongs to a run with other settings; delete its folder or choose another")
        for name, part in self.parts.items():
            part.load_state_dict(content[name])
        torch.set_rng_state(content["rng"])
        return content["step"], content["seconds"]
