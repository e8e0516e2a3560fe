"""From a recipe to trained models.

Each is loaded if it was trained with exactly these settings, else trained and kept.

A model's name ends in a fingerprint of everything that decides it, so profiles, seeds and data sets can never
be mixed up (models.py).
"""

from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from .. import nets, objectives, randomness
from ..data import images, toys
from ..evaluation.classifier import accuracy, classification_loss
from ..files import paths
from ..files.locks import exclusively
from ..files.processes import processes
from ..flow import velocity_loss
from ..jump import JumpMap
from ..nets.compact import truncate
from ..objectives.base import LossTerms
from ..pairs import Batch, OnlinePairs, PairCache, labelled, make_pairs
from ..solvers import solve
from ..teachers import VelocityField
from ..training.config import TrainConfig
from . import settings
from .networks import Networks
from .progress import watcher

# how a student's first weights come from the network before it: all of them, the leading channels (a compact
# student), or none
STARTS = {"teacher": nets.warm_start, "truncated": truncate, "random": lambda net, source: net}


class Experiment:
    """One recipe at one profile on one data set.

    say: called with one line whenever something takes time (print in notebooks). resume: go on with a
    training that was interrupted; otherwise finding one is a ValueError.
    """

    def __init__(self, recipe: dict, dataset: str | None = None, say=print, resume: bool = True):
        self.recipe = recipe
        self.dataset = dataset or recipe.get("dataset") or recipe["datasets"][0]
        self.is_toy = self.dataset in toys.TOYS
        # a toy's networks are too small for an accelerator to pay
        self.device = torch.device("cpu") if self.is_toy else processes().device
        self.models = Networks(self.dataset, self.device, say, resume)
        self.precision = recipe.get("precision", "fp32")
        self.toy = toys.get(self.dataset) if self.is_toy else None
        self.shape: tuple = (2,) if self.is_toy else images.shape(self.dataset)
        self._pairs: dict[Path, PairCache] = {}
        # what the models of each role are: the header and the file of their checkpoints
        self.headers, self.files = self.models.headers, self.models.files

    @cached_property
    def images(self) -> images.Images:
        """The data set's images.

        Read when they are asked for: a teacher that is trained can be distilled and drawn from without them.
        """
        return images.load(self.dataset, **self.recipe.get("data", {}))[0]

    def data(self, n: int, seed: int | None = None) -> Tensor:
        """n data points: a seeded sample of a toy, or random images of the set.

        seed None: this process's part of a training batch.
        """
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        if not self.is_toy:
            return self.images.sample(n, generator)
        return self.toy.sample(n, generator) if generator else randomness.draw(self.toy.sample, n)

    @cached_property
    def imported(self) -> dict | None:
        """Network, SHA-256 and file of a recipe's teacher that is a checkpoint.

        Its kind is checkpoint, its `file` lies below data/teachers.
        """
        block = self.recipe["teacher"]
        if block.get("kind") != "checkpoint":
            return None
        file = images.data_root() / "teachers" / block["file"]
        header = self.models.imported("teacher", file)[1]
        return {"net": header["network"], "sha256": header["source"]["sha256"], "file": file}

    def teacher_settings(self) -> dict:
        """Everything that decides the teacher; of an imported one, the checksum of its file."""
        return settings.teacher(self.recipe, self.dataset, self.imported)

    def pair_settings(self) -> dict:
        """Everything that decides the teacher's pairs."""
        return settings.pairs(self.recipe, self.dataset, self.imported)

    def student_settings(self, method: str, seed: int) -> list[dict]:
        """Everything that decides a student, stage by stage: its pairs, objective, network and training."""
        return settings.student(self.recipe, self.dataset, method, seed, self.imported)

    def teacher(self):
        """The pre-trained rectified flow, v(x, t).

        `kind: exact` in the recipe takes a toy's closed form, `kind: checkpoint` a file.
        """
        if self.recipe["teacher"].get("kind") == "exact":
            if not self.is_toy or self.toy.flow is None:
                raise ValueError(f"{self.dataset} has no closed-form flow; 8gaussians has")
            return self.toy.flow
        if self.imported:
            return VelocityField(self.models.imported("teacher", self.imported["file"])[0], self.precision)

        def sample(net, noise, label):
            return solve(labelled(VelocityField(net, self.precision), label), noise, method="heun", steps=8).x

        own = self.teacher_settings()
        start = lambda: nets.build(own["net"])  # noqa: E731
        return VelocityField(
            self.models.trained("teacher", own, start, self._teacher_loss, watch=watcher(self, sample)),
            self.precision,
        )

    def student(self, method: str, seed: int = 0, calls: int | None = None) -> JumpMap:
        """The student of one method and seed.

        calls: if one of its stages is meant for this number of calls, the student of that stage.
        """
        role, net, training = f"{method}-seed{seed}", None, {}
        stages = self.student_settings(method, seed)
        for number, stage in enumerate(stages):
            name = role if len(stages) == 1 else f"{role}-stage{number}"
            net = self._stage(name, stage, net)
            # the header of a student tells the training it took from the beginning
            own = self.headers[name]["training"]
            training = own | {key: training.get(key, 0) + own[key] for key in ("steps", "seconds")}
            self.headers[role], self.files[role] = (
                self.headers[name] | {"training": training},
                self.files[name],
            )
            if calls is not None and stage["calls"] == calls:
                break
        return JumpMap(net)

    def _stage(self, name: str, own: dict, previous: nn.Module | None) -> nn.Module:
        """The network of one stage of training.

        It starts from the previous stage's, the first from the teacher's or as `start` says.
        """
        objective, teacher = objectives.build(own["objective"]), self.teacher()
        before = VelocityField(previous, self.precision) if previous else teacher

        def start() -> nn.Module:
            net, how = nets.build(own["net"], s_input=objective.s_input), own["start"]
            if how not in STARTS:
                raise ValueError(f"start is '{how}'; it must be one of {', '.join(STARTS)}")
            source = getattr(before, "net", None)
            return net if source is None else STARTS["teacher" if previous else how](net, source)

        def loss(train: TrainConfig):
            pairs = self.pairs((before, own["after"])) if own["new_pairs"] else self.pairs()
            if own["n_pairs"]:
                if not isinstance(pairs, PairCache):
                    raise ValueError(
                        "n_pairs needs pairs solved beforehand; take `online: true` out of the recipe's pairs"
                    )
                pairs = pairs.first(own["n_pairs"])

            def loss_fn(net, target, progress) -> LossTerms:
                batch = self._batch(pairs, objective, randomness.local(train.batch) * objective.draws)
                batch.progress = progress
                field = labelled(before if objective.from_previous else teacher, batch.label)
                return objective(JumpMap(net, batch.label), JumpMap(target, batch.label), field, batch)

            return loss_fn

        watch = watcher(self, lambda net, noise, label: JumpMap(net, label).sample(noise))
        return self.models.trained(name, own, start, loss, s_input=objective.s_input, watch=watch)

    def _batch(self, pairs, objective, n: int) -> Batch:
        """n pairs with what the objective needs beside them.

        Of a conditional flow, real data of the same classes.
        """
        if not self.classes:
            batch = pairs.batch(n, path=objective.needs_path)
            batch.data = self.data(len(batch.x1)) if objective.needs_data else None
            return batch.to(self.device)
        if not objective.whole_batches:
            raise ValueError(
                f"{type(objective).__name__} with these options splits its batches, so it cannot train a "
                "class-conditional student"
            )
        data, label = self.images.sample_labelled(n) if objective.needs_data else (None, None)
        batch = pairs.batch(n, path=objective.needs_path, label=label)
        batch.data = data
        return batch.to(self.device)

    @property
    def classes(self) -> int:
        """Classes of a class-conditional teacher, 0 for another."""
        net = self.imported["net"] if self.imported else self.recipe.get("net", {})
        return net.get("net", net).get("classes", 0)

    def pairs(self, of: tuple | None = None) -> PairCache | OnlinePairs:
        """The teacher's pairs with their paths, solved once and kept in runs/.

        With `online: true` in the recipe, fresh ones every step.

        of: (velocity, fingerprint) of another flow whose pairs are wanted, as for the k-th reflow.
        """
        own = self.pair_settings() | ({"of": of[1]} if of else {})
        velocity = of[0] if of else self.teacher()
        options = {key: own[key] for key in ("method", "steps", "tol")} | {
            "device": self.device,
            "classes": self.classes,
        }
        if own["online"]:
            return OnlinePairs(velocity, self.shape, **options)
        file = paths.runs() / f"{self.dataset}-pairs-{settings.identity(own)}.safetensors"
        if file not in self._pairs:
            with exclusively(file.stem, f"teacher pairs of {self.dataset}", self.models.say):
                if not file.exists():
                    self.models.say(f"{self.dataset}: solving {own['n']:,} teacher pairs")
                    make_pairs(
                        velocity, own["n"], self.shape, own["seed"], keep_path=True, file=file, **options
                    )
            self._pairs[file] = PairCache.load(file)
        return self._pairs[file]

    def classifier(self) -> nn.Module:
        """The feature extractor of the FD metric, with its held-out accuracy in headers["classifier"]."""
        own = settings.classifier(self.recipe, self.dataset)

        def sets():
            return images.load(self.dataset, "train"), images.load(self.dataset, "test")

        def loss(train: TrainConfig):
            return classification_loss(*sets()[0], train.batch)

        def finish(net: nn.Module) -> dict:
            # 2,000 images are enough for a scale and a percentage
            (images, labels), test = ((images[:2000], labels[:2000]) for images, labels in sets())
            net.calibrate(images)
            return {
                "accuracy_train": accuracy(net, images, labels),
                "accuracy_test": accuracy(net, *test),
                "n_test": len(test[1]),
            }

        return self.models.trained("classifier", own, lambda: nets.build(own["net"]), loss, finish=finish)

    def _teacher_loss(self, train: TrainConfig):
        def loss_fn(net, target, progress) -> LossTerms:
            n, label = randomness.local(train.batch), None
            if self.classes:
                x0, label = self.images.sample_labelled(n)
                label = label.to(self.device)
            else:
                x0 = self.data(n)
            x0 = x0.to(self.device)
            return LossTerms(
                velocity_loss(
                    labelled(net, label), x0, randomness.normal_like(x0), randomness.uniform(n).to(x0)
                ),
                {},
            )

        return loss_fn
