"""TrainConfig: options are checked by name before anything runs, the learning rate follows its schedule."""

import pytest

from traflow_lib.training.config import TrainConfig


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
