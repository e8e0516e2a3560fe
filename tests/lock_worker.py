"""One thing that is made once, wanted by a process of its own.

Python lock_worker.py network|pairs|features FOLDER.

It says "made" when it starts to make it, goes on when FOLDER/go exists, and ends with the checksum of what it
has.
"""

import sys
import time
from pathlib import Path

import torch
from torch import nn

from traflow_lib.evaluation.feature_cache import collect
from traflow_lib.evaluation.features import Extractor
from traflow_lib.experiments import recipes
from traflow_lib.experiments.experiment import Experiment
from traflow_lib.experiments.networks import Networks
from traflow_lib.files import locks
from traflow_lib.files.checksums import tensor_sha256
from traflow_lib.files.processes import processes
from traflow_lib.objectives.base import LossTerms

CONFIG = {"kind": "mlp", "width": 8, "depth": 1}
EXTRACTOR = Extractor("mean", "native", "0" * 64, 4, lambda x: x.float().flatten(1))


def make(folder: Path) -> None:
    """The time it takes to make something."""
    if processes().is_main_process:
        print("made", flush=True)
    while not (folder / "go").exists():
        time.sleep(0.05)


def network(folder: Path) -> torch.Tensor:
    def make_loss(train):
        make(folder)
        return lambda net, target, progress, draws: LossTerms(
            sum(p.square().sum() for p in net.parameters()), {}
        )

    own = {"train": {"steps": 3, "batch": 4}, "net": CONFIG, "seed": 0}
    networks = Networks("toy", torch.device("cpu"))
    net = networks.trained("teacher", own, make_loss).net
    return nn.utils.parameters_to_vector(net.parameters())


def pairs(folder: Path) -> torch.Tensor:
    experiment = Experiment(recipes.load("00_quickstart", "smoke"))

    def velocity(x, t):
        make(folder)
        return torch.zeros_like(x)

    experiment.teacher = lambda: velocity
    return experiment.pairs().x0


def features(folder: Path) -> torch.Tensor:
    def images(start: int, stop: int):
        make(folder)
        return torch.full((stop - start, 1, 2, 2), start, dtype=torch.uint8), 1

    return collect(images, 4, {"what": "numbers"}, EXTRACTOR).features


if __name__ == "__main__":
    torch.set_num_threads(1)
    locks.PATIENCE = 0.5  # several exchanges while a test waits
    want = {"network": network, "pairs": pairs, "features": features}[sys.argv[1]]
    print("sha256", tensor_sha256(want(Path(sys.argv[2])).detach()), flush=True)
