"""The students of an Experiment: trained stage by stage, each from the network that the last one left."""

from collections.abc import Sequence
from dataclasses import replace

from torch import nn

from .. import nets, objectives
from ..evaluation.models import Model
from ..jump import JumpMap
from ..nets.compact import truncate
from ..pairs import PairCache
from ..teachers import VelocityField
from ..training.config import TrainConfig
from ..training.distillation import distillation_loss
from .progress import watcher

# how a student's first weights come from the teacher's: all of them, the leading channels, or none
STARTS = {"teacher": nets.warm_start, "truncated": truncate, "random": lambda net, source: net}


def student(experiment, method: str, seed: int, calls: int | None) -> Model:
    """The model of the last stage, or of that for `calls`; its training counts from the beginning."""
    models: list[Model] = []
    for name, stage in _stages(experiment, method, seed):
        models.append(_stage(experiment, name, stage, models[-1].net if models else None))
        if calls is not None and stage["calls"] == calls:
            break
    return replace(models[-1], header=models[-1].header | {"training": whole_training(models)})


def found(experiment, method: str, seed: int) -> list[Model | None]:
    """The models of a student's stages that are there already; nothing is trained."""
    return [experiment.models.found(name, stage) for name, stage in _stages(experiment, method, seed)]


def whole_training(stages: Sequence[Model | None]) -> dict:
    """The training of all stages as one; empty unless all are there."""
    each = [stage.header["training"] for stage in stages if stage]
    if len(each) < len(stages):
        return {}
    return each[-1] | {key: sum(one[key] for one in each) for key in ("steps", "seconds")}


def _stages(experiment, method: str, seed: int) -> list[tuple[str, dict]]:
    """The settings of each stage, and its role among the experiment's networks."""
    name, stages = f"{method}-seed{seed}", experiment.student_settings(method, seed)
    if len(stages) == 1:
        return [(name, stages[0])]
    return [(f"{name}-stage{number}", stage) for number, stage in enumerate(stages)]


def _stage(experiment, name: str, own: dict, previous: nn.Module | None) -> Model:
    """It starts from the previous stage's network, the first from the teacher's or as `start` says."""
    objective, teacher = objectives.build(own["objective"]), experiment.teacher()
    before = VelocityField(previous, experiment.precision) if previous else teacher

    def start() -> nn.Module:
        net, source = nets.build(own["net"], s_input=objective.s_input), getattr(before, "net", None)
        return net if source is None else STARTS["teacher" if previous else own["start"]](net, source)

    def loss(train: TrainConfig):
        pairs = experiment.pairs((before, own["after"])) if own["new_pairs"] else experiment.pairs()
        if own["n_pairs"]:
            if not isinstance(pairs, PairCache):
                raise ValueError("n_pairs needs solved pairs; take `online: true` out of the recipe's pairs")
            pairs = pairs.first(own["n_pairs"])
        field = before if objective.from_previous else teacher
        options = {"data": experiment.draw, "classes": experiment.classes}
        return distillation_loss(objective, field, pairs, train.batch, experiment.device, **options)

    watch = watcher(experiment, lambda net, noise, label: JumpMap(net, label).sample(noise))
    return experiment.models.trained(name, own, loss, start=start, s_input=objective.s_input, watch=watch)
