"""What an exercise is.

An exercise says why an answer is wrong and never what the right one is. Everything about it stands in one
place: its text, the cell a student begins with, the solution, and the mistakes a student would plausibly
make, each with the words its check must find for it. Notebooks, solutions and assignments are made from that
(course/build.py).
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

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
    completed. wrong: by name of a mistake, what stands in place of the starter's `...`, or text of the
    solution and what stands in its place (and so on, in pairs); last the words of the message that it must
    get. hints: from vague to plain.
    """

    number: str
    grade: str
    title: str
    text: str
    starter: str
    answer: str
    check: Callable[[Any], None]
    solution: str
    wrong: dict[str, tuple[str, ...]] = field(default_factory=dict)
    hints: tuple[str, ...] = ()

    @property
    def points(self) -> int:
        """What a right answer is worth."""
        return POINTS[self.grade]

    @property
    def mistakes(self) -> dict[str, tuple[str, str]]:
        """By name, a completed cell with the mistake and words of its message; ValueError if it has none."""
        made = {}
        for name, (*edits, words) in self.wrong.items():
            cell, pairs = (self.starter, ["...", *edits]) if len(edits) == 1 else (self.solution, edits)
            for old, new in zip(pairs[::2], pairs[1::2], strict=True):
                if old not in cell:
                    raise ValueError(f"'{old}' is not in the cell with the mistake '{name}'")
                cell = cell.replace(old, new)
            made[name] = cell, words
        return made

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
