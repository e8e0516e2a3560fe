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
DEBUG = "--debug"


def application(about: str) -> typer.Typer:
    """A command line without commands yet, which tells this of itself."""
    look: dict = {"rich_markup_mode": None, "pretty_exceptions_enable": False, "add_completion": False}
    return typer.Typer(help=about, no_args_is_help=True, **look)


def run_command(app: typer.Typer, program: str, arguments: list[str] | None = None) -> int:
    """Run one command; what the user can mend is one line on stderr and exit status 2.

    What is a fault of the kit is one line and status 1; with --debug either shows where it comes from.
    """
    given = [*(sys.argv[1:] if arguments is None else arguments)]
    words = [word for word in given if word != DEBUG]
    try:
        status = app(words or ["--help"], prog_name=program, standalone_mode=False) or 0
        return status if words else 2
    except SystemExit as end:
        return int(end.code or 0)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if DEBUG in given:
            raise
        line, status = _told(error, words)
        print(f"error: {line}", file=sys.stderr)
        return status


def _told(error: Exception, words: list[str]) -> tuple[str, int]:
    """An error in one line, and the exit status."""
    if hasattr(error, "format_message"):  # typer's, of options that do not exist or have another type
        options = getattr(getattr(error, "param", None), "opts", [])
        value = [f" (given: {after})" for word, after in zip(words, words[1:]) if word in options][-1:]
        line = _joined(error.format_message()).removesuffix(".") + "".join(value)
        context = getattr(error, "ctx", None)
        return line + (f"; see {context.command_path} --help" if context else ""), 2
    if type(error).__name__ == "Abort":  # typer's, of Ctrl-C
        return "interrupted; the same command goes on", 130
    if isinstance(error, MemoryError):
        return "there is not enough memory; smaller batches or fewer samples take less", 2
    if isinstance(error, (ValueError, OSError, ImportError, RuntimeError)):
        return _joined(str(error)), 2
    return f"{type(error).__name__}: {_joined(str(error))} (a fault of the kit; {DEBUG} shows where)", 1


def _joined(text: str) -> str:
    return " ".join(text.split())


app = application(
    "TraFlow-lab: trajectory distillation on pre-trained rectified flows. "
    "An error is one line; add --debug to see where it comes from."
)
for name, command in COMMANDS.items():
    app.command(name)(command)


def main(arguments: list[str] | None = None) -> int:
    """The whole command line: see run_command."""
    return run_command(app, "python -m traflow_lib", arguments)
