"""Checks that recognise mistakes say which one it is, and what else is wrong with an answer."""

import pytest
import torch

from course.exercise import Wrong
from course.mistakes import changed, is_one_of, tensor_is

RIGHT = torch.tensor([1.0, 2.0])
KNOWN = {"turned round": -RIGHT}


@pytest.mark.parametrize("right", [RIGHT, RIGHT.double(), RIGHT + 1e-6, RIGHT.clone().requires_grad_()])
def test_a_right_tensor_passes_in_any_precision(right):
    tensor_is(right, RIGHT, KNOWN, "another one")


@pytest.mark.parametrize(
    "wrong, message",
    [
        (-RIGHT, "turned round"),
        (RIGHT + 1, "another one"),
        (RIGHT * float("nan"), "not finite"),
        (RIGHT[:, None], r"shape \[2\] is asked for; this one has \[2, 1\]"),
        ([1.0, 2.0], "this is list"),
    ],
)
def test_a_wrong_tensor_is_told_why(wrong, message):
    with pytest.raises(Wrong, match=message):
        tensor_is(wrong, RIGHT, KNOWN, "another one")


def test_a_wrong_set_is_told_why():
    is_one_of({1, 2}, {2, 1}, {}, "others")
    with pytest.raises(Wrong, match="all of them"):
        is_one_of({1, 2, 3}, {1, 2}, {"all of them": {1, 2, 3}}, "others")
    with pytest.raises(Wrong, match="others"):
        is_one_of({4}, {1, 2}, {"all of them": {1, 2, 3}}, "others")


def test_a_mistake_that_changes_nothing_is_no_mistake():
    assert changed("a + b", ("+", "-"), ("b", "c")) == "a - c"
    with pytest.raises(ValueError, match=r"'\*' is not in this solution"):
        changed("a + b", ("*", "/"))
