"""What objectives share: interface, states of a batch, distances, solver calls and gradient-norm weights."""

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..batch import LAWS, STATES, Batch, rows, sample_times
from ..files.processes import mean_over_processes
from ..flow import expand
from ..jump import JumpMap
from ..randomness import to_like
from ..solvers import CALLS_PER_STEP, solve

DISTANCES = ("l2", "pseudo_huber", "cauchy", "lpips")


@dataclass
class LossTerms:
    """total: scalar to differentiate; parts: unweighted terms and the weights used by name, for the log.

    Terms are scalars that stay on their device: reading one makes the host wait for it.
    """

    total: Tensor
    parts: dict[str, Tensor | float]

    @classmethod
    def single(cls, name: str, loss: Tensor) -> "LossTerms":
        """The terms of an objective that has only one."""
        return cls(loss, {name: loss.detach()})

    @classmethod
    def weighted(cls, losses: dict[str, Tensor], weights: dict) -> "LossTerms":
        """The sum of several terms with their weights, numbers or scalars on the device."""
        parts: dict[str, Tensor | float] = {name: loss.detach() for name, loss in losses.items()}
        parts |= {f"weight_{name}": weight for name, weight in weights.items()}
        return cls(sum((weights[name] * loss for name, loss in losses.items()), torch.zeros(())), parts)


@dataclass(frozen=True)
class Objective:
    """Base of all methods: called with (student, target, teacher, batch) -> LossTerms.

    What a method needs is said by its attributes. s_input: whether the student's network sees the target time
    s. from_previous: whether `teacher` is the network that the previous stage of the training left, not the
    original one. sampler: how its samples are made, by "jumps" or "renoised" (pairs.draw). choices: the
    values that its own options which are names may take. An option `states` is that of OnStates.

    A method that calls a network on a part of its batch takes batch.rows of it, for the sake of class labels.
    """

    s_input: ClassVar[bool] = True
    from_previous: ClassVar[bool] = False
    sampler: ClassVar[str] = "jumps"
    choices: ClassVar[dict[str, tuple]] = {}

    @classmethod
    def allowed(cls) -> dict[str, tuple]:
        """The values that an option which is a name may take."""
        solvers = (*CALLS_PER_STEP, "none")
        shared = {"distance": DISTANCES, "states": STATES, "times": LAWS, "solver": solvers}
        return shared | cls.choices

    def __post_init__(self):
        own = type(self).__name__
        for field, allowed in self.allowed().items():
            value = getattr(self, field, allowed[0])
            if value not in allowed:
                known = ", ".join(map(str, allowed))
                raise ValueError(f"{own}: {field} is '{value}'; it must be one of {known}")
        if self.target_average is not None and not 0 <= self.target_average < 1:
            raise ValueError(f"{own}: target_average is {self.target_average}; it must lie in [0, 1)")

    @property
    def target_average(self) -> float | None:
        """Decay of the target network's weights, an option of every method that asks one.

        0: the student itself without a gradient; None: the last of the training's `ema`. Warmed up as that
        is; it is no average that is measured.
        """
        return None

    def target_decay(self, progress: float) -> float | None:
        """Decay of the target network's weights when this share of the training is done."""
        return self.target_average

    @property
    def draws(self) -> int:
        """Pairs to draw per sample of the batch."""
        return 1

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


@dataclass(frozen=True)
class OnStates(Objective):
    """A method that looks at states x_t.

    states: where x_t lives: on the "chord" of a teacher's pair, on the teacher's "path", or on noised real
    "data". ends: share of the batch at t = 1, where sampling starts. distance: D, see base.distance.
    """

    states: str = "data"
    ends: float = 0.0
    distance: str = "l2"

    def line(self, batch: Batch) -> Batch:
        """The batch whose .at(t) gives the states; noise for data is drawn here."""
        return batch.with_noised_data() if self.states == "data" else batch.on(self.states)

    def to_ends(self, t: Tensor, batch: Batch, line: Batch) -> Tensor:
        """Times t [B] of which the share `ends` became 1, moved up to where a stored path has states."""
        t = torch.where(batch.draws.uniform(len(t)) < self.ends, 1.0, t)
        if line.intervals:
            t = (t * line.intervals).ceil() / line.intervals
        return t

    def on_jumps(self, batch: Batch, law: str) -> tuple[Batch, Tensor, Tensor, Tensor]:
        """The batch on its states, and times s < u < t [B] at which it has them (batch.sample_times)."""
        line = self.line(batch)
        times = sample_times(len(line.x1), self.ends, line.intervals, law, batch.draws)
        s, u, t = (to_like(time, line.x1) for time in times)
        return line, s, u, t

    def on_noise_levels(self, batch: Batch, mean: float, deviation: float) -> tuple[Batch, Tensor]:
        """The batch on its states, and times t [B] at which it has them, one a sample.

        ln(t / (1 - t)), the logarithm of EDM's sigma, is normally distributed.
        """
        line = self.line(batch)
        t = torch.sigmoid(mean + deviation * batch.draws.normal(len(batch.x1), ()))
        return line, to_like(self.to_ends(t, batch, line), batch.x1)


def distance(
    name: str,
    a: Tensor,
    b: Tensor,
    scale: Tensor | float = 1.0,
    c: float = 0.03,
    weight: Tensor | float = 1.0,
) -> Tensor:
    """D(a, b), the mean over the batch; a, b [B, ...].

    Scale [B, 1, ...] divides the difference (not for LPIPS), weight [B] multiplies a sample's distance. With
    r a sample's RMS, l2: r^2. pseudo_huber: sqrt(r^2 + c^2) - c (Song & Dhariwal 2024), which grows linearly
    for large errors. cauchy: log(1 + r^2 / c^2), whose gradient is that of the square weighted by 1 / (r^2 +
    c^2), MeanFlow's adaptive weight with power 1 (its constant, 1e-3, is this c squared). lpips: perceptual,
    on images (needs the `lpips` package and its weights).
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


def slope_distance(name: str, a: Tensor, b: Tensor, weight: Tensor | float = 1.0) -> Tensor:
    """D of slopes, which are no images: the square stands in for a perceptual distance."""
    return distance("l2" if name == "lpips" else name, a, b, weight=weight)


@cache
def _lpips(device: torch.device):
    """The LPIPS network (VGG), inputs resized to 224 as in CTM's code."""
    try:
        import lpips
    except ImportError:
        raise ImportError("distance 'lpips' needs the lpips package: pip install lpips") from None
    network = lpips.LPIPS(net="vgg", verbose=False).to(device).requires_grad_(False)
    return lambda a, b: network(*(nn.functional.interpolate(x, 224, mode="bilinear") for x in (a, b)))


def risen(progress: float, share: float) -> float:
    """A factor that rises linearly from 0 to 1 over this share of the training; 1 throughout for 0."""
    return min(1.0, progress / share) if share else 1.0


def stop_gradient(target: JumpMap):
    """G with frozen weights that still passes the gradient of its input."""
    frozen = {name: value.detach() for name, value in target.state_dict().items()}
    return lambda *inputs: torch.func.functional_call(target, frozen, inputs)


@torch.no_grad()
def solve_between(teacher, x: Tensor, t: Tensor, u: Tensor, solver: str, steps: int) -> Tensor:
    """The teacher's solution from times t [B] to u [B]: one ODE in r from 0 to 1 with time t + r (u - t)."""
    span = u - t

    def scaled(y, r):
        return expand(span, y) * teacher(y, t + r * span)

    return solve(scaled, x, 0.0, 1.0, method=solver, steps=steps).x


def earlier_state(line: Batch, teacher, t: Tensor, u: Tensor, solver: str, n: int) -> Tensor:
    """The teacher's state at u <= t on its trajectory through line.at(t), stored if that is its path.

    Else it is solved for in steps of at most 1 / n: every sample takes as many as its own interval needs.
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
) -> dict[str, Tensor]:
    """Weights that give every term the reference term's gradient norm at one layer (CTM), clipped if asked.

    The norms are those of the batch over all processes; a batch that is accumulated has weights for each of
    its parts.
    """
    norms = {}
    for name, loss in losses.items():
        gradient = torch.autograd.grad(loss, parameter, retain_graph=True)[0]
        norms[name] = mean_over_processes(gradient).norm()
    weights = {name: norms[reference] / norm.clamp(min=1e-8) for name, norm in norms.items()}
    if clip:
        weights = {name: weight.clamp(*clip) for name, weight in weights.items()}
    return weights | {reference: torch.ones_like(norms[reference])}
