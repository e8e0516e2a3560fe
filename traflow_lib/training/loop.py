"""fit(): the one training loop, for teachers and students alike, on one device or many."""

import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from ..files.log import log
from .checkpoints import Checkpoints
from .config import TrainConfig
from .log import Log
from .step import Run


class TrainingDiverged(RuntimeError):
    """The loss became NaN or infinite; the last good checkpoint is in the run's folder."""


class Interrupted(SystemExit):
    """SIGTERM came, and a checkpoint of the last step was written; the process ends with status 143."""


@dataclass
class Trained:
    """net: the network with its first moving average; averages: all of them by decay.

    statistics: steps, seconds (over all resumes), parameters, on a GPU its peak memory, and samples_a_pass if
    fewer than asked had to go through at once.
    """

    net: nn.Module
    averages: dict[float, nn.Module]
    statistics: dict


def fit(
    net: nn.Module,
    loss_fn,
    config: TrainConfig,
    folder: Path,
    *,
    seed: int,
    title: str = "train",
    recipe: str = "",
    watch: Callable | None = None,
) -> Trained:
    """Train `net` in place, on the device where it is; it resumes exactly and loses no good state.

    A batch that does not fit into a GPU's memory is taken in more passes, which give the same gradient.

    With several processes (torchrun, accelerate launch) each takes its part of a batch.

    Args:
        net: the network, with the same weights in every process.
        loss_fn: called as loss_fn(net, target, progress, draws) -> LossTerms, progress being the share of the
            steps that is done. It draws its own batch of draws.local(config.batch) samples, and whatever else
            is random, through `draws`, so that a result does not depend on how the batch is split. target is
            the last of the averages, or, if loss_fn has an attribute target_decay(progress), a network of its
            own with that decay (0: the weights of net).
        config: the settings.
        folder: holds the checkpoints (the newest is resumed) and log.jsonl (one line every log_every steps).
        seed: of everything that is drawn while it trains.
        title: what the progress bar is called.
        recipe: fingerprint of the settings that made loss_fn; a checkpoint of another one is refused.
        watch: called as watch(step, averages) -> numbers for the log, every watch_every steps and at the end,
            by the first process.

    Raises:
        TrainingDiverged: a loss or gradient is not finite; leaves a good checkpoint.
        Interrupted: SIGTERM came; leaves a checkpoint of the step.
    """
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(net, loss_fn, config, seed)
    first, device = run.accelerator.is_main_process, run.device
    identity = {**asdict(config), "seed": seed, "recipe": recipe}
    saved = Checkpoints(folder, run.parts(), run.generator, identity, config.keep)
    step, seconds = saved.load()
    run.prepare()
    start = time.perf_counter() - seconds
    # tqdm's carriage returns fill a notebook run by papermill with garbage; a terminal gets the bar
    hidden = not (first and sys.stderr.isatty())
    bar = tqdm(total=config.steps, initial=step, desc=title, disable=hidden, leave=False)
    with Termination() as termination, Log(folder, config) as lines, bar:
        while step < config.steps:
            run.take(step)
            step += 1
            bar.update()
            last, asked = step == config.steps, run.any_process(termination.asked)
            saving = step % config.save_every == 0 or last or asked
            due = watch and config.watch_every and (step % config.watch_every == 0 or last)
            if not (saving or due or lines.due(step)):
                continue
            numbers = run.read()
            for at, values in enumerate(numbers, step - len(numbers)):
                if not run.is_finite(values):
                    found = f"loss {values['loss']}, gradient norm {values['gradient_norm']} at step {at}"
                    good = next(iter(saved.files()), "none yet")
                    raise TrainingDiverged(f"{title}: {found}; the last good state is {good}")
            elapsed = time.perf_counter() - start
            lines.add(step, elapsed, numbers)
            if saving:
                file = saved.save(step, elapsed)
            if asked and not last:
                asked_at = f"{title}: asked to end at step {step} of {config.steps}"
                log.warning(f"{asked_at}; the same command goes on from {file}")
                raise Interrupted(143)
            if watch and due and first:
                with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                    lines.watched(step, watch(step, run.averages))
    statistics = {
        "steps": step,
        "seconds": round(time.perf_counter() - start, 3),
        "parameters": sum(p.numel() for p in net.parameters()),
    }
    if run.passes != config.passes(run.accelerator.num_processes):
        statistics["samples_a_pass"] = run.samples_a_pass
    if device.type == "cuda":
        statistics["peak_memory_gib"] = round(torch.cuda.max_memory_allocated(device) / 2**30, 3)
    return Trained(run.averages[config.decays[0]], run.averages, statistics)


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
