"""The command line: python -m traflow_lib COMMAND."""

import sys
from collections.abc import Callable

import typer

from . import distill, evaluate, needs, results, sample, training

COMMANDS: dict[str, Callable] = {
    "data": needs.prepare_data,
    "import-teacher": needs.import_teacher,
    "train": training.train,
    "distill": distill.run,
    "bench": training.run_bench,
    "search": training.run_search,
    "sample": sample.run,
    "evaluate": evaluate.run,
    "notebook": results.run_notebook,
    "course": results.copy_course,
    "tables": results.build_tables,
    "compare": results.compare,
    "store": results.store_results,
    "settings": results.show_settings,
    "doctor": needs.doctor,
}


def application(about: str) -> typer.Typer:
    """A command line without commands yet, which tells this of itself."""
    look: dict = {"rich_markup_mode": None, "pretty_exceptions_enable": False, "add_completion": False}
    return typer.Typer(help=about, no_args_is_help=True, **look)


def run_command(app: typer.Typer, program: str, arguments: list[str] | None = None) -> int:
    """Run one command; what the user can mend is one line on stderr and exit status 2."""
    try:
        app(arguments, prog_name=program)
    except SystemExit as end:
        return int(end.code or 0)
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


app = application("TraFlow-lab: trajectory distillation on pre-trained rectified flows.")
for name, command in COMMANDS.items():
    app.command(name)(command)


def main(arguments: list[str] | None = None) -> int:
    """The whole command line: see run_command."""
    return run_command(app, "python -m traflow_lib", arguments)
