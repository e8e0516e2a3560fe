"""What an exercise is, and how an answer is checked.

An exercise says why an answer is wrong and never what the right one is. Everything about it stands in one
place: its text, the cell a student begins with, the solution, and the mistakes a student would plausibly
make, each with the words its check must find for it. Notebooks, solutions and assignments are made from that
(course/build.py).
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

POINTS = {"warm-up": 1, "core": 2, "project": 4}


class Wrong(Exception):
    """An answer is wrong; the message says why."""


class Unanswered(Exception):
    """The starter cell was left as it is."""


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    number: lesson and place, "03.2". grade: a key of POINTS. text: Markdown; says what is asked, and of which
    shape. starter: the cell to complete, whose open places are `...`; runs as it is. answer: the name it
    gives the answer. check: raises Wrong if the answer is wrong, with the reason. solution: the cell
    completed. mistakes: by name of the mistake, a completed cell with it and words of the message that it
    must get. hints: from vague to plain.
    """

    number: str
    grade: str
    title: str
    text: str
    starter: str
    answer: str
    check: Callable[[Any], None]
    solution: str
    mistakes: dict[str, tuple[str, str]] = field(default_factory=dict)
    hints: tuple[str, ...] = ()

    @property
    def points(self) -> int:
        """What a right answer is worth."""
        return POINTS[self.grade]

    def verdict(self, answer: Any) -> str:
        """What the student reads: right, not answered yet, or why it is wrong."""
        try:
            self.grade_answer(answer)
        except Unanswered:
            return f"exercise {self.number}: not answered yet"
        except Wrong as why:
            return f"exercise {self.number}: not right yet. {why}"
        return f"exercise {self.number}: right"

    def grade_answer(self, answer: Any) -> None:
        """Raises Unanswered or Wrong unless the answer is right; an error in a student's function is Wrong.

        Warnings on the way are not shown: graders take what stands on stderr for a failure.
        """
        if answer is ...:
            raise Unanswered(self.number)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.check(answer)
        except (Wrong, Unanswered):
            raise
        except Exception as error:
            raise Wrong(f"It ends in {type(error).__name__}: {error}") from error


def asked(function: Callable, *args: Any) -> Any:
    """What a student's function returns; Unanswered if its body is still `...`, Wrong if it gives nothing."""
    if not callable(function):
        raise Wrong(f"A function is asked for; this is {type(function).__name__}.")
    found = function(*args)
    if found is ...:
        raise Unanswered
    if found is None:
        raise Wrong("The function returns nothing; does it end in `return`?")
    return found


def number(answer: Any) -> float:
    """The answer as a float; Wrong if it is no single, finite number."""
    try:
        found = float(answer)
    except (TypeError, ValueError) as error:
        raise Wrong(f"One number is asked for; this is {type(answer).__name__}.") from error
    if not math.isfinite(found):
        raise Wrong(f"A number is asked for; this is {found}.")
    return found


def close(found: float, right: float, within: float = 1e-3) -> bool:
    """Whether two numbers agree to a share `within` of the right one (or absolutely, if that is zero)."""
    return abs(found - right) <= within * (abs(right) or 1.0)


def not_one_of(answer: Any, right: float, known: dict[str, float], within: float = 1e-3) -> None:
    """Check a number: Wrong with the reason if it is a known mistake's value, or simply not the right one.

    known: reason -> the value that this mistake gives.
    """
    found = number(answer)
    if close(found, right, within):
        return
    for why, value in known.items():
        if close(found, value, within):
            raise Wrong(why)
    raise Wrong(f"{found:g} is {'too large' if found > right else 'too small'}.")


def compare(found: Any, right: Tensor, known: dict[str, Tensor], within: float = 1e-4) -> None:
    """Check a tensor: Wrong if its type, shape or values are not the right ones, with the reason.

    known: reason -> what this mistake gives. within: of the largest value of the right one.
    """
    if not isinstance(found, Tensor):
        raise Wrong(f"A tensor is asked for; this is {type(found).__name__}.")
    if found.shape != right.shape:
        raise Wrong(f"The shape {list(right.shape)} is asked for; this has {list(found.shape)}.")
    if not found.isfinite().all():
        raise Wrong("Some of the values are infinite or not a number.")
    scale = right.abs().max().double()

    def off(other: Tensor) -> float:
        return ((found.double() - other.double()).abs().max() / scale).item()

    if off(right) <= within:
        return
    for why, value in known.items():
        if off(value) <= within:
            raise Wrong(why)
    raise Wrong(f"The shape is right, the values are not: they are off by up to {off(right) * scale:.3g}.")
