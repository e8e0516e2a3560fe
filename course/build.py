"""Writes exercises where people meet them: into the lessons' notebooks, and solved in notebooks of their own."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from . import LESSONS, exercises
from .exercise import Exercise

TAG = "exercise"  # of every cell that is written here
HEADING = "## Exercises"
INTRODUCTION = (
    f"{HEADING}\n\nComplete the cells; the line below each says whether it is right, and if not, why. "
    "`[w]` warm-up, `[c]` core, `[p]` project."
)


def cells(exercise: Exercise, solved: bool = False) -> list[dict]:
    """Text, the cell to complete (or completed), and its check."""
    hints = "".join(f"\n\n<details><summary>Hint</summary>{hint}</details>" for hint in exercise.hints)
    heading = f"### {exercise.number} {exercise.title} [{exercise.grade[0]}]"
    ask = f'check("{exercise.number}", {exercise.answer})'
    printed = exercise.verdict(...).replace("not answered yet", "right" if solved else "not answered yet")
    tests = new_code_cell(ask, outputs=[new_output("stream", name="stdout", text=printed + "\n")])
    made = [
        new_markdown_cell(f"{heading}\n\n{exercise.text}{hints}"),
        new_code_cell(exercise.solution if solved else exercise.starter),
        tests,
    ]
    for place, cell in enumerate(made):
        cell["id"] = f"exercise-{exercise.number.replace('.', '-')}-{place}"
        cell["metadata"] = {"tags": [TAG]}
    return made


def section(lesson: str, solved: bool = False) -> list[dict]:
    """All cells of a lesson's exercises."""
    first = new_markdown_cell(INTRODUCTION, id="exercises", metadata={"tags": [TAG]})
    begin = new_code_cell("from course import check", id="exercises-import", metadata={"tags": [TAG]})
    return [first, begin, *(cell for exercise in exercises(lesson) for cell in cells(exercise, solved))]


def write_into(file: Path, lesson: str) -> None:
    """Put the lesson's exercises into its notebook, in place of those there: before the references."""
    notebook = nbformat.read(file, as_version=4)
    others = [cell for cell in notebook.cells if TAG not in cell.metadata.get("tags", [])]
    place = next(i for i, cell in enumerate(others) if cell.source.startswith("## References"))
    notebook.cells = others[:place] + section(lesson) + others[place:]
    count = 0
    for cell in notebook.cells:
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
    nbformat.write(notebook, file)


def solutions(folder: Path) -> list[Path]:
    """A notebook a lesson with its exercises solved, below `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for lesson in LESSONS:
        title = new_markdown_cell(f"# Solutions of lesson {lesson}", id="title")
        files.append(folder / f"solutions_{lesson}.ipynb")
        nbformat.write(new_notebook(cells=[title, *section(lesson, solved=True)]), files[-1])
    return files
