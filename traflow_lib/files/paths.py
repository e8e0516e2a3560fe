"""Where things live; the only module that knows.

The places can be set by environment variables. A relative one means the same folder for everything that a
command starts: it is counted from the folder where the command was started. An empty one counts as unset.
"""

import os
import re
from pathlib import Path

PLACES = ("TRAFLOW_ROOT", "TRAFLOW_RESULTS", "TRAFLOW_RUNS", "TRAFLOW_DATA", "TRAFLOW_INCEPTION")


def fix_places() -> None:
    """Make the places that the environment names absolute: kernels and processes start in other folders."""
    for name in PLACES:
        if found := place(name):
            os.environ[name] = str(found)


def place(name: str) -> Path | None:
    """The absolute path that an environment variable names, None if it is unset or empty."""
    value = os.environ.get(name)
    return Path(value).absolute() if value else None


def root() -> Path:
    """The repository root.

    From TRAFLOW_ROOT, else found upwards from this file (editable install), else from the working folder;
    outside any clone the working folder itself, so that an installed library keeps its files there.

    FileNotFoundError if TRAFLOW_ROOT is no clone. ValueError if this file is in one clone of the kit and the
    working folder in another: nobody wants to run the one in the other by accident.
    """
    if given := place("TRAFLOW_ROOT"):
        if clone := _clone(given):
            return clone
        raise FileNotFoundError(f"TRAFLOW_ROOT is {given}, where there is no pyproject.toml and traflow_lib/")
    own, here = _clone(Path(__file__).resolve().parent), _clone(Path.cwd())
    if own and here and not own.samefile(here):
        raise ValueError(
            f"the working folder is in the clone {here}, but this is the library of the clone {own}: run "
            f"'make setup' in {here} and use its .venv "
            "(after copying or moving a clone, too), or set TRAFLOW_ROOT to the clone that is meant"
        )
    return own or here or Path.cwd()


def _clone(start: Path) -> Path | None:
    """The clone of the kit that a folder lies in, if any."""
    for folder in (start, *start.parents):
        if (folder / "pyproject.toml").is_file() and (folder / "traflow_lib").is_dir():
            return folder
    return None


def results() -> Path:
    """This machine's records, tables, figures and notebooks: TRAFLOW_RESULTS, else results/ in runs()."""
    return place("TRAFLOW_RESULTS") or runs() / "results"


def committed(*parts: str) -> Path:
    """A path below results/ of the repository: the committed reference, which no run writes."""
    return root().joinpath("results", *parts)


def runs() -> Path:
    """Working files (checkpoints, logs, cached pairs): TRAFLOW_RUNS, else runs/, which git ignores."""
    return place("TRAFLOW_RUNS") or root() / "runs"


def data() -> Path:
    """The published files of the image data sets: TRAFLOW_DATA, else data/ of the repository."""
    return place("TRAFLOW_DATA") or root() / "data"


def in_a_name(dataset: str) -> str:
    """A data set's name as part of a file's name: folder:a/b@64 is folder-b@64, the others stay."""
    kind, address, place = dataset.partition(":")
    return kind + "-" + re.sub(r"[^\w.@-]+", "-", Path(place).name)[-60:] if address else dataset


fix_places()
