"""The lecturer's pack: assignments for nbgrader, and a made-up class that shows that grading works.

Below one folder, which is a course of nbgrader (its commands work there):

    source/lesson_00/     the assignment with solutions, hidden tests and points; made anew each time
    release/lesson_00/    what students get
    solutions/            what they get afterwards
    gradebook.db          the assignments and, later, the real class
    trial/                three made-up hand-ins of every lesson, graded in a gradebook of their own
"""

import os
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import nbformat

from traflow_lib.reports.tables import markdown

from . import build, exercises
from .exercise import Exercise

CONFIG = """c = get_config()
c.ClearSolutions.code_stub = {"python": ""}  # what a student begins with stands above the solution
c.Execute.timeout = 300  # seconds a cell
# without the kernel's remarks on its own transport, and without a file for what was typed
c.Execute.extra_arguments = ["--IPKernelApp.log_level=CRITICAL", "--HistoryManager.hist_file=:memory:"]
"""


def _every_second(exercise: Exercise, place: int) -> str:
    return exercise.solution if place % 2 == 0 else next(iter(exercise.mistakes.values()))[0]


# the made-up class: what each writes into the cell of the exercise at this place of its lesson
CLASS: dict[str, Callable[[Exercise, int], str]] = {
    "all_right": lambda exercise, place: exercise.solution,
    "some_right": _every_second,
    "nothing": lambda exercise, place: exercise.starter,
}


def name(lesson: str) -> str:
    """What a lesson's assignment is called."""
    return f"lesson_{lesson}"


def due(student: str, lesson: str) -> int:
    """The points that a hand-in of the made-up class must get."""
    written = CLASS[student]
    given = [
        exercise for i, exercise in enumerate(exercises(lesson)) if written(exercise, i) == exercise.solution
    ]
    return sum(exercise.points for exercise in given)


def release(folder: Path, lessons: list[str]) -> list[Path]:
    """The assignments of these lessons for lecturer and students; the students' versions.

    ImportError without nbgrader, RuntimeError if it refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nbgrader_config.py").write_text(CONFIG, encoding="utf-8")
    api = _nbgrader(folder, folder)
    made = []
    for lesson in lessons:
        build.assignment(folder / "source" / name(lesson) / f"{name(lesson)}.ipynb", lesson)
        _succeed(api.generate_assignment(name(lesson)), name(lesson))
        made.append(folder / "release" / name(lesson) / f"{name(lesson)}.ipynb")
    return made


def hand_in(released: Path, file: Path, student: str, lesson: str) -> None:
    """What a student of the made-up class hands in: the released notebook with the student's cells."""
    notebook = nbformat.read(released, as_version=4)
    cell = {cell["id"]: cell for cell in notebook.cells}
    for place, exercise in enumerate(exercises(lesson)):
        cell[build.cells(exercise)[1]["id"]].source = CLASS[student](exercise, place)
    file.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, file)


def trial(folder: Path, lessons: list[str]) -> dict[str, dict[str, float]]:
    """Grade the made-up class's hand-ins of released lessons: lesson -> student -> points."""
    from nbgrader.api import Gradebook

    place = folder / "trial"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    shutil.copy(folder / "gradebook.db", place / "gradebook.db")
    api, found = _nbgrader(place, folder), {}
    for lesson in lessons:
        file = Path(name(lesson)) / f"{name(lesson)}.ipynb"
        for student in CLASS:
            hand_in(folder / "release" / file, place / "submitted" / student / file, student, lesson)
            with warnings.catch_warnings():  # of its own use of its database
                warnings.simplefilter("ignore")
                result = api.autograde(name(lesson), student)
            _succeed(result, f"{name(lesson)} of {student}")
        with Gradebook(f"sqlite:///{place / 'gradebook.db'}") as book:
            found[lesson] = {student: book.find_submission(name(lesson), student).score for student in CLASS}
        print(f"{name(lesson)}: released, and {len(CLASS)} hand-ins graded", flush=True)
    return found


def points(found: dict[str, dict[str, float]]) -> str:
    """The made-up class's points as a Markdown table."""
    most = {lesson: sum(exercise.points for exercise in exercises(lesson)) for lesson in found}
    rows = [
        [name(lesson), f"{len(exercises(lesson))}", f"{most[lesson]}", *(f"{row[who]:g}" for who in CLASS)]
        for lesson, row in found.items()
    ]
    last = [f"{sum(row[who] for row in found.values()):g}" for who in CLASS]
    total = ["all", f"{sum(len(exercises(lesson)) for lesson in found)}", f"{sum(most.values())}", *last]
    return markdown(["assignment", "exercises", "points", *CLASS], [*rows, total])


def make(folder: Path, lessons: list[str]) -> str:
    """The whole pack; a table of the made-up class's points. RuntimeError if they are not those due."""
    release(folder, lessons)
    build.solutions(folder / "solutions")
    found = trial(folder, lessons)
    table = points(found)
    (folder / "trial" / "points.md").write_text(table, encoding="utf-8")
    for lesson, row in found.items():
        for student, got in row.items():
            if got != due(student, lesson):
                raise RuntimeError(
                    f"{name(lesson)}: {student} got {got:g} points, due are {due(student, lesson)}"
                )
    return table


def _nbgrader(root: Path, configured: Path):
    """Nbgrader's interface for the course at `root`, with the configuration that lies in another folder."""
    try:
        from nbgrader.apps import NbGraderAPI
        from traitlets.config import PyFileConfigLoader
    except ImportError as error:
        raise ImportError("nbgrader is not installed: `make coursework` installs it into .venv") from error
    # it calls alembic by its name
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    config = PyFileConfigLoader("nbgrader_config.py", path=str(configured)).load_config()
    config.CourseDirectory.root = str(root)
    return NbGraderAPI(config=config)


def _succeed(result: dict, what: str) -> None:
    if not result["success"]:
        raise RuntimeError(f"nbgrader failed at {what}: {result.get('log') or result.get('error')}")
