"""Feature extractors by name."""

from pathlib import Path

import torch
from torch import Tensor

from ..data import images
from ..evaluation.features import Extractor, inception, timm_network, to_uint8, torchvision_network
from ..evaluation.inception import MODES
from ..evaluation.random_network import random_network
from ..files.checks import finite
from ..files.checksums import file_sha256
from ..files.processes import processes
from . import recipes
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
