"""Every exercise: the solution is right, each mistake is wrong for its reason, the starter is neither."""

import re

import pytest

import course
from course.exercise import POINTS, Exercise


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
