"""What a distillation minimises: an objective on batches of the teacher's pairs."""

from collections.abc import Callable

import torch
from torch import Tensor

from .. import randomness
from ..batch import Batch
from ..jump import JumpMap
from ..objectives.base import LossTerms, Objective
from ..pairs import OnlinePairs, PairCache, labelled

# real data and, of a conditional flow, their classes: n -> ([n, ...], [n] or None)
Data = Callable[[int], tuple[Tensor, Tensor | None]]


def distillation_loss(  # noqa: PLR0913 - all that a training step draws from
    objective: Objective,
    teacher,
    pairs: PairCache | OnlinePairs,
    batch: int,
    device: torch.device | str,
    *,
    data: Data | None = None,
    classes: int = 0,
):
    """The loss_fn of training.fit for one objective.

    teacher: the velocity field that the objective asks; batch: samples a step over all processes; data: draws
    real data, for an objective that needs them; classes: of a class-conditional teacher, else 0. ValueError
    where something the objective needs is not there.
    """
    if objective.needs_data and data is None:
        raise ValueError(f"{type(objective).__name__} with these options learns from real data: give some")
    if classes and not objective.whole_batches:
        raise ValueError(
            f"{type(objective).__name__} with these options splits its batches, so it cannot train a "
            "class-conditional student"
        )

    def drawn(n: int) -> Batch:
        real, label = data(n) if objective.needs_data and classes else (None, None)
        found = pairs.batch(n, path=objective.needs_path, label=label)
        if objective.needs_data and not classes:
            real = data(n)[0]
        found.data = real
        return found.to(device)

    def loss_fn(net, target, progress: float) -> LossTerms:
        found = drawn(randomness.local(batch) * objective.draws)
        found.progress = progress
        field = labelled(teacher, found.label)
        return objective(JumpMap(net, found.label), JumpMap(target, found.label), field, found)

    return loss_fn
