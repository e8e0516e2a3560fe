"""One training as a process of its own, so that tests can kill it or run it twice side by side.

Python train_worker.py FOLDER METHOD [KILL_AT].
"""

import os
import signal
import sys
from pathlib import Path

import torch
from helpers import NETS, gaussian, random_pairs
from torch import nn

from traflow_lib import nets, objectives
from traflow_lib.jump import JumpMap
from traflow_lib.pairs import PairCache
from traflow_lib.randomness import Draws
from traflow_lib.training import fit
from traflow_lib.training.config import TrainConfig


def main(folder: Path, method: str, kill_at: int) -> None:
    """Ten steps (24 when killed) of a small student; the final weights and averages go to FOLDER/final.pt."""
    torch.set_num_threads(1)
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


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else -1)
