"""What a distillation minimises: an objective on batches of the teacher's pairs."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..batch import Batch, labelled
from ..jump import JumpMap
from ..objectives.base import LossTerms, Objective
from ..pairs import OnlinePairs, PairCache
from ..randomness import Draws

# n real data [n, ...] and, of a conditional flow, their classes [n]
Data = Callable[[int, Draws], tuple[Tensor, Tensor | None]]


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
    """The loss_fn of training.fit for one objective, with its target_decay if it has a target_average.

    teacher: the velocity field that the objective asks; batch: samples a step over all processes; data: draws
    real data, for an objective that needs them; classes: of a class-conditional teacher, else 0.
    """
    pairs = pairs.near(device) if isinstance(pairs, PairCache) else pairs
    source = data if objective.needs_data else None

    def drawn(n: int, draws: Draws) -> Batch:
        real, label = source(n, draws) if source and classes else (None, None)
        found = pairs.batch(n, path=objective.needs_path, label=label, draws=draws)
        found.data = source(n, draws)[0] if source and not classes else real
        return found.to(device)

    def loss_fn(net, target, progress: float, draws: Draws) -> LossTerms:
        found = drawn(draws.local(batch) * objective.draws, draws)
        found.progress = progress
        field = labelled(teacher, found.label)
        terms = objective(JumpMap(net, found.label), JumpMap(target, found.label), field, found)
        if not isinstance(terms, LossTerms):
            kind, given = type(objective).__name__, type(terms).__name__
            raise ValueError(f"{kind} returns {given}: let it return objectives.LossTerms.single(name, loss)")
        return terms

    if objective.target_average is not None:
        loss_fn.target_decay = objective.target_decay  # type: ignore[attr-defined] # for fit
    return loss_fn
