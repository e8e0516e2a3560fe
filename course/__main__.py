"""python -m course COMMAND: exercises into the notebooks, solved ones, the lecturer's pack."""

import sys
from pathlib import Path

from traflow_lib.cli import application, run_command
from traflow_lib.files import paths

from . import LESSONS, build, coursework

app = application("Exercises of the course.")


def _chosen(lessons: list[str]) -> list[str]:
    if unknown := set(lessons) - set(LESSONS):
        raise ValueError(f"no lesson {', '.join(sorted(unknown))}; there are {', '.join(LESSONS)}")
    return [lesson for lesson in LESSONS if lesson in (lessons or LESSONS)]


@app.command()
def write(lesson: list[str] = []) -> None:
    """Write the exercises of all lessons (or those named) into notebooks/, and their list into the plan."""
    for number in _chosen(lesson):
        (file,) = paths.root().joinpath("notebooks").glob(f"{number}_*.ipynb")
        build.write_into(file, number)
        print(file.name)
    build.write_plan(paths.root() / "course" / "plan.md")


@app.command()
def solutions(folder: Path) -> None:
    """Write a notebook a lesson with its exercises solved."""
    for file in build.solutions(folder):
        print(file)


@app.command("coursework")
def pack(lesson: list[str] = [], folder: Path | None = None) -> None:
    """Make the lecturer's pack (by default in runs/coursework) and try it on a made-up class."""
    where = (folder or paths.runs() / "coursework").absolute()
    print(coursework.make(where, _chosen(lesson)))
    print(f"the lecturer's pack: {where}")


def main() -> int:
    """The whole command line: see run_command."""
    return run_command(app, "python -m course")


if __name__ == "__main__":
    sys.exit(main())
