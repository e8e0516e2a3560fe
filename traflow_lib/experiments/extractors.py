"""What samples of an image data set are measured by: feature extractors by name, and a recipe's own ruler."""

from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from ..data import images
from ..evaluation.features import (
    Extractor,
    inception,
    random_network,
    timm_network,
    to_uint8,
    torchvision_network,
)
from ..evaluation.frechet import Statistics, frechet_distance
from ..evaluation.inception import MODES
from ..files import paths
from ..files.checks import finite
from ..files.checksums import file_sha256
from ..files.processes import processes
from . import recipes, settings
from .experiment import Experiment

# the recipe and profile with the classifier of a data set
CLASSIFIERS = {
    "digits": ("06_digits", "hour"),
    "fashion_mnist": ("fashion_mnist", "gpu"),
    "cifar10": ("cifar10", "gpu"),
    "shapes32": ("cifar10", "laptop"),
    "shapes64": ("celeba64", "laptop"),
}


def load(name: str, dataset: str = "", mode: str = "clean") -> Extractor:
    """The extractor of a name; mode: Inception's; dataset: whose classifier `cnn` is, trained if need be.

    ValueError, FileNotFoundError and ImportError say in one line what is missing.
    """
    kind, _, model = name.partition(":")
    device = processes().device
    if name == "inception":
        return inception(mode, device)
    if mode != "clean":
        raise ValueError(f"--mode {mode} is Inception's ({', '.join(MODES)}); {name} has its own size")
    if name == "cnn":
        if dataset not in CLASSIFIERS:
            known = f"there is no classifier of '{dataset}', only of {', '.join(CLASSIFIERS)}"
            raise ValueError(f"{known}; take --extractor inception or torchvision:MODEL=FILE")
        return of_experiment(Experiment(recipes.load(*CLASSIFIERS[dataset]), dataset))
    if kind == "random" and (model.isdigit() or name == "random"):
        return random_network(images.shape(dataset)[0], device, int(model or 0))
    if kind in ("torchvision", "timm") and "=" in model:
        model, _, file = model.partition("=")
        if not Path(file).is_file():
            raise FileNotFoundError(f"there are no weights {file} for {model}")
        return (torchvision_network if kind == "torchvision" else timm_network)(model, Path(file), device)
    raise ValueError(
        f"unknown extractor '{name}'; there are inception, cnn, random, random:SEED, torchvision:MODEL=FILE "
        "and timm:MODEL=FILE"
    )


def of_experiment(experiment: Experiment, as_files: bool = True) -> Extractor:
    """The classifier of an experiment as extractor, digits-cnn and the like.

    as_files: of images in 8 bits, else of the numbers that a network gave.
    """
    net = experiment.classifier()

    def scaled(pixels: Tensor) -> Tensor:  # clipped and rounded or not (notebook 11)
        return (pixels.float() / 127.5 - 1 if as_files else pixels).to(net.scale.device)

    def spatial(pixels: Tensor) -> Tensor:
        """7 channels of the last convolution, as many as sFID has of Inception."""
        return net.body[:-3](scaled(pixels))[:, :7].flatten(1)

    def logits(features: Tensor) -> Tensor:
        return net.head(torch.relu(features.to(net.scale) / net.scale)).to(features)

    return Extractor(
        name=f"{experiment.dataset}-cnn",
        mode="native" if as_files else "numbers",
        sha256=file_sha256(experiment.model("classifier").file),
        batch=2000,
        features=lambda pixels: net.features(scaled(pixels)),
        spatial=spatial,
        logits=logits,
        pixels=to_uint8 if as_files else finite,
    )


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
