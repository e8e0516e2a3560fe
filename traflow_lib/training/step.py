"""What a step of a training changes, and how."""

import copy
import math
from contextlib import nullcontext
from dataclasses import replace

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from ..files.chunks import give_back
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
        self.weights: list[Tensor] = list(net.parameters())
        self.unread: list[dict] = []  # numbers of the steps since `read`, on their device
        self.averages = {decay: _copy(net) for decay in config.decays}
        self.target_decay = getattr(loss_fn, "target_decay", None)
        self.target = _copy(net) if self.target_decay else self.averages[config.decays[-1]]
        make = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
        self.optimizer = make(net.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == "fp16")
        self.passes = config.passes(self.accelerator.num_processes)

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

    def take(self, step: int) -> None:
        """One step of the optimiser on one batch, and of the averages; its numbers are kept for `read`.

        Nothing here waits for a GPU.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.lr_at(step)
        self.optimizer.zero_grad(set_to_none=True)
        terms = self._fitting_gradients(step / self.config.steps)
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.weights, self.config.clip or math.inf)
        self.unread.append({"loss": terms.pop("loss"), "gradient_norm": norm, **terms})
        self._update(step)

    def read(self) -> list[dict[str, float]]:
        """Loss, norm of its gradient and terms of every step since the last time, means over the processes.

        For this the host waits until the GPU is there.
        """
        steps, self.unread = self.unread, []
        values = [value for step in steps for value in step.values()]
        own = [torch.as_tensor(value, dtype=torch.float32, device=self.device) for value in values]
        means = iter(mean_over_processes(torch.stack(own)).tolist())
        return [{name: next(means) for name in step} for step in steps]

    def any_process(self, asked: bool) -> bool:
        """Whether any process was asked to end."""
        if self.accelerator.num_processes == 1:
            return asked
        return mean_over_processes(torch.tensor(float(asked), device=self.device)).item() > 0

    @property
    def samples_a_pass(self) -> int:
        """Samples that this process gives the networks at once."""
        return self.config.batch // self.accelerator.num_processes // self.passes

    def _fitting_gradients(self, progress: float) -> dict[str, Tensor | float]:
        """_own_gradients in as many passes as the GPU's memory asks for: with more, the sum is the same."""
        state, config = self.generator.get_state(), self.config
        while True:
            size = self.samples_a_pass
            try:
                return self._own_gradients(progress, state)
            except torch.OutOfMemoryError:
                # the other processes would wait for this one's gradients
                if size == 1 or self.accelerator.num_processes > 1:
                    raise
            self.optimizer.zero_grad(set_to_none=True)
            self.passes = replace(config, micro_batch=size // 2).passes(1)
            give_back(f"passes of {size} samples", self.samples_a_pass)

    def _own_gradients(self, progress: float, state: Tensor) -> dict[str, Tensor | float]:
        """Add up the gradients of one batch; returns this process's loss and the objective's terms.

        state: of the generator, from which the batch is drawn.
        """
        accelerator, passes = self.accelerator, self.passes
        parts, device, precision = passes * accelerator.num_processes, self.device.type, self.config.precision
        averages: dict[str, Tensor | float] = {}
        for turn in range(passes):
            self.generator.set_state(state)  # every turn draws the whole batch and takes its part
            draws = Draws(self.generator, accelerator.process_index * passes + turn, parts)
            with nullcontext() if turn == passes - 1 else accelerator.no_sync(self.objective):
                with torch.autocast(device, DTYPES[precision], enabled=precision != "fp32"):
                    loss, terms = self.objective(progress, draws)
                self.scaler.scale(loss / passes).backward()
            for name, value in {"loss": loss.detach(), **terms}.items():
                averages[name] = averages.get(name, 0.0) + value / passes
        return averages

    def is_finite(self, terms: dict[str, float]) -> bool:
        """Whether to go on: in fp16 an infinite gradient makes the scaler skip the step and scale less."""
        finite = math.isfinite(terms["gradient_norm"]) or self.scaler.get_scale() > 1
        return math.isfinite(terms["loss"]) and finite

    @torch.no_grad()
    def _update(self, step: int) -> None:
        """Take the optimiser's step, and the averages after it."""
        self.scaler.step(self.optimizer)
        self.scaler.update()
        warm = (1 + step) / (10 + step)
        followers = [(average, decay) for decay, average in self.averages.items()]
        if self.target_decay:
            followers.append((self.target, self.target_decay(step / self.config.steps)))
        for average, decay in followers:
            torch._foreach_lerp_(list(average.parameters()), self.weights, 1 - min(decay, warm))


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
