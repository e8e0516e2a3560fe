"""Exercises that check themselves; `check("00.1", answer)` in a notebook says whether an answer is right."""

from functools import cache
from importlib import import_module
from typing import Any

from .exercise import Exercise

LESSONS = [f"{lesson:02}" for lesson in range(14)]


@cache
def exercises(lesson: str) -> list[Exercise]:
    """The exercises of one lesson ("00" to "13"), in order."""
    return import_module(f"{__name__}.lesson_{lesson}").EXERCISES


def find(number: str) -> Exercise:
    """The exercise of this number; a ValueError lists the lesson's if there is none."""
    lesson = number.partition(".")[0]
    if lesson not in LESSONS:
        raise ValueError(f"no lesson '{lesson}'; there are {', '.join(LESSONS)}")
    found = {exercise.number: exercise for exercise in exercises(lesson)}
    if number not in found:
        raise ValueError(f"no exercise '{number}'; lesson {lesson} has {', '.join(found)}")
    return found[number]


def check(number: str, answer: Any) -> None:
    """Print whether the answer to an exercise is right, and if not, why."""
    print(find(number).verdict(answer))
