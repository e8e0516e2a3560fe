"""Every exercise: the solution is right, each mistake is wrong for its reason, the starter is neither.

And the checks themselves: they pass what is right, and say what is wrong with an answer.
"""

import math
import re

import pytest
import torch

import course
from course import checking
from course.exercise import POINTS, Exercise, Unanswered, Wrong


def answers(exercise: Exercise, code: str):
    """What a cell with this code gives as the answer."""
    names: dict = {"__name__": "student"}
    exec(compile(code, exercise.number, "exec"), names)
    return names[exercise.answer]


LESSONS = [lesson for lesson in course.LESSONS if course.exercises(lesson)]
ALL = [exercise for lesson in LESSONS for exercise in course.exercises(lesson)]
each = pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.number)


@each
def test_the_solution_is_right(exercise):
    assert exercise.verdict(answers(exercise, exercise.solution)) == f"exercise {exercise.number}: right"


@each
def test_the_starter_runs_and_is_not_answered_yet(exercise):
    verdict = exercise.verdict(answers(exercise, exercise.starter))
    assert verdict == f"exercise {exercise.number}: not answered yet"


@each
def test_each_mistake_gets_a_message_of_its_own(exercise):
    assert len(exercise.mistakes) >= 2
    said = {}
    for name, (code, words) in exercise.mistakes.items():
        verdict = exercise.verdict(answers(exercise, code))
        assert "not right yet" in verdict and words in verdict, f"{name}: {verdict}"
        said[verdict] = name
    assert len(said) == len(exercise.mistakes), "two mistakes get the same message"


@each
def test_no_message_tells_the_answer(exercise):
    """The completed lines of a solution stand in no text, hint, starter or message."""
    given = set(exercise.starter.splitlines())
    lines = [line.strip() for line in exercise.solution.splitlines() if line not in given]
    seen = " ".join([exercise.text, *exercise.hints, *(words for _, words in exercise.mistakes.values())])
    assert not [line for line in lines if len(line) > 12 and line in seen]


@each
def test_texts_render(exercise):
    """A line of a formula that begins with a sign becomes a list, an underscore outside of one may vanish."""
    special = re.compile(r"\$\$.*?\$\$|\$[^$]+\$|`[^`]+`", re.DOTALL)
    for text in (exercise.text, *exercise.hints):
        for part in special.findall(text):
            assert "\n" not in part or part.startswith("$$"), part
            assert not re.search(r"^\s*[-+]", part, re.MULTILINE), part
        assert not re.search(r"[$`_^]", special.sub("", text))


@each
def test_an_exercise_is_complete(exercise):
    assert exercise.grade in POINTS and exercise.title and exercise.text and exercise.hints
    assert "..." in exercise.starter and "..." not in exercise.solution


def test_numbers_are_in_order():
    for lesson in LESSONS:
        found = [exercise.number for exercise in course.exercises(lesson)]
        assert found == [f"{lesson}.{place}" for place in range(1, len(found) + 1)]


@pytest.mark.parametrize(
    "number, message", [("99.1", "no lesson '99'"), ("00.99", "no exercise '00.99'; lesson 00")]
)
def test_an_unknown_exercise_lists_what_there_is(number, message):
    with pytest.raises(ValueError, match=message):
        course.find(number)


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
