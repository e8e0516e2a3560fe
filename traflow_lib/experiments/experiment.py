"""From a recipe to models: one trained with exactly these settings is loaded, others are trained and kept.

A model's name ends in a fingerprint of everything that decides it, so profiles, seeds and data sets can never
be mixed up.
"""

from functools import cached_property

import torch
from torch import Tensor

from .. import nets
from ..batch import labelled
from ..data import images, toys
from ..evaluation.classifier import accuracy, classification_loss
from ..evaluation.models import Model
from ..files import paths
from ..files.locks import exclusively
from ..files.processes import processes
from ..flow import velocity_loss
from ..jump import JumpMap
from ..nets.cnn import Classifier
from ..objectives.base import LossTerms
from ..pairs import OnlinePairs, PairCache, pairs_of
from ..randomness import Draws, to_device, to_like
from ..solvers import solve
from ..teachers import VelocityField
from ..training.config import TrainConfig
from . import settings, students
from .networks import Networks
from .progress import watcher


class Experiment:
    """One recipe at one profile on one data set.

    resume: go on with a training that was interrupted; otherwise finding one is a ValueError.
    """

    def __init__(self, recipe: dict, dataset: str | None = None, resume: bool = True):
        self.recipe = recipe
        self.dataset = dataset or recipe.get("dataset") or recipe["datasets"][0]
        self.toy = toys.TOYS.get(self.dataset)
        # a toy's networks are too small for an accelerator to pay
        self.device = torch.device("cpu") if self.toy else processes().device
        self.models = Networks(self.dataset, self.device, resume)
        self.precision = recipe.get("precision", "fp32")
        self.shape: tuple = (self.toy.dim,) if self.toy else images.shape(self.dataset)
        self._pairs: dict[str, PairCache | OnlinePairs] = {}  # read once for all students

    @cached_property
    def images(self) -> images.Images:
        """The data set's images, read when they are asked for: a trained teacher needs none."""
        return images.load(self.dataset, **self.recipe.get("data", {}))[0]

    def data(self, n: int, seed: int | None = None) -> Tensor:
        """n data points: of a toy, or random images of the set; seeded, or by torch's own generator."""
        return self.draw(n, Draws() if seed is None else Draws.seeded(seed))[0]

    def draw(self, n: int, draws: Draws) -> tuple[Tensor, Tensor | None]:
        """n data points of this process's training batch and, of a conditional teacher, their classes."""
        if self.toy:
            return draws.take(self.toy.sample, n), None
        images, label = self.images.sample_labelled(n, draws)
        return images, label if self.classes else None

    @cached_property
    def imported(self) -> dict | None:
        """Network, SHA-256 and file (below data/teachers) of a recipe's teacher of kind checkpoint."""
        block = self.recipe["teacher"]
        if block.get("kind") != "checkpoint":
            return None
        file = paths.data() / "teachers" / block["file"]
        header = self.models.imported(file).header
        if (found := nets.sample_shape(header["network"])) != tuple(self.shape):
            whose = f"{self.dataset} has {tuple(self.shape)}"
            raise ValueError(f"the teacher {file.name} makes samples of the shape {found}; {whose}")
        return {"net": header["network"], "sha256": header["source"]["sha256"], "file": file}

    @property
    def is_exact(self) -> bool:
        """Whether the teacher is a closed form."""
        return self.recipe["teacher"].get("kind") == "exact"

    @property
    def classes(self) -> int:
        """Classes of a class-conditional teacher, 0 for another."""
        net = self.imported["net"] if self.imported else self.recipe.get("net", {})
        return net.get("net", net).get("classes", 0)

    def teacher_settings(self) -> dict:
        """Everything that decides the teacher; of an imported one, the checksum of its file."""
        return settings.teacher(self.recipe, self.dataset, self.imported)

    def pair_settings(self) -> dict:
        """Everything that decides the teacher's pairs."""
        return settings.pairs(self.recipe, self.dataset, self.imported)

    def student_settings(self, method: str, seed: int) -> list[dict]:
        """Everything that decides a student, stage by stage: its pairs, objective, network and training."""
        return settings.student(self.recipe, self.dataset, method, seed, self.imported)

    def model(self, role: str, seed: int = 0, calls: int | None = None) -> Model:
        """Network, header and file of the "teacher", the "classifier", or a method's student.

        calls: as in student(). ValueError where the teacher is a closed form.
        """
        if role == "classifier":
            return self._classifier()
        if role != "teacher":
            return students.student(self, role, seed, calls)
        if self.is_exact:
            raise ValueError(f"the teacher of {self.dataset} is a closed form: there is no network of it")
        return self.models.imported(self.imported["file"]) if self.imported else self._trained_teacher()

    def training(self, role: str, seed: int = 0) -> dict:
        """Steps, seconds ... of the teacher's or a student's training; empty if it was not trained (yet)."""
        if role != "teacher":
            return students.whole_training(students.found(self, role, seed))
        if self.imported or self.is_exact:
            return {}
        return students.whole_training([self.models.found(role, self.teacher_settings())])

    def teacher(self):
        """The pre-trained rectified flow, v(x, t): trained, a file's network or a toy's closed form."""
        if not self.is_exact:
            return VelocityField(self.model("teacher").net, self.precision)
        if not self.toy or self.toy.flow is None:
            raise ValueError(f"{self.dataset} has no closed-form flow; 8gaussians has")
        return self.toy.flow

    def student(self, method: str, seed: int = 0, calls: int | None = None) -> JumpMap:
        """The student of one method and seed: if a stage of it is meant for this number of calls, of that."""
        return JumpMap(self.model(method, seed, calls).net)

    def classifier(self) -> Classifier:
        """The feature extractor of the FD metric; its held-out accuracy is in the header of its model()."""
        net = self.model("classifier").net
        assert isinstance(net, Classifier)
        return net

    def pairs(self, of: tuple | None = None) -> PairCache | OnlinePairs:
        """The teacher's pairs with their paths, solved once and kept in runs/, or fresh ones (`online`).

        of: (velocity, fingerprint) of another flow whose pairs are wanted, as for the k-th reflow.
        """
        own = self.pair_settings() | ({"of": of[1]} if of else {})
        name = f"{paths.in_a_name(self.dataset)}-pairs-{settings.identity(own)}"
        if name not in self._pairs:
            velocity, file = of[0] if of else self.teacher(), paths.runs() / f"{name}.safetensors"
            with exclusively(name, f"teacher pairs of {self.dataset}"):
                self._pairs[name] = pairs_of(
                    velocity, own, self.shape, self.device, self.classes, file=file, title=self.dataset
                )
        return self._pairs[name]

    def _trained_teacher(self) -> Model:
        def loss(train: TrainConfig):
            def loss_fn(net, target, progress, draws: Draws) -> LossTerms:
                n = draws.local(train.batch)
                x0, label = self.draw(n, draws)
                x0 = to_device(x0, self.device)
                label = None if label is None else to_device(label, self.device)
                noise, t = draws.normal_like(x0), to_like(draws.uniform(n), x0)
                return LossTerms(velocity_loss(labelled(net, label), x0, noise, t), {})

            return loss_fn

        def sample(net, noise, label):
            return solve(labelled(VelocityField(net, self.precision), label), noise, method="heun", steps=8).x

        return self.models.trained("teacher", self.teacher_settings(), loss, watch=watcher(self, sample))

    def _classifier(self) -> Model:
        def labelled_images(split: str) -> tuple:
            return images.load(self.dataset, split)

        def loss(train: TrainConfig):
            pictures, labels = labelled_images("train")
            return classification_loss(pictures, labels, train.batch)

        def finish(net: Classifier) -> dict:
            # 2,000 images are enough for a scale and a percentage
            train, test = ([part[:2000] for part in labelled_images(split)] for split in ("train", "test"))
            net.calibrate(train[0])
            reached = {"accuracy_train": accuracy(net, *train), "accuracy_test": accuracy(net, *test)}
            return reached | {"n_test": len(test[1])}

        own = settings.classifier(self.recipe, self.dataset)
        return self.models.trained("classifier", own, loss, finish=finish)
