"""Writes exercises where people meet them: into lessons, solved, and as assignments (source of nbgrader)."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from traflow_lib.reports.tables import markdown

from . import LESSONS, exercises
from .exercise import Exercise

TAG = "exercise"  # of every cell that is written here
INTRODUCTION = (
    "## Exercises\n\nComplete the cells; the line below each says whether it is right, and if not, why. "
    "`[w]` warm-up, `[c]` core, `[p]` project."
)
LISTED = "<!-- exercises: python -m course write -->\n"  # in the plan, what follows is written
KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
# as nbgrader wants them: what stands between these lines is in no student's version
SOLUTION = "### BEGIN SOLUTION\n{}\n### END SOLUTION"
HIDDEN_TEST = "### BEGIN HIDDEN TESTS\n{}\n### END HIDDEN TESTS"


def cells(exercise: Exercise, solved: bool = False) -> list[dict]:
    """Text, the cell to complete (or completed), and its check."""
    hints = "".join(
        f"\n\n<details><summary>Hint</summary>\n\n{hint}\n\n</details>" for hint in exercise.hints
    )
    heading = f"### {exercise.number} {exercise.title} [{exercise.grade[0]}]"
    ask = f'course.check("{exercise.number}", {exercise.answer})'
    printed = f"exercise {exercise.number}: {'right' if solved else 'not answered yet'}\n"
    made = [
        new_markdown_cell(f"{heading}\n\n{exercise.text}{hints}"),
        new_code_cell(exercise.solution if solved else exercise.starter),
        new_code_cell(ask, outputs=[new_output("stream", name="stdout", text=printed)]),
    ]
    for place, cell in enumerate(made):
        cell["id"] = f"exercise-{exercise.number.replace('.', '-')}-{place}"
        cell["metadata"] = {"tags": [TAG]}
    return made


def section(lesson: str, solved: bool = False) -> list[dict]:
    """All cells of a lesson's exercises."""
    first = new_markdown_cell(INTRODUCTION, id="exercises", metadata={"tags": [TAG]})
    begin = new_code_cell("import course", id="exercises-import", metadata={"tags": [TAG]})
    return [first, begin, *(cell for exercise in exercises(lesson) for cell in cells(exercise, solved))]


def write_into(file: Path, lesson: str) -> None:
    """Put the lesson's exercises into its notebook before the references, in place of those there.

    ValueError if no cell begins with the references.
    """
    notebook = nbformat.read(file, as_version=4)
    others = [cell for cell in notebook.cells if TAG not in cell.metadata.get("tags", [])]
    places = [i for i, cell in enumerate(others) if cell.source.startswith("## References\n")]
    if not places:
        raise ValueError(f"{file} has no '## References' cell, before which exercises belong")
    notebook.cells = others[: places[0]] + section(lesson) + others[places[0] :]
    _count(notebook)
    nbformat.write(notebook, file)


def write_plan(file: Path) -> None:
    """List all exercises at the end of the plan, in place of those there."""
    rows = [
        [f"{exercise.number} {exercise.title}", exercise.grade, f"{exercise.points}"]
        for lesson in LESSONS
        for exercise in exercises(lesson)
    ]
    text, mark, _ = file.read_text(encoding="utf-8").partition(LISTED)
    file.write_text(text + mark + markdown(["exercise", "grade", "points"], rows), encoding="utf-8")


def solutions(folder: Path) -> list[Path]:
    """A notebook a lesson with its exercises solved, below `folder`."""
    return [
        _write(folder / f"solutions_{lesson}.ipynb", f"# Solutions of lesson {lesson}", section(lesson, True))
        for lesson in LESSONS
    ]


def assignment(file: Path, lesson: str) -> Path:
    """A lesson's exercises as nbgrader's source: with solutions, tests and points, which it takes apart."""
    made = section(lesson)
    made[1].metadata["nbgrader"] = _part("exercises-import")
    for place, exercise in enumerate(exercises(lesson)):
        _, answer, test = made[2 + 3 * place : 5 + 3 * place]
        answer.source = f"{exercise.starter}\n{SOLUTION.format(exercise.solution)}"
        answer.metadata["nbgrader"] = _part(answer["id"], solution=True)
        # an assertion here: a traceback into the check would show in the feedback what is right
        verdict = f'course.find("{exercise.number}").verdict({exercise.answer})'
        hidden = f'assert {verdict} == "exercise {exercise.number}: right"'
        test.source = f"{test.source}\n{HIDDEN_TEST.format(hidden)}"
        test.metadata["nbgrader"] = _part(test["id"], points=exercise.points)
    points = sum(exercise.points for exercise in exercises(lesson))
    return _write(file, f"# Exercises of lesson {lesson}\n\n{points} points.", made)


def _part(name: str, solution: bool = False, points: int | None = None) -> dict:
    """What nbgrader has to know about a cell: a student's own, one that gives points, or one to keep."""
    tested = {"points": points} if points else {}
    kind = {"grade": bool(points), "solution": solution, "locked": not solution, "task": False}
    return {"schema_version": 3, "grade_id": name, **kind, **tested}


def _count(notebook) -> None:
    """Number the code cells as if they had been run from top to bottom."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for count, cell in enumerate(code, start=1):
        cell.execution_count = count
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = count


def _write(file: Path, title: str, made: list[dict]) -> Path:
    """A notebook of its own with these cells below a title."""
    notebook = new_notebook(cells=[new_markdown_cell(title, id="title"), *made], metadata=KERNEL)
    _count(notebook)
    file.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, file)
    return file
