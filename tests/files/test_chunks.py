"""What does not fit into a GPU's memory is halved, in sampling and in training, with the same result."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from traflow_lib.files.chunks import Chunks
from traflow_lib.objectives.base import LossTerms
from traflow_lib.pairs import make_pairs
from traflow_lib.training.config import TrainConfig
from traflow_lib.training.loop import fit


def crowded(most: int, batch: int) -> None:
    if batch > most:
        raise torch.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize("size, most", [(10, 10), (10, 3), (7, 1), (3, 9)])
def test_chunks_cover_every_row_once_in_order_and_stay_as_small_as_they_had_to_become(size, most):
    asked, taken = [], []

    def compute(start, stop):
        asked.append(stop - start)
        crowded(most, stop - start)
        taken.append(stop - start)
        return list(range(start, stop))

    chunks = Chunks(size)
    assert sum(chunks.of(compute, 0, 23), []) == list(range(23)) and max(taken) <= min(size, most)
    asked.clear()
    assert sum(chunks.of(compute, 5, 9), []) == [5, 6, 7, 8] and max(asked) <= most


def test_what_does_not_fit_in_ones_is_an_error():
    with pytest.raises(torch.OutOfMemoryError):
        list(Chunks(4).of(lambda start, stop: crowded(0, stop - start), 0, 4))


def test_pairs_are_the_same_whatever_fits(tmp_path, capsys):
    def teacher(most):
        def velocity(x, t):
            crowded(most, len(x))
            return x * 0.5

        return velocity

    options = {"keep_path": True, "batch": 8, "method": "midpoint", "steps": 2}
    whole = make_pairs(teacher(8), 20, (2,), 0, **options)
    halved = make_pairs(teacher(3), 20, (2,), 0, file=tmp_path / "pairs.safetensors", **options)
    for name in ("x1", "x0", "path"):
        assert torch.equal(getattr(whole, name), getattr(halved, name))
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "8 samples at a time do not fit into the GPU's memory; going on with 4",
        "4 samples at a time do not fit into the GPU's memory; going on with 2",
    ]


def trained(folder, most: int, config: TrainConfig):
    taken = []

    def loss_fn(net, target, progress, draws):
        x = draws.normal(draws.local(config.batch), (2,))
        crowded(most, len(x))
        taken.append(len(x))
        return LossTerms((net(x) - x.flip(1)).square().mean(), {})

    torch.manual_seed(0)
    net = nn.Linear(2, 2)
    fit(net, loss_fn, config, folder, seed=0)
    return net, taken


def test_a_batch_that_does_not_fit_is_taken_in_the_passes_that_micro_batch_would_give(tmp_path, capsys):
    config = TrainConfig(steps=5, batch=8, lr=0.1)
    asked, _ = trained(tmp_path / "asked", 8, replace(config, micro_batch=2))
    forced, taken = trained(tmp_path / "forced", 3, config)
    assert torch.equal(asked.weight, forced.weight) and taken == [2] * 20
    assert "passes of 4 samples do not fit into the GPU's memory; going on with 2" in capsys.readouterr().err
    with pytest.raises(torch.OutOfMemoryError):
        trained(tmp_path / "never", 0, config)
