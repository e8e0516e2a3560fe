"""fit(): the one training loop, for teachers and students alike, on one device or many."""

import copy
import math
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from tqdm import tqdm

from ..files.log import log
from ..files.processes import mean_over_processes, processes
from ..nets.precision import DTYPES
from ..randomness import Draws
from .checkpoints import Checkpoints
from .config import TrainConfig
from .log import Log
from .termination import Interrupted, Termination


class TrainingDiverged(RuntimeError):
    """The loss became NaN or infinite; the last good checkpoint is in the run's folder."""


@dataclass
class Trained:
    """net: the network with its first moving average; averages: all of them by decay.

    statistics: steps, seconds (over all resumes), parameters, and on a GPU its peak memory.
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
    run = _Run(net, loss_fn, config, seed)
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
            terms, asked = run.gradients(step, termination)
            if not run.is_finite(terms):
                raise TrainingDiverged(
                    f"{title}: loss {terms['loss']}, gradient norm {terms['gradient_norm']} at step {step}; "
                    f"the last good state is {next(iter(saved.files()), 'none yet')}"
                )
            run.update(step)
            step += 1
            bar.update()
            elapsed, last = time.perf_counter() - start, step == config.steps
            lines.add(step, elapsed, terms)
            if step % config.save_every == 0 or last or asked:
                file = saved.save(step, elapsed)
            if asked and not last:
                asked_at = f"{title}: asked to end at step {step} of {config.steps}"
                log.warning(f"{asked_at}; the same command goes on from {file}")
                raise Interrupted(143)
            due = config.watch_every and (step % config.watch_every == 0 or last)
            if watch and due and first:
                with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                    lines.watched(step, watch(step, run.averages))
    statistics = {
        "steps": step,
        "seconds": round(time.perf_counter() - start, 3),
        "parameters": sum(p.numel() for p in net.parameters()),
    }
    if device.type == "cuda":
        statistics["peak_memory_gib"] = round(torch.cuda.max_memory_allocated(device) / 2**30, 3)
    return Trained(run.averages[config.decays[0]], run.averages, statistics)


class _Run:
    """All that a step changes: network, averages, target, optimiser, loss scaler and the batches' draws."""

    def __init__(self, net: nn.Module, loss_fn, config: TrainConfig, seed: int):
        # one process trains networks in several precisions, so autocast and the loss scaler are torch's own
        self.accelerator = Accelerator(cpu=processes().device.type == "cpu", mixed_precision="no")
        self.device, self.config, self.loss_fn = next(net.parameters()).device, config, loss_fn
        torch.manual_seed(seed + self.accelerator.process_index)  # of dropout, other in each process
        self.generator = torch.Generator().manual_seed(seed)  # of the batches, the same in all
        self.net = net.to(memory_format=torch.channels_last) if config.channels_last else net
        self.averages = {decay: _copy(net) for decay in config.decays}
        self.target_decay = getattr(loss_fn, "target_decay", None)
        self.target = _copy(net) if self.target_decay else self.averages[config.decays[-1]]
        make = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
        self.optimizer = make(net.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == "fp16")

    def parts(self) -> dict:
        """What a checkpoint holds, by name."""
        averages = {f"ema {decay}": average for decay, average in self.averages.items()}
        target = {"target": self.target} if self.target_decay else {}
        return {"net": self.net, **averages, "optimizer": self.optimizer, "scaler": self.scaler, **target}

    def prepare(self) -> None:
        """Compile, and spread over the processes, what a checkpoint was loaded into."""
        if self.config.compile:
            self.net.compile()
            self.target.compile()
        whole = _Objective(self.net, self.target, self.loss_fn)
        self.objective = self.accelerator.prepare_model(whole, device_placement=False)

    def gradients(self, step: int, termination: Termination) -> tuple[dict[str, float], bool]:
        """Clipped gradients of one batch: loss, their norm and terms, means over the processes.

        Returned is also whether any process was asked to end.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.lr_at(step)
        self.optimizer.zero_grad(set_to_none=True)
        terms = self._own_gradients(step / self.config.steps)
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), self.config.clip or math.inf).item()
        own = torch.tensor([*terms.values(), float(termination.asked)], dtype=torch.float64)
        alone = self.accelerator.num_processes == 1
        *values, any_asked = mean_over_processes(own if alone else own.to(self.device)).tolist()
        means = dict(zip(terms, values))
        return {"loss": means.pop("loss"), "gradient_norm": norm, **means}, any_asked > 0

    def _own_gradients(self, progress: float) -> dict[str, float]:
        """Add up the gradients of one batch; returns this process's loss and the objective's terms."""
        accelerator, config = self.accelerator, self.config
        passes, state = config.passes(accelerator.num_processes), self.generator.get_state()
        parts, device = passes * accelerator.num_processes, accelerator.device.type
        averages: dict[str, float] = {}
        for turn in range(passes):
            self.generator.set_state(state)  # every turn draws the whole batch and takes its part
            draws = Draws(self.generator, accelerator.process_index * passes + turn, parts)
            with nullcontext() if turn == passes - 1 else accelerator.no_sync(self.objective):
                with torch.autocast(device, DTYPES[config.precision], enabled=config.precision != "fp32"):
                    loss, terms = self.objective(progress, draws)
                self.scaler.scale(loss / passes).backward()
            for name, value in {"loss": loss.item(), **terms}.items():
                averages[name] = averages.get(name, 0.0) + value / passes
        return averages

    def is_finite(self, terms: dict[str, float]) -> bool:
        """Whether to go on: in fp16 an infinite gradient makes the scaler skip the step and scale less."""
        finite = math.isfinite(terms["gradient_norm"]) or self.scaler.get_scale() > 1
        return math.isfinite(terms["loss"]) and finite

    def update(self, step: int) -> None:
        """Take the optimiser's step, and the averages after it."""
        self.scaler.step(self.optimizer)
        self.scaler.update()
        warm = (1 + step) / (10 + step)
        for decay, average in self.averages.items():
            _update_average(average, self.net, min(decay, warm))
        if self.target_decay:
            _update_average(self.target, self.net, min(self.target_decay(step / self.config.steps), warm))


class _Objective(nn.Module):
    """The whole objective as one forward pass.

    Data parallelism synchronises what runs inside it, forward-mode derivatives included.
    """

    def __init__(self, net: nn.Module, target: nn.Module, loss_fn):
        super().__init__()
        self.net, self.loss_fn = net, loss_fn
        self.target = (target,)  # in a tuple its weights are no parameters of this module

    def forward(self, progress: float, draws: Draws) -> tuple[Tensor, dict[str, float]]:
        terms = self.loss_fn(self.net, self.target[0], progress, draws)
        return terms.total, terms.parts


def _copy(net: nn.Module) -> nn.Module:
    return copy.deepcopy(net).requires_grad_(False).eval()


@torch.no_grad()
def _update_average(average: nn.Module, net: nn.Module, decay: float) -> None:
    torch._foreach_lerp_(list(average.parameters()), [p.detach() for p in net.parameters()], 1 - decay)
