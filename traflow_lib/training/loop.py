"""fit(): the one training loop, for teachers and students alike, on one device or many.

It resumes exactly and never loses the last good state.
"""

import copy
import math
import signal
import sys
import threading
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


class TrainingDiverged(RuntimeError):
    """The loss became NaN or infinite; the last good checkpoint is in the run's folder."""


class Interrupted(SystemExit):
    """SIGTERM came, and a checkpoint of the last step was written; the process ends with status 143."""


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
    """Train `net` in place, on the device where it is.

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
    # one process trains networks in several precisions, so autocast and the loss scaler are torch's own here
    accelerator, device = (
        Accelerator(cpu=processes().device.type == "cpu", mixed_precision="no"),
        next(net.parameters()).device,
    )
    process = accelerator.process_index
    torch.manual_seed(seed + process)  # of dropout, which differs between processes; a GPU's too
    generator = torch.Generator().manual_seed(seed)  # of the batches, whose draws are the same in all
    net = net.to(memory_format=torch.channels_last) if config.channels_last else net
    averages = {decay: _copy(net) for decay in config.decays}
    target_decay = getattr(loss_fn, "target_decay", None)
    target = _copy(net) if target_decay else averages[config.decays[-1]]
    make = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
    optimizer = make(net.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True)
    scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")
    parts = {
        "net": net,
        **{f"ema {decay}": average for decay, average in averages.items()},
        "optimizer": optimizer,
        "scaler": scaler,
        **({"target": target} if target_decay else {}),
    }
    identity = {**asdict(config), "seed": seed, "recipe": recipe}
    saved = Checkpoints(folder, parts, generator, identity, config.keep, process)
    step, seconds = saved.load()
    if config.compile:
        net.compile()
        target.compile()
    objective = accelerator.prepare_model(_Objective(net, target, loss_fn), device_placement=False)
    start = time.perf_counter() - seconds
    # tqdm's carriage returns fill a notebook run by papermill with garbage; a terminal gets the bar
    bar = tqdm(
        total=config.steps,
        initial=step,
        desc=title,
        disable=process > 0 or not sys.stderr.isatty(),
        leave=False,
    )
    with _Termination() as termination, Log(folder, config, process) as lines, bar:
        while step < config.steps:
            for group in optimizer.param_groups:
                group["lr"] = config.lr_at(step)
            optimizer.zero_grad(set_to_none=True)
            terms = _gradients(accelerator, objective, scaler, config, step / config.steps, generator)
            scaler.unscale_(optimizer)
            norm = nn.utils.clip_grad_norm_(net.parameters(), config.clip or math.inf).item()
            own = torch.tensor([*terms.values(), float(termination.asked)], dtype=torch.float64)
            *values, asked = mean_over_processes(
                own if accelerator.num_processes == 1 else own.to(device)
            ).tolist()
            terms = dict(zip(terms, values))
            # with fp16 an infinite gradient makes the scaler skip the step and scale less
            if not (math.isfinite(terms["loss"]) and (math.isfinite(norm) or scaler.get_scale() > 1)):
                last = next(iter(saved.files()), "none yet")
                raise TrainingDiverged(
                    f"{title}: loss {terms['loss']}, gradient norm {norm} at step {step}; the last good "
                    f"state is {last}"
                )
            scaler.step(optimizer)
            scaler.update()
            for decay, average in averages.items():
                _update_average(average, net, min(decay, (1 + step) / (10 + step)))
            if target_decay:
                decay = target_decay(step / config.steps)
                _update_average(target, net, min(decay, (1 + step) / (10 + step)))
            step += 1
            bar.update()
            elapsed = time.perf_counter() - start
            lines.add(step, elapsed, {"loss": terms.pop("loss"), "gradient_norm": norm, **terms})
            if step % config.save_every == 0 or step == config.steps or asked:
                file = saved.save(step, elapsed)
            if asked and step < config.steps:
                log.warning(
                    f"{title}: asked to end at step {step} of {config.steps}; the same command goes on from "
                    f"{file}"
                )
                raise Interrupted(143)
            if (
                watch
                and process == 0
                and config.watch_every
                and (step % config.watch_every == 0 or step == config.steps)
            ):
                with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                    lines.watched(step, watch(step, averages))
    statistics = {
        "steps": step,
        "seconds": round(time.perf_counter() - start, 3),
        "parameters": sum(p.numel() for p in net.parameters()),
    }
    if device.type == "cuda":
        statistics["peak_memory_gib"] = round(torch.cuda.max_memory_allocated(device) / 2**30, 3)
    return Trained(averages[config.decays[0]], averages, statistics)


class _Objective(nn.Module):
    """The whole objective as one forward pass.

    Data parallelism synchronises what runs inside it, forward-mode derivatives included.
    """

    def __init__(self, net: nn.Module, target: nn.Module, loss_fn):
        super().__init__()
        self.net, self.loss_fn, self.target = (
            net,
            loss_fn,
            (target,),
        )  # in a tuple its weights are no parameters of this module

    def forward(self, progress: float, draws: Draws) -> tuple[Tensor, dict[str, float]]:
        terms = self.loss_fn(self.net, self.target[0], progress, draws)
        return terms.total, terms.parts


def _gradients(
    accelerator,
    objective: nn.Module,
    scaler,
    config: TrainConfig,
    progress: float,
    generator: torch.Generator,
) -> dict[str, float]:
    """Add up the gradients of one batch; returns this process's loss and the objective's terms."""
    passes, state = config.passes(accelerator.num_processes), generator.get_state()
    parts, device = passes * accelerator.num_processes, accelerator.device.type
    averages: dict[str, float] = {}
    for turn in range(passes):
        generator.set_state(state)  # every turn draws the whole batch and takes its part
        draws = Draws(generator, accelerator.process_index * passes + turn, parts)
        waits = nullcontext() if turn == passes - 1 else accelerator.no_sync(objective)
        with waits:
            with torch.autocast(device, DTYPES[config.precision], enabled=config.precision != "fp32"):
                loss, terms = objective(progress, draws)
            scaler.scale(loss / passes).backward()
        for name, value in {"loss": loss.item(), **terms}.items():
            averages[name] = averages.get(name, 0.0) + value / passes
    return averages


class _Termination:
    """Inside, SIGTERM (a preempted machine) only sets `asked`.

    Only the main thread can change what a signal does.
    """

    asked = False

    def __enter__(self) -> "_Termination":
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


def _copy(net: nn.Module) -> nn.Module:
    return copy.deepcopy(net).requires_grad_(False).eval()


@torch.no_grad()
def _update_average(average: nn.Module, net: nn.Module, decay: float) -> None:
    torch._foreach_lerp_(list(average.parameters()), [p.detach() for p in net.parameters()], 1 - decay)
