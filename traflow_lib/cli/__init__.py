"""The command line: python -m traflow_lib COMMAND, one command a file, named as the command."""

import sys

import typer

from . import (
    bench,
    compare,
    course,
    data,
    distill,
    doctor,
    evaluate,
    import_teacher,
    notebook,
    sample,
    search,
    settings,
    store,
    tables,
    train,
)

COMMANDS = (
    data,
    import_teacher,
    train,
    distill,
    bench,
    search,
    sample,
    evaluate,
    notebook,
    course,
    tables,
    compare,
    store,
    settings,
    doctor,
)

app = typer.Typer(
    help="TraFlow-lab: trajectory distillation on pre-trained rectified flows.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for module in COMMANDS:
    app.command(module.__name__.rpartition(".")[2].replace("_", "-"))(module.run)


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
