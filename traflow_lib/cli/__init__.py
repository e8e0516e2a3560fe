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

app = typer.Typer(
    help="TraFlow-lab: trajectory distillation on pre-trained rectified flows.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for name, command in COMMANDS.items():
    app.command(name)(command)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; what the user can mend is one line on stderr and exit status 2."""
    try:
        app(arguments, prog_name="python -m traflow_lib")
    except SystemExit as end:
        return int(end.code or 0)
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
