"""What a training leaves in its folder.

The last checkpoints, whole ones resumed and damaged ones named, averages, the log and what was watched.
"""

import json

import pytest
import torch
from test_training import CONFIG, network, regression, same, state

from traflow_lib.training import fit
from traflow_lib.training.config import TrainConfig
from traflow_lib.training.log import read_log


def changed(**change):
    return TrainConfig(**{**vars(CONFIG), **change})


def names(folder):
    return sorted(file.name for file in folder.glob("*.pt"))


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_last_checkpoints_are_kept(tmp_path, keep):
    fit(network(), regression(), changed(keep=keep), tmp_path, seed=0)
    assert names(tmp_path) == [f"checkpoint-{step:09d}.pt" for step in (5, 10, 15, 20)[-keep:]]


@pytest.mark.parametrize(
    "damage",
    [lambda content: b"", lambda content: content[: len(content) // 2], lambda content: b"x" * 1000],
    ids=["empty", "half", "other"],
)
def test_damaged_checkpoint_is_named_and_the_one_before_it_resumed(tmp_path, capsys, damage):
    whole = fit(network(), regression(), CONFIG, tmp_path / "whole", seed=0)
    fit(network(), regression(), CONFIG, tmp_path / "damaged", seed=0)
    last = max((tmp_path / "damaged").glob("*.pt"))
    last.write_bytes(damage(last.read_bytes()))
    again = fit(network(seed=5), regression(), CONFIG, tmp_path / "damaged", seed=0)
    assert "checkpoint-000000020.pt is damaged" in capsys.readouterr().err and same(
        state(whole.net), state(again.net)
    )


def test_folder_with_nothing_but_damaged_checkpoints_is_refused(tmp_path):
    fit(network(), regression(), changed(keep=1), tmp_path, seed=0)
    max(tmp_path.glob("*.pt")).write_bytes(b"")
    with pytest.raises(ValueError, match="delete checkpoint-000000020.pt to start anew"):
        fit(network(), regression(), changed(keep=1), tmp_path, seed=0)


def test_half_written_checkpoint_is_never_read(tmp_path):
    fit(network(), regression(), CONFIG, tmp_path, seed=0)
    (tmp_path / "checkpoint-000000099.part").write_bytes(b"half")
    fit(network(), regression(), CONFIG, tmp_path, seed=0)


def test_checkpoint_of_another_recipe_is_refused(tmp_path):
    fit(network(), regression(), CONFIG, tmp_path, seed=0, recipe="one")
    with pytest.raises(ValueError, match="other settings"):
        fit(network(), regression(), CONFIG, tmp_path, seed=0, recipe="another")


def test_checkpoint_holds_everything_that_decides_the_next_step(tmp_path):
    fit(network(), regression(), changed(ema=[0.9, 0.5]), tmp_path, seed=0, recipe="r")
    content = torch.load(max(tmp_path.glob("*.pt")), weights_only=True)
    assert {"net", "ema 0.9", "ema 0.5", "optimizer", "scaler", "step", "draws", "identity"} <= set(content)
    assert content["identity"]["recipe"] == "r" and len(content["dropout"]) == 1


def test_several_averages_are_what_each_would_be_alone_and_the_last_is_the_target(tmp_path):
    alone = {
        decay: fit(network(), regression(), changed(ema=decay), tmp_path / str(decay), seed=0).net
        for decay in (0.9, 0.5, 0.0)
    }
    targets = []

    def loss_fn(net, target, progress, draws):
        targets.append(state(target))
        return regression()(net, target, progress, draws)

    trained = fit(network(), loss_fn, changed(ema=[0.9, 0.5, 0.0]), tmp_path / "all", seed=0)
    assert list(trained.averages) == [0.9, 0.5, 0.0] and trained.net is trained.averages[0.9]
    assert all(same(state(alone[decay]), state(trained.averages[decay])) for decay in alone)
    weights = state(trained.averages[0.0])
    assert not same(targets[-1], state(trained.net)) and weights.keys() == targets[-1].keys()
    assert same(state(network()), targets[0])


def test_resumed_averages_equal_uninterrupted_ones(tmp_path):
    config = changed(ema=[0.9, 0.5])
    whole = fit(network(), regression(), config, tmp_path / "whole", seed=0)
    with pytest.raises(RuntimeError, match="stop"):
        fit(
            network(),
            regression(12, lambda net: (_ for _ in ()).throw(RuntimeError("stop"))),
            config,
            tmp_path / "parted",
            seed=0,
        )
    again = fit(network(seed=4), regression(), config, tmp_path / "parted", seed=0)
    assert all(same(state(whole.averages[decay]), state(again.averages[decay])) for decay in config.ema)


def test_watching_is_logged_and_changes_nothing(tmp_path):
    seen = []

    def watch(step, averages):
        seen.append(step)
        torch.rand(3)
        return {"distance": float(step)}

    plain = fit(network(), regression(), CONFIG, tmp_path / "plain", seed=0)
    watched = fit(network(), regression(), changed(watch_every=8), tmp_path / "watched", seed=0, watch=watch)
    assert seen == [8, 16, 20] and same(state(plain.net), state(watched.net))
    assert [line["watch"] for line in read_log(tmp_path / "watched", watched=True)] == [
        {"distance": 8.0},
        {"distance": 16.0},
        {"distance": 20.0},
    ]
    assert [line["step"] for line in read_log(tmp_path / "watched")] == [5, 10, 15, 20]


def test_log_tells_samples_a_second(tmp_path):
    fit(network(), regression(), CONFIG, tmp_path, seed=0)
    lines = read_log(tmp_path)
    samples = CONFIG.steps * CONFIG.batch / 4
    spent = [samples / line["samples_per_second"] for line in lines]
    assert len(spent) == 4 and min(spent) > 0
    assert sum(spent) <= 1.01 * lines[-1]["seconds"] + 0.01  # each line's own time, none counted twice


def test_tensorboard_gets_what_the_log_gets(tmp_path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    fit(network(), regression(), changed(tensorboard=True), tmp_path, seed=0)
    board = events.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in board.Scalars("loss")] == [5, 10, 15, 20]
    assert board.Scalars("loss")[-1].value == pytest.approx(read_log(tmp_path)[-1]["loss"])


@pytest.mark.parametrize("option", ["compile", "channels_last"])
def test_compiled_and_channels_last_training_is_the_same_training(tmp_path, monkeypatch, option):
    # the compiler's own cache is shared by all CPU capabilities of one machine and then fails to load
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
    plain = fit(network(), regression(), changed(steps=6), tmp_path / "plain", seed=0)
    other = fit(network(), regression(), changed(steps=6, **{option: True}), tmp_path / option, seed=0)
    assert json.dumps(list(state(plain.net))) == json.dumps(
        list(state(other.net))
    )  # the same names, so checkpoints fit both
    if option == "channels_last":  # the compiler draws its dropout by itself
        assert all(
            torch.allclose(value, state(other.net)[name], atol=1e-6)
            for name, value in state(plain.net).items()
        )
