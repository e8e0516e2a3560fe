"""What every objective shares.

Its interface, the distances, states of a batch, solver calls and gradient-norm weights.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..batch import LAWS, STATES, Batch, rows, sample_times
from ..files.processes import mean_over_processes
from ..flow import expand
from ..jump import JumpMap
from ..solvers import CALLS_PER_STEP, solve

DISTANCES = ("l2", "pseudo_huber", "cauchy", "lpips")


@dataclass
class LossTerms:
    """total: scalar to differentiate.

    parts: the unweighted terms by name and the weights used, as plain numbers for the log.
    """

    total: Tensor
    parts: dict[str, float]

    @classmethod
    def single(cls, name: str, loss: Tensor) -> "LossTerms":
        """The terms of an objective that has only one."""
        return cls(loss, {name: loss.item()})

    @classmethod
    def weighted(cls, losses: dict[str, Tensor], weights: dict[str, float]) -> "LossTerms":
        """The sum of several terms with their weights."""
        parts = {name: loss.item() for name, loss in losses.items()} | {
            f"weight_{name}": weight for name, weight in weights.items()
        }
        return cls(sum(weights[name] * loss for name, loss in losses.items()), parts)


@dataclass(frozen=True)
class Objective:
    """Base of all methods: called with (student, target, teacher, batch) -> LossTerms.

    What a method needs is said by its attributes.

    states: where x_t lives: on the "chord" of a teacher's pair, on the teacher's "path", or on noised real
    "data". s_input: whether the student's network sees the target time s. from_previous: whether `teacher` is
    the network that the previous stage of the training left, not the original one. draws: pairs to draw per
    sample of the batch. sampler: how its samples are made, by "jumps" or "renoised" (pairs.draw).
    target_average: decay of the target network's weights, an option of every method that asks one (0: the
    student itself without a gradient; None: the last of the training's `ema`), warmed up as that is; it is no
    average that is measured.

    A method that calls a network on a part of its batch takes batch.rows of it, for the sake of class labels.
    """

    s_input: ClassVar[bool] = True
    from_previous: ClassVar[bool] = False
    draws: ClassVar[int] = 1
    sampler: ClassVar[str] = "jumps"
    choices: ClassVar[dict[str, tuple]] = {}
    target_average: ClassVar[float | None] = None

    @classmethod
    def allowed(cls) -> dict[str, tuple]:
        """The values that an option which is a name may take."""
        solvers = (*CALLS_PER_STEP, "none")
        shared = {"distance": DISTANCES, "states": STATES, "times": LAWS, "solver": solvers}
        return shared | cls.choices

    def __post_init__(self):
        allowed = self.allowed()
        for field in self.__dataclass_fields__:
            if field in allowed and getattr(self, field) not in allowed[field]:
                raise ValueError(
                    f"{type(self).__name__}: {field} is '{getattr(self, field)}'; it must be one of "
                    f"{', '.join(map(str, allowed[field]))}"
                )
        if self.target_average is not None and not 0 <= self.target_average < 1:
            raise ValueError(
                f"{type(self).__name__}: target_average is {self.target_average}; it must lie in [0, 1)"
            )

    def target_decay(self, progress: float) -> float:
        """Decay of the target network's weights when this share of the training is done."""
        return self.target_average

    @property
    def needs_path(self) -> bool:
        """Whether batches must carry the teacher's path."""
        return getattr(self, "states", None) == "path"

    @property
    def needs_data(self) -> bool:
        """Whether batches must carry real data."""
        return getattr(self, "states", None) == "data"

    def __call__(self, student: JumpMap, target: JumpMap, teacher, batch: Batch) -> LossTerms:
        raise NotImplementedError


def line_of(batch: Batch, states: str) -> Batch:
    """The batch whose .at(t) gives states on the "chord", the "path", or of noised "data" (drawn here)."""
    return batch.with_noised_data() if states == "data" else batch.on(states)


def on_states(batch: Batch, states: str, ends: float, law: str) -> tuple[Batch, Tensor, Tensor, Tensor]:
    """The batch on its states, and times s < u < t [B] at which it has them.

    ends and law: see batch.sample_times.
    """
    line = line_of(batch, states)
    times = sample_times(len(line.x1), ends, line.intervals, law, batch.draws)
    s, u, t = (time.to(line.x1) for time in times)
    return line, s, u, t


def on_noise_levels(
    batch: Batch, states: str, ends: float, mean: float, deviation: float
) -> tuple[Batch, Tensor]:
    """The batch on its states, and times t [B] at which it has them, one a sample.

    ln(t / (1 - t)), the logarithm of EDM's sigma, is normally distributed; then t := 1 with probability
    `ends`.
    """
    line, n = line_of(batch, states), len(batch.x1)
    t = torch.sigmoid(mean + deviation * batch.draws.normal(n, ()))
    t = torch.where(batch.draws.uniform(n) < ends, 1.0, t)
    if line.intervals:
        t = (t * line.intervals).ceil() / line.intervals
    return line, t.to(batch.x1)


def distance(
    name: str,
    a: Tensor,
    b: Tensor,
    scale: Tensor | float = 1.0,
    c: float = 0.03,
    weight: Tensor | float = 1.0,
) -> Tensor:
    """D(a, b), the mean over the batch; a, b [B, ...].

    Scale [B, 1, ...] divides the difference (not for LPIPS), weight [B] multiplies a sample's distance. r: a
    sample's RMS.

    l2: mean square. pseudo_huber: sqrt(r^2 + c^2) - c (Song & Dhariwal 2024), which grows linearly for large
    errors. cauchy:
    log(1 + r^2 / c^2), whose gradient is that of the square weighted by 1 / (r^2 + c^2), MeanFlow's adaptive
    weight with power 1 (its constant, 1e-3, is this c squared). lpips: perceptual, on images (needs the
    `lpips` package and its weights).
    """
    if name == "lpips":
        each = _lpips(a.device)(a.expand(-1, 3, -1, -1), b.expand(-1, 3, -1, -1)).flatten()
        return (weight * each).mean()
    square = ((a - b) / scale).flatten(1).square().mean(dim=1)
    if name == "l2":
        each = square
    elif name == "pseudo_huber":
        each = (square + c**2).sqrt() - c
    elif name == "cauchy":
        each = torch.log1p(square / c**2)
    else:
        raise ValueError(f"unknown distance '{name}'; there are {', '.join(DISTANCES)}")
    return (weight * each).mean()


def risen(progress: float, share: float) -> float:
    """A factor that rises linearly from 0 to 1 over this share of the training; 1 throughout for 0."""
    return min(1.0, progress / share) if share else 1.0


def velocity_distance(name: str) -> str:
    """The distance for slopes, which are no images: the square stands in for a perceptual distance."""
    return "l2" if name == "lpips" else name


_LPIPS: dict = {}


def _lpips(device: torch.device):
    """The LPIPS network (VGG), inputs resized to 224 as in CTM's code; built once a device."""
    if device not in _LPIPS:
        try:
            import lpips
        except ImportError:
            raise ImportError("distance 'lpips' needs the lpips package: pip install lpips") from None
        network = lpips.LPIPS(net="vgg", verbose=False).to(device).requires_grad_(False)

        def measure(a: Tensor, b: Tensor) -> Tensor:
            a, b = (nn.functional.interpolate(x, 224, mode="bilinear") for x in (a, b))
            return network(a, b)

        _LPIPS[device] = measure
    return _LPIPS[device]


def stop_gradient(target: JumpMap):
    """G with frozen weights that still passes the gradient of its input."""
    frozen = {name: value.detach() for name, value in target.state_dict().items()}
    return lambda *inputs: torch.func.functional_call(target, frozen, inputs)


@torch.no_grad()
def solve_between(teacher, x: Tensor, t: Tensor, u: Tensor, solver: str, steps: int) -> Tensor:
    """The teacher's solution from times t [B] to u [B].

    One ODE in r from 0 to 1 with time t + r (u - t), so each sample has its own interval.
    """
    span = u - t

    def scaled(y, r):
        return expand(span, y) * teacher(y, t + r * span)

    return solve(scaled, x, 0.0, 1.0, method=solver, steps=steps).x


def earlier_state(line: Batch, teacher, t: Tensor, u: Tensor, solver: str, n: int) -> Tensor:
    """The teacher's state at u <= t on its trajectory through line.at(t).

    Stored if line is the teacher's path, else solved for in steps of at most 1 / n: every sample takes as
    many as its own interval needs.
    """
    if line.path is not None:
        return line.at(u)
    x, steps = line.at(t).clone(), ((t - u) * n - 1e-4).ceil().clamp(min=1)  # rounding makes no step
    for k in range(int(steps.max())):
        part = (steps > k).nonzero()[:, 0]
        begin, end = ((t + (u - t) * j / steps)[part] for j in (k, k + 1))
        x[part] = solve_between(rows(teacher, part), x[part], begin, end, solver, 1)
    return x


def gradient_norm_weights(
    losses: dict[str, Tensor], reference: str, parameter: nn.Parameter, clip: tuple[float, float] | None
) -> dict[str, float]:
    """Weights that give every term the reference term's gradient norm at one layer.

    CTM's adaptive weight, optionally clipped.

    The norms are those of the batch over all processes; a batch that is accumulated has weights for each of
    its parts.
    """
    gradients = {
        name: torch.autograd.grad(loss, parameter, retain_graph=True)[0] for name, loss in losses.items()
    }
    norms = {name: mean_over_processes(gradient).norm().item() for name, gradient in gradients.items()}
    weights = {name: norms[reference] / max(norm, 1e-8) for name, norm in norms.items()}
    if clip:
        weights = {name: min(max(weight, clip[0]), clip[1]) for name, weight in weights.items()}
    return weights | {reference: 1.0}
