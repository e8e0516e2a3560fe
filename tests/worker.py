"""Processes of their own, so that tests can kill them or run several side by side.

train FOLDER METHOD [KILL_AT]: one training. network|pairs|features FOLDER: one thing that is made once; the
process says "made" when it starts to make it, goes on when FOLDER/go exists, and ends with the checksum of
what it has. -m traflow_lib ...: as make gpu starts it, but with DIES=teacher|pairs|student it sends itself
SIGTERM in the middle of that.
"""

import os
import signal
import sys
import time
from functools import wraps
from pathlib import Path

import torch
from helpers import NETS, gaussian, random_pairs
from torch import nn

from traflow_lib import cli, nets, objectives
from traflow_lib.evaluation.feature_cache import collect
from traflow_lib.evaluation.features import Extractor
from traflow_lib.experiments import recipes
from traflow_lib.experiments.experiment import Experiment
from traflow_lib.experiments.networks import Networks
from traflow_lib.files import locks
from traflow_lib.files.checksums import tensor_sha256
from traflow_lib.files.processes import processes
from traflow_lib.jump import JumpMap
from traflow_lib.objectives.base import LossTerms
from traflow_lib.pairs import PairCache
from traflow_lib.randomness import Draws
from traflow_lib.training import fit, once
from traflow_lib.training.config import TrainConfig

CONFIG = {"kind": "mlp", "width": 8, "depth": 1}
EXTRACTOR = Extractor("mean", "native", "0" * 64, 4, lambda x: x.float().flatten(1))
whole_fit, save, dies = once.fit, PairCache.save, os.environ.get("DIES")


def train_and_die(folder: Path, method: str, kill_at: int) -> None:
    """Ten steps (24 when killed) of a small student; the final weights and averages go to FOLDER/final.pt."""
    torch.manual_seed(0)
    source = random_pairs(64)
    pairs, flow, objective = (
        PairCache(source.x1, source.x0, source.path),
        gaussian(torch.float32),
        objectives.get(method),
    )
    config, _ = NETS["mlp"]
    net = nets.build(config, s_input=objective.s_input)
    steps = int(os.environ.get("STEPS", 10))
    train = TrainConfig(
        steps=steps,
        batch=16,
        lr=0.01,
        ema=[0.9, 0.99],
        save_every=3,
        log_every=1,
        micro_batch=int(os.environ.get("MICRO_BATCH", 0)),
    )

    def loss_fn(net: nn.Module, target: nn.Module, progress: float, draws: Draws):
        if round(progress * steps) == kill_at:
            os.kill(os.getpid(), getattr(signal, os.environ.get("SIGNAL", "SIGKILL")))
        batch = pairs.batch(draws.local(train.batch), draws=draws)
        batch.data = draws.normal(len(batch.x1), (2,))
        return objective(JumpMap(net), JumpMap(target), flow, batch)

    trained = fit(net, loss_fn, train, folder, seed=1)
    if int(os.environ.get("RANK", 0)) == 0:
        torch.save(
            {
                "net": net.state_dict(),
                **{str(decay): average.state_dict() for decay, average in trained.averages.items()},
            },
            folder / "final.pt",
        )


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


def dying_fit(net, loss_fn, config, folder, **options):
    """The training of a teacher or a student, told to end in its second step."""
    steps = 0

    @wraps(loss_fn)  # with what else fit() asks of it
    def dying(*arguments):
        nonlocal steps
        steps += 1
        if steps == 2 and (
            folder.name.split("-")[1] == "teacher"
            if dies == "teacher"
            else dies == "student" and "seed" in folder.name
        ):
            os.kill(os.getpid(), signal.SIGTERM)
        return loss_fn(*arguments)

    return whole_fit(net, dying, config, folder, **options)


def dying_save(pairs, file, *more):
    """Ends the process when the first part of the pairs is on the disk."""
    save(pairs, file, *more)
    if dies == "pairs":
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    kind, *arguments = sys.argv[1:]
    if kind == "-m":
        once.fit, PairCache.save = dying_fit, dying_save
        sys.exit(cli.main(arguments[1:]))
    torch.set_num_threads(1)
    folder = Path(arguments[0])
    if kind == "train":
        train_and_die(folder, arguments[1], int(arguments[2]) if len(arguments) > 2 else -1)
    else:
        locks.PATIENCE = 0.5  # several exchanges while a test waits
        want = {"network": network, "pairs": pairs, "features": features}[kind]
        print("sha256", tensor_sha256(want(folder).detach()), flush=True)
