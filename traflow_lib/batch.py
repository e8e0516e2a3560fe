"""A batch of teacher pairs as an objective gets it, and the times at which it is looked at."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from .flow import chord
from .jump import JumpMap
from .randomness import Draws, to_device

STATES = ("chord", "path", "data")
# Laws of the times s < t of a jump. "two": two sorted uniforms (flow maps); t - s has density 2 (1 - x).
# "nested": t uniform, s uniform below it (CTM). Logit-normal: two sorted sigmoids of normals with this mean
# and deviation (MeanFlow on ImageNet; "wide": on CIFAR-10). All of these have u uniform in between. "three":
# three sorted uniforms are s < u < t, as this kit began; t - s has density 6 x (1 - x), so that short jumps
# are rare.
LOGIT_NORMAL = {"logit_normal": (-0.4, 1.0), "logit_normal_wide": (-2.0, 2.0)}
LAWS = ("two", "nested", *LOGIT_NORMAL, "three")


@dataclass
class Batch:
    """x1, x0: noise and the teacher's output for it, [B, ...].

    path [B, K + 1, ...], the teacher's states at times 0, 1/K .. 1; data [B, ...]: real data, for the methods
    that need it; label [B]: the class of each sample, for a class-conditional flow; progress: share of the
    training that is done; draws: where the times and the noise of this step come from.
    """

    x1: Tensor
    x0: Tensor
    path: Tensor | None = None
    data: Tensor | None = None
    label: Tensor | None = None
    progress: float = 0.0
    draws: Draws = field(default_factory=Draws)

    def on(self, states: str) -> "Batch":
        """The batch whose .at(t) gives states on the "chord" or on the teacher's "path"."""
        if states == "chord":
            return replace(self, path=None)
        if self.path is None:
            raise ValueError('states="path" needs batches with the teacher\'s path (path=True)')
        return self

    def with_noised_data(self) -> "Batch":
        """The batch whose .at(t) gives states on chords of its real data and noise drawn for them."""
        if self.data is None:
            raise ValueError('states="data" needs real data in the batch (Batch.data)')
        return replace(self, x1=self.draws.normal_like(self.data), x0=self.data, path=None)

    def halves(self) -> tuple["Batch", "Batch"]:
        """The first and the second half of the batch."""
        first, second = ({name: it.chunk(2)[half] for name, it in self._tensors().items()} for half in (0, 1))
        return replace(self, **first), replace(self, **second)

    def to(self, device: torch.device | str) -> "Batch":
        """The batch on another device."""
        moved: dict[str, Any] = {name: to_device(it, device) for name, it in self._tensors().items()}
        return replace(self, **moved)

    def _tensors(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}

    @property
    def intervals(self) -> int | None:
        """K, when states are the stored points of the teacher's path; None on the chord, at any time."""
        return None if self.path is None else self.path.shape[1] - 1

    def at(self, t: Tensor) -> Tensor:
        """The state at times t [B]: on the teacher's path if kept (t multiples of 1/K), else on the chord."""
        if self.path is None:
            return chord(self.x0, self.x1, t)
        index = (t * (self.path.shape[1] - 1)).round().long()
        return self.path[torch.arange(len(t), device=t.device), index]


@dataclass(frozen=True)
class Labelled:
    """v(x, t) of a class-conditional field for a batch of classes `label` [B]."""

    velocity: Callable
    label: Tensor

    def __call__(self, x: Tensor, t: float | Tensor) -> Tensor:
        """The velocity at x [B, ...] and t, a scalar or [B]."""
        return self.velocity(x, t, label=self.label)


def labelled(velocity, label: Tensor | None):
    """The field for a batch of these classes [B]; the field itself where there are none."""
    return velocity if label is None else Labelled(velocity, label)


def class_labels(label: int | Tensor, classes: int, n: int) -> Tensor:
    """A class, or one for each of n samples, as int64 [n]; ValueError unless there are such classes."""
    label = torch.as_tensor(label)
    if not classes:
        raise ValueError("this network knows no classes: leave label out")
    of_samples = not label.is_floating_point() and label.shape in ((), (n,))
    if not of_samples or label.min() < 0 or label.max() >= classes:
        raise ValueError(f"label must be an integer from 0 to {classes - 1}, or one for each of {n} samples")
    return label.long().expand(n)


def rows(field, part: slice | Tensor):
    """A jump map or velocity for a part of its batch: its classes, if it has any, are those of the part.

    part: a slice or indices.
    """
    label = getattr(field, "label", None)
    if label is None:
        return field
    if isinstance(field, JumpMap):
        return JumpMap(field.net, label[part])
    return Labelled(field.velocity, label[part])


def sample_times(
    n: int, ends: float, intervals: int | None = None, law: str = "three", draws: Draws | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Times s <= u <= t [n] each, s < t, by one of LAWS; then t := 1, s := 0, each with probability `ends`.

    With `intervals` = K they are moved to the grid 0, 1/K .. 1 (t up, s down, u to the nearest), where stored
    paths have states. draws: of the training step, torch's own generator if None.
    """
    if law not in LAWS:
        raise ValueError(f"law is {law!r}: one of {', '.join(LAWS)}")
    draws = draws or Draws()
    if law == "three":
        s, u, t = draws.take(lambda n, of: torch.rand(3, n, generator=of), n, dim=1).sort(dim=0).values
    elif law == "nested":
        t = 1 - draws.uniform(n)  # never 0
        s = t * draws.uniform(n)
    elif law == "two":
        s, t = draws.take(lambda n, of: torch.rand(2, n, generator=of), n, dim=1).sort(dim=0).values
    else:
        mean, deviation = LOGIT_NORMAL[law]
        normals = draws.take(lambda n, of: torch.randn(2, n, generator=of), n, dim=1)
        s, t = torch.sigmoid(mean + deviation * normals).sort(dim=0).values
    t = torch.where(draws.uniform(n) < ends, 1.0, t)
    s = torch.where(draws.uniform(n) < ends, 0.0, s)
    if law != "three":
        u = s + (t - s) * draws.uniform(n)
    if intervals is not None:
        s, u, t = (s * intervals).floor(), (u * intervals).round(), (t * intervals).ceil()
        return s / intervals, u / intervals, t / intervals
    return s, u, t
