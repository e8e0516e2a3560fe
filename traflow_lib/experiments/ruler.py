"""What samples of an image data set are measured by."""

from functools import cached_property

import torch
from torch import Tensor

from ..evaluation.features import Extractor
from ..evaluation.frechet import Statistics, frechet_distance
from ..files import paths
from . import settings
from .experiment import Experiment
from .extractors import of_experiment


class Ruler:
    """The scores of images against an experiment's data set, by the classifier in its recipe."""

    def __init__(self, experiment: Experiment):
        self.experiment, self.settings = experiment, experiment.recipe["evaluate"]

    @cached_property
    def extractor(self) -> Extractor:
        """The classifier, of images in 8 bits if the recipe says `as_files`."""
        return of_experiment(self.experiment, self.settings.get("as_files", False))

    @cached_property
    def real(self) -> Tensor:
        """The images of the set, the first `n_reference` if the recipe says so."""
        return self.experiment.images[: self.settings.get("n_reference")]

    @cached_property
    def real_features(self) -> Tensor:
        """The classifier's features [N, D] of the real images."""
        return self._features(self.real)

    @cached_property
    def statistics(self) -> Statistics:
        """Those of the real images; where they are committed, no image is needed."""
        experiment = self.experiment
        deciding = settings.data(experiment.recipe, experiment.dataset) | {"flip": False}
        deciding |= {"n": self.settings.get("n_reference"), "classifier": self.extractor.sha256}
        name = f"{paths.in_a_name(experiment.dataset)}-statistics-{settings.identity(deciding)}.safetensors"
        for folder in (paths.committed("statistics"), paths.runs()):
            if (folder / name).exists():
                return Statistics.load(folder / name)
        found = Statistics.of(self.real_features, experiment.images.sha256)
        found.save(paths.runs() / name)
        return found

    def scores(self, x: Tensor, classes: Tensor) -> dict[str, float]:
        """The Frechet distance, by its name, of images x [N, C, H, W] in [-1, 1] to the real ones.

        And the share of them that are of the classes [N] which others, made from the same noise, are of.
        """
        features = self._features(x)
        same = (self._classes(features) == classes).float().mean().item()
        return self._scores(features) | {"class_agreement": same}

    def classes(self, x: Tensor) -> Tensor:
        """What the classifier takes each image [N, C, H, W] for, [N]."""
        return self._classes(self._features(x))

    def halves(self) -> tuple[dict[str, float], int, int]:
        """That of two random halves of the real images, as of a perfect generator, and how many those are."""
        order = torch.randperm(len(self.real), generator=torch.Generator().manual_seed(0))
        first, second = (self.real_features[half] for half in order.chunk(2))
        return self._scores(first, Statistics.of(second)), len(first), len(second)

    def mirrored(self) -> dict[str, float]:
        """That of the real images, half mirrored, as of a perfect generator of mirrored training data."""
        features = self.real_features.clone()
        features[::2] = self._features(self.real[::2].flip(-1))
        return self._scores(features)

    def _features(self, x: Tensor) -> Tensor:
        return self.extractor(self.extractor.pixels(x))["features"]

    def _classes(self, features: Tensor) -> Tensor:
        return self.extractor.given("logits")(features).argmax(1).cpu()

    def _scores(self, features: Tensor, real: Statistics | None = None) -> dict[str, float]:
        fake, real = Statistics.of(features), real or self.statistics
        return {self.extractor.metric("fd"): frechet_distance(fake.mean, fake.cov, real.mean, real.cov)}
