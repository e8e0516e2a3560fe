"""A network with its checkpoint, and what a record says of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from ..files.checksums import file_sha256
from ..training.config import TrainConfig
from . import cost


@dataclass(frozen=True)
class Model:
    """A network that was trained or imported, with the header and the place of its checkpoint.

    header: as teachers.load_network gives it: network, settings, training (steps, seconds, parameters), or,
    of a release, its source.
    """

    net: nn.Module
    header: dict
    file: Path


def recorded(models: Sequence[Model], shape: tuple | None) -> dict:
    """What a record says of the models (of several seeds, or none) of samples of `shape`; no MACs without."""
    if not models:
        return {}
    net = models[0].net
    found: dict = {"parameters": cost.parameters(net), "macs": cost.macs(net, shape) if shape else None}
    found["checkpoint_sha256"] = [file_sha256(model.file) for model in models]
    # a teacher that was imported from a release was not
    trained = [model.header for model in models if "training" in model.header]
    if not trained:
        return found
    own = trained[0]["settings"]["train"]
    return found | {
        "ema": TrainConfig.of(own).decays[0],
        "training": trained[0]["training"] | {key: own.get(key, "fp32") for key in ("batch", "precision")},
        "seconds": sum(header["training"]["seconds"] for header in trained),
    }
