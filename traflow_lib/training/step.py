"""What a step of a training changes, and how."""

import copy
import math
from collections.abc import Callable
from contextlib import nullcontext

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from ..files.processes import mean_over_processes, processes
from ..nets.precision import DTYPES
from ..randomness import Draws
from .config import TrainConfig


class Run:
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

    def gradients(self, step: int, asked: Callable[[], bool]) -> tuple[dict[str, float], bool]:
        """Clipped gradients of one batch: loss, their norm and terms, means over the processes.

        asked(): whether this process is to end, asked at the end; returned is also whether any is.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.lr_at(step)
        self.optimizer.zero_grad(set_to_none=True)
        terms = self._own_gradients(step / self.config.steps)
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), self.config.clip or math.inf).item()
        own = torch.tensor([*terms.values(), float(asked())], dtype=torch.float64)
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
