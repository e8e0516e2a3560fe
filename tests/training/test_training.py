"""fit(): exact resume, a divergence that loses nothing, settings checked by name, and what the log says."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from traflow_lib.objectives import LossTerms
from traflow_lib.training import TrainingDiverged, fit
from traflow_lib.training.config import TrainConfig
from traflow_lib.training.log import read_log

CONFIG = TrainConfig(steps=20, batch=8, lr=0.05, warmup=3, ema=0.9, save_every=5, log_every=5)


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.2), nn.Tanh(), nn.Linear(8, 2))


def regression(fail_at=None, failure=None):
    """A loss on random batches; at call `fail_at` it calls failure(net) instead."""
    calls = 0

    def loss_fn(net, ema_net, progress, draws):
        nonlocal calls
        calls += 1
        x = draws.normal(CONFIG.batch, (2,))
        if calls - 1 == fail_at:
            return LossTerms(failure(net), {})
        loss = (net(x) - x.flip(1)).square().mean()
        return LossTerms(loss, {"part": 2 * loss.item()})

    return loss_fn


def interrupt(net):
    raise KeyboardInterrupt


def state(net):
    return {name: value.clone() for name, value in net.state_dict().items()}


def saved(folder):
    return torch.load(max(folder.glob("checkpoint-*.pt")), weights_only=True)


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def test_resumed_training_equals_uninterrupted_to_the_last_bit(tmp_path):
    whole, parted = network(), network()
    ema_whole = fit(whole, regression(), CONFIG, tmp_path / "whole", seed=3).net
    with pytest.raises(KeyboardInterrupt):
        fit(parted, regression(13, interrupt), CONFIG, tmp_path / "parted", seed=3)
    assert saved(tmp_path / "parted")["step"] == 10
    fresh = network(seed=9)  # another process starts from other weights
    trained = fit(fresh, regression(), CONFIG, tmp_path / "parted", seed=3)
    assert (
        same(state(whole), state(fresh))
        and same(state(ema_whole), state(trained.net))
        and trained.statistics["steps"] == 20
    )


def test_finished_training_is_not_repeated(tmp_path):
    once = fit(network(), regression(), CONFIG, tmp_path, seed=3).net
    again = fit(network(seed=9), regression(0, interrupt), CONFIG, tmp_path, seed=3).net
    assert same(state(once), state(again))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_divergence_stops_and_keeps_the_last_good_checkpoint(tmp_path, value):
    with pytest.raises(TrainingDiverged, match="at step 7.*checkpoint-000000005.pt"):
        fit(network(), regression(7, lambda net: value * net[0].weight.sum()), CONFIG, tmp_path, seed=3)
    checkpoint = saved(tmp_path)
    assert checkpoint["step"] == 5 and all(value.isfinite().all() for value in checkpoint["net"].values())


def test_checkpoint_never_holds_weights_spoilt_by_a_bad_gradient(tmp_path):
    """The loss of step 9 is finite, its gradient is not: the weights saved after it would be NaN."""
    with pytest.raises(TrainingDiverged):
        fit(network(), regression(9, lambda net: (0 * net[0].weight).sqrt().sum()), CONFIG, tmp_path, seed=3)
    assert all(value.isfinite().all() for value in saved(tmp_path)["net"].values())


def test_unknown_optimizer_lists_what_exists():
    with pytest.raises(
        ValueError, match="^training option optimizer is 'sgd': input should be 'adam' or 'adamw'$"
    ):
        TrainConfig.of({"steps": 5, "batch": 2, "optimizer": "sgd"})


@pytest.mark.parametrize("change, seed", [({"lr": 0.01}, 3), ({}, 4)], ids=["lr", "seed"])
def test_folder_of_a_run_with_other_settings_is_refused(tmp_path, change, seed):
    fit(network(), regression(), CONFIG, tmp_path, seed=3)
    with pytest.raises(ValueError, match="other settings"):
        fit(network(), regression(), TrainConfig(**{**vars(CONFIG), **change}), tmp_path, seed=seed)


def test_average_of_constant_weights_is_constant(tmp_path):
    net = network()
    before = state(net)
    ema = fit(
        net,
        lambda net, target, progress, draws: LossTerms(0 * net[0].weight.sum(), {}),
        CONFIG,
        tmp_path,
        seed=0,
    ).net
    assert same(before, state(net)) and same(before, state(ema))


def test_loss_is_told_the_share_of_the_steps_that_is_done_also_after_a_resume(tmp_path):
    seen = []

    def loss_fn(net, ema_net, progress, draws):
        seen.append(progress)
        failure = interrupt if len(seen) == 8 else lambda net: net[0].weight.sum()
        return regression(0, failure)(net, ema_net, progress, draws)

    with pytest.raises(KeyboardInterrupt):
        fit(network(), loss_fn, CONFIG, tmp_path, seed=0)
    fit(network(), loss_fn, CONFIG, tmp_path, seed=0)
    assert seen == pytest.approx([step / 20 for step in [*range(8), *range(5, 20)]])


def test_average_follows_its_warmed_up_decay(tmp_path):
    net, expected = network(), None
    seen = []

    def loss_fn(net, ema_net, progress, draws):
        seen.append(state(net)["0.weight"])
        return regression()(net, ema_net, progress, draws)

    ema = fit(net, loss_fn, CONFIG, tmp_path, seed=0).net
    expected = seen[0]
    for step, weight in enumerate([*seen[1:], state(net)["0.weight"]]):
        decay = min(CONFIG.ema, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight
    assert torch.allclose(state(ema)["0.weight"], expected, atol=1e-6)


@pytest.mark.parametrize("decays", [lambda progress: 0.0, lambda progress: 0.2 + 0.7 * progress])
def test_target_network_has_a_decay_of_its_own_and_the_measured_average_keeps_its(decays, tmp_path):
    seen, targets = [], []

    def loss_fn(net, target, progress, draws):
        seen.append(state(net)["0.weight"])
        targets.append(state(target)["0.weight"])
        return regression()(net, target, progress, draws)

    plain = fit(network(), regression(), CONFIG, tmp_path / "plain", seed=0).net
    loss_fn.target_decay = decays
    measured = fit(network(), loss_fn, CONFIG, tmp_path / "own", seed=0).net
    expected = seen[0]
    for step, (weight, target) in enumerate(zip(seen, targets)):
        if step:
            decay = min(decays((step - 1) / CONFIG.steps), step / (9 + step))
            expected = decay * expected + (1 - decay) * weight
        assert torch.allclose(target, expected, atol=1e-6)
    assert same(state(plain), state(measured))


def test_a_target_of_its_own_is_resumed_too(tmp_path):
    def make(fail_at=None):
        loss = regression(fail_at, interrupt)

        def loss_fn(net, target, progress, draws):
            terms = loss(net, target, progress, draws)
            return replace(terms, total=terms.total + 0.1 * (net[0].weight - target[0].weight).square().sum())

        loss_fn.target_decay = lambda progress: 0.5
        return loss_fn

    whole, parted = network(), network()
    fit(whole, make(), CONFIG, tmp_path / "whole", seed=3)
    with pytest.raises(KeyboardInterrupt):
        fit(parted, make(13), CONFIG, tmp_path / "parted", seed=3)
    again = network(seed=5)
    fit(again, make(), CONFIG, tmp_path / "parted", seed=3)
    assert same(state(whole), state(again))


def test_training_lowers_the_loss_and_the_log_says_so(tmp_path):
    fit(network(), regression(), CONFIG, tmp_path, seed=0)
    lines = read_log(tmp_path)
    assert [line["step"] for line in lines] == [5, 10, 15, 20] and lines[-1]["loss"] < lines[0]["loss"]
    for line in lines:
        assert line["part"] == pytest.approx(2 * line["loss"]) and line["lr"] == CONFIG.lr_at(
            line["step"] - 1
        )


def test_log_after_a_resume_is_the_average_of_the_steps_it_covers(tmp_path):
    """A loss of 1 throughout, interrupted between two log lines."""
    config, count = TrainConfig(steps=20, batch=1, save_every=5, log_every=10), []

    def loss_fn(net, ema_net, progress, draws):
        count.append(1)
        if len(count) == 8:
            raise KeyboardInterrupt
        return LossTerms(1 + 0 * net[0].weight.sum(), {})

    with pytest.raises(KeyboardInterrupt):
        fit(network(), loss_fn, config, tmp_path, seed=0)
    fit(network(), loss_fn, config, tmp_path, seed=0)
    assert [(line["step"], line["loss"]) for line in read_log(tmp_path)] == [
        (10, pytest.approx(1)),
        (20, pytest.approx(1)),
    ]


@pytest.mark.parametrize("precision, dtype", [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_training_in_half_precision_runs_and_keeps_float32_weights(tmp_path, precision, dtype):
    net, dtypes = network(), []

    def loss_fn(net, ema_net, progress, draws):
        dtypes.append(net(torch.randn(4, 2)).dtype)
        return regression()(net, ema_net, progress, draws)

    trained = fit(net, loss_fn, TrainConfig(steps=3, batch=4, precision=precision), tmp_path, seed=0)
    assert set(dtypes) == {dtype} and all(
        p.dtype == torch.float32 and p.isfinite().all() for p in trained.net.parameters()
    )
    assert trained.statistics["parameters"] == sum(p.numel() for p in net.parameters())


def test_fp16_skips_a_step_whose_scaled_gradient_overflows_and_scales_less(tmp_path):
    net, config = network(), TrainConfig(steps=1, batch=4, precision="fp16", clip=0.0)
    before = state(net)
    fit(
        net,
        lambda net, target, progress, draws: LossTerms(1e34 * net[0].weight.sum(), {}),
        config,
        tmp_path,
        seed=0,
    )
    assert same(before, state(net)) and saved(tmp_path)["scaler"]["scale"] == 2.0**15
    assert all(value.isfinite().all() for value in state(net).values())


def test_dropout_takes_no_number_from_the_draws_of_the_batches(tmp_path):
    """However often a step calls its network: the same samples in every step, in one pass and in parts."""

    def drawn(dropout, micro_batch):
        seen = []

        def loss_fn(net, target, progress, draws):
            x = draws.normal(draws.local(CONFIG.batch), (2,))
            seen.append(x)
            return LossTerms(net(x).square().mean(), {})

        net = nn.Sequential(nn.Linear(2, 2), nn.Dropout(dropout))
        config = replace(CONFIG, micro_batch=micro_batch)
        folder = tmp_path / f"{dropout}-{micro_batch}"
        fit(net, loss_fn, config, folder, seed=0)
        parts = CONFIG.batch // (micro_batch or CONFIG.batch)
        steps = torch.stack(seen).unflatten(0, (-1, parts))
        return steps.transpose(1, 2).flatten(1, 2)

    whole = drawn(0.0, 0)
    assert len(whole) == CONFIG.steps and not torch.equal(whole[0], whole[1])
    for dropout, micro_batch in ((0.5, 0), (0.0, CONFIG.batch // 4), (0.5, CONFIG.batch // 4)):
        assert torch.equal(drawn(dropout, micro_batch), whole)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"steps": 5, "batch": 2, "learning_rate": 1}, "learning_rate"),
        ({"steps": 5}, "batch"),
        ({"batch": 5}, "steps"),
        ({"steps": 5, "batch": 2, "schedule": "linear"}, "linear"),
        ({"steps": 5, "batch": 2, "precision": "fp8"}, "fp8"),
    ],
    ids=["unknown", "no batch", "no steps", "schedule", "precision"],
)
def test_wrong_training_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig.of(options)


@pytest.mark.parametrize(
    "micro_batch, processes, passes",
    [(0, 1, 1), (0, 4, 1), (24, 1, 1), (12, 1, 2), (11, 1, 3), (5, 2, 3), (1, 3, 8)],
)
def test_batch_is_split_into_as_few_even_passes_as_the_micro_batch_allows(micro_batch, processes, passes):
    assert TrainConfig(steps=1, batch=24, micro_batch=micro_batch).passes(processes) == passes


def test_batch_that_cannot_be_split_over_the_processes_is_refused():
    with pytest.raises(ValueError, match="a batch of 24 cannot be split evenly over 5 processes"):
        TrainConfig(steps=1, batch=24).passes(5)


@pytest.mark.parametrize(
    "schedule, step, expected",
    [
        ("constant", 0, 0.1),
        ("constant", 4, 0.5),
        ("constant", 9, 1.0),
        ("constant", 99, 1.0),
        ("cosine", 0, 0.1),
        ("cosine", 50, 0.5),
        ("cosine", 75, 0.5 - 8**-0.5),
    ],
)
def test_learning_rate_warms_up_and_decays(schedule, step, expected):
    assert TrainConfig(steps=100, batch=1, lr=1.0, warmup=10, schedule=schedule).lr_at(step) == pytest.approx(
        expected, rel=1e-2
    )
