"""A network of known settings: found where it was trained before, else trained by fit() and kept."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from ..files.locks import exclusively
from ..files.log import log
from ..files.processes import processes
from ..teachers import save_network
from .config import TrainConfig
from .loop import fit


def train_once(  # noqa: PLR0913 - all that is known of a training
    find: Callable,
    start: Callable[[], nn.Module],
    make_loss: Callable[[TrainConfig], Callable],
    own: dict,
    *,
    name: str,
    of: tuple[str, str],
    file: Path,
    folder: Path,
    lock: str | Path,
    header: dict,
    finish: Callable[[nn.Module], dict] = lambda net: {},
    watch: Callable[[Path], Callable] | None = None,
    resume: bool = True,
):
    """What find() loads, after training it where that is None: once, whoever else wants it meanwhile.

    start() gives the network's first state, make_loss(train) what fit() minimises, watch(folder) what it
    calls now and then. own: complete settings, with `train` and `seed`; name: their fingerprint; of: whose it
    is and its role, to be said; lock: as exclusively() takes it. The first process writes `file`, and further
    averages beside it, with header (`config` builds the network), training, settings and finish(net), and
    checkpoints and log into `folder`. ValueError: an interrupted training is there that is not to go on.
    """
    if known := find():
        return known
    title, train = " ".join(of), TrainConfig.of(own["train"])
    with exclusively(lock, title):
        if known := find():  # another process was at it
            return known
        if not resume and any(folder.glob("checkpoint-*.pt")):
            found = f"{folder} holds an interrupted training of {of[1]}"
            raise ValueError(f"{found}; add --resume to go on with it, or delete the folder")
        log.info(f"{of[0]}: training {of[1]} for {train.steps:,} steps")
        loss = make_loss(train)
        torch.manual_seed(own["seed"])
        net = start()  # before watch(), which may train a network of its own
        watched = watch(folder) if watch and train.watch_every else None
        trained = fit(net, loss, train, folder, seed=own["seed"], title=title, recipe=name, watch=watched)
        if processes().is_main_process:
            facts = header | {"training": trained.statistics, "settings": own} | finish(trained.net)
            for decay, average in list(trained.averages.items())[1:]:
                save_network(file.with_stem(f"{file.stem}-ema{decay}"), average, **facts)
            save_network(file, trained.net, **facts)
        processes().wait_for_everyone()
    return find()
