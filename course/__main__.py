"""python -m course COMMAND: exercises into the notebooks, solved ones, the lecturer's pack."""

import sys
from pathlib import Path

import typer

from traflow_lib.files import paths

from . import LESSONS, build, coursework

app = typer.Typer(
    help="Exercises of the course.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _chosen(lessons: list[str]) -> list[str]:
    if unknown := set(lessons) - set(LESSONS):
        raise ValueError(f"no lesson {', '.join(sorted(unknown))}; there are {', '.join(LESSONS)}")
    return [lesson for lesson in build.with_exercises() if lesson in (lessons or LESSONS)]


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
    """Run one command; what the user can mend is one line on stderr and exit status 2."""
    try:
        app(prog_name="python -m course")
    except SystemExit as end:
        return int(end.code or 0)
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
