"""TrainConfig: options are checked by name before anything runs, and the learning rate follows its schedule."""

import pytest

from traflow_lib.training import TrainConfig


@pytest.mark.parametrize("options, message", [
    ({"steps": 5, "batch": 2, "learning_rate": 1}, "learning_rate"),
    ({"steps": 5}, "batch"),
    ({"batch": 5}, "steps"),
    ({"steps": 5, "batch": 2, "schedule": "linear"}, "linear"),
    ({"steps": 5, "batch": 2, "precision": "fp16"}, "fp16"),
], ids=["unknown", "no batch", "no steps", "schedule", "precision"])  # fmt: skip
def test_wrong_training_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig.of(options)


@pytest.mark.parametrize("schedule, step, expected", [
    ("constant", 0, 0.1), ("constant", 4, 0.5), ("constant", 9, 1.0), ("constant", 99, 1.0),
    ("cosine", 0, 0.1), ("cosine", 50, 0.5), ("cosine", 75, 0.5 - 8**-0.5),
])  # fmt: skip
def test_learning_rate_warms_up_and_decays(schedule, step, expected):
    assert TrainConfig(steps=100, batch=1, lr=1.0, warmup=10, schedule=schedule).lr_at(step) == pytest.approx(expected, rel=1e-2)
