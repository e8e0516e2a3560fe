"""What samples of an image data set are measured by: the features of its classifier, and the real images'."""

from functools import cached_property

import torch
from torch import Tensor

from ..data.image_set import from_uint8
from ..evaluation.features import to_uint8
from ..evaluation.frechet import Statistics, feature_distance, frechet_distance, mean_and_cov
from ..files import paths
from ..files.checksums import file_sha256
from . import settings
from .experiment import Experiment


class Ruler:
    """The Frechet distance of an experiment's data set, in the features of the classifier in its recipe."""

    def __init__(self, experiment: Experiment):
        self.experiment, self.settings = experiment, experiment.recipe["evaluate"]

    @property
    def exists(self) -> bool:
        """Whether there is a classifier: a data set without classes has none."""
        return "classifier" in self.experiment.recipe

    @property
    def name(self) -> str:
        """The name of the distance: FD, the data set, the extractor, and "uint8" for 8 bits."""
        return f"fd-{self.experiment.dataset}-cnn" + "-uint8" * self.settings.get("as_files", False)

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
        """Mean and covariance of the real images' features.

        Committed ones where there are any, and then no image is needed.
        """
        experiment = self.experiment
        deciding = {
            **settings.data(experiment.recipe, experiment.dataset),
            "flip": False,
            "n": self.settings.get("n_reference"),
            "classifier": file_sha256(experiment.model("classifier").file),
        }
        name = f"{paths.in_a_name(experiment.dataset)}-statistics-{settings.identity(deciding)}.safetensors"
        for folder in (paths.committed("statistics"), paths.runs()):
            if (folder / name).exists():
                return Statistics.load(folder / name)
        found = Statistics(*mean_and_cov(self.real_features), len(self.real), experiment.images.sha256)
        found.save(paths.runs() / name)
        return found

    @property
    def extractor(self) -> str:
        """The name and the checksum of what makes features."""
        return f"{self.experiment.dataset}-cnn {file_sha256(self.experiment.model('classifier').file)}"

    def distance(self, x: Tensor) -> float:
        """FD of images x [N, C, H, W] in [-1, 1] to the real ones, in 8 bits if `as_files`."""
        seen = from_uint8(to_uint8(x)) if self.settings.get("as_files") else x
        return self._to_real(self._features(seen))

    def halves(self) -> tuple[float, int, int]:
        """FD between two random halves of the real images, and how many those are.

        A perfect generator of that size scores it.
        """
        order = torch.randperm(len(self.real), generator=torch.Generator().manual_seed(0))
        first, second = order.chunk(2)
        value = feature_distance(self.real_features[first], self.real_features[second])
        return value, len(first), len(second)

    def mirrored(self) -> float:
        """FD from the real images, every other one mirrored, to the set as it is.

        What a perfect generator of mirrored training data would score.
        """
        features = self.real_features.clone()
        features[::2] = self._features(self.real[::2].flip(-1))
        return self._to_real(features)

    def _features(self, x: Tensor) -> Tensor:
        return self.experiment.classifier().features(x)

    def _to_real(self, features: Tensor) -> float:
        return frechet_distance(*mean_and_cov(features), self.statistics.mean, self.statistics.cov)
