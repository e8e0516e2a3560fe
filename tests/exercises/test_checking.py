"""Checks pass what is right, recognise known mistakes, and say what else is wrong with an answer."""

import math

import pytest
import torch

from course import checking
from course.exercise import Exercise, Unanswered, Wrong

RIGHT = torch.tensor([1.0, 2.0])
KNOWN = {"turned round": -RIGHT}


@pytest.mark.parametrize("right", [RIGHT, RIGHT.double(), RIGHT + 1e-6, RIGHT.clone().requires_grad_()])
def test_a_right_tensor_passes_in_any_precision(right):
    checking.check_tensor(right, RIGHT, KNOWN)


@pytest.mark.parametrize(
    "wrong, message",
    [
        (-RIGHT, "turned round"),
        (RIGHT + 1, "another one"),
        (RIGHT * float("nan"), "not finite"),
        (RIGHT[:, None], r"shape \[2\] is asked for; this one has the shape \[2, 1\]"),
        ([1.0, 2.0], "this is list"),
    ],
)
def test_a_wrong_tensor_is_told_why(wrong, message):
    with pytest.raises(Wrong, match=message):
        checking.check_tensor(wrong, RIGHT, KNOWN, "another one")


def test_a_wrong_tensor_without_words_for_it_is_told_how_far_it_is_off():
    with pytest.raises(Wrong, match="the values are not: they are off by up to 1"):
        checking.check_tensor(RIGHT + torch.tensor([0.5, 1.0]), RIGHT, KNOWN)


def test_a_tensor_without_dimensions_may_be_a_number():
    checking.check_tensor(3.0, torch.tensor(3.0), {})
    with pytest.raises(Wrong, match=r"One number, .* has the shape \[2\]"):
        checking.check_tensor(RIGHT, torch.tensor(3.0), {})


def test_what_is_exactly_right_has_no_room():
    checking.check_tensor(RIGHT, RIGHT, {}, within=0)
    with pytest.raises(Wrong):
        checking.check_tensor(RIGHT + 1e-6, RIGHT, {}, within=0)


@pytest.mark.parametrize(
    "wrong, message",
    [
        (-2, "sign"),
        (1.9, "1.9 is too small"),
        (3, "3 is too large"),
        (math.inf, "this is inf"),
        ("two", "this is str"),
        (RIGHT, r"this is Tensor of shape \[2\]"),
    ],
)
def test_a_wrong_number_is_told_why(wrong, message):
    for right in (2, 2.0001, torch.tensor(2.0), torch.tensor([2.0])):
        checking.check_number(right, 2, {})
    with pytest.raises(Wrong, match=message):
        checking.check_number(wrong, 2, {"sign": -2})


def test_several_numbers_are_counted():
    assert checking.numbers((1, torch.tensor(2.0)), 2) == checking.numbers(RIGHT, 2) == [1, 2]
    for wrong in (1, (1, 2, 3), RIGHT[0]):
        with pytest.raises(Wrong, match="2 numbers are asked for"):
            checking.numbers(wrong, 2)


def test_a_wrong_set_is_told_why():
    checking.check_equal({1, 2}, {2, 1}, {}, "others")
    with pytest.raises(Wrong, match="all of them"):
        checking.check_equal({1, 2, 3}, {1, 2}, {"all of them": {1, 2, 3}}, "others")
    with pytest.raises(Wrong, match="others"):
        checking.check_equal({4}, {1, 2}, {"all of them": {1, 2, 3}}, "others")


def test_a_function_has_to_be_one_and_to_return_something():
    assert checking.asked(max, 1, 2) == 2
    with pytest.raises(Unanswered):
        checking.asked(lambda: ...)
    with pytest.raises(Wrong, match="returns nothing"):
        checking.asked(lambda: None)
    with pytest.raises(Wrong, match="this is int"):
        checking.asked(3)


def test_a_mistake_that_changes_nothing_is_no_mistake():
    wrong = {"filled in": ("1", "w"), "changed": ("+", "-", "b", "c", "w")}
    exercise = Exercise("00.9", "core", "", "", "x = ...", "x", print, "x = a + b", wrong)
    assert exercise.mistakes == {"filled in": ("x = 1", "w"), "changed": ("x = a - c", "w")}
    exercise.wrong["nothing"] = "*", "/", "w"
    with pytest.raises(ValueError, match=r"'\*' is not in the cell with the mistake 'nothing'"):
        _ = exercise.mistakes
