"""Where things live. Notebooks and commands run from different folders; this module is the only one that knows."""

import os
from pathlib import Path


def root() -> Path:
    """The repository root: from TRAFLOW_ROOT, else found upwards from this file (editable install), else from the working folder."""
    if "TRAFLOW_ROOT" in os.environ:
        starts = [Path(os.environ["TRAFLOW_ROOT"])]
    else:
        starts = [Path(__file__).resolve().parent, Path.cwd()]
    for start in starts:
        for folder in (start, *start.parents):
            if (folder / "pyproject.toml").is_file() and (folder / "traflow_lib").is_dir():
                return folder
    raise FileNotFoundError(
        "TraFlow-lab's root (the folder with pyproject.toml and traflow_lib/) was not found; run inside the clone or set TRAFLOW_ROOT to it"
    )


def results() -> Path:
    """This machine's own records, tables, figures and executed notebooks: TRAFLOW_RESULTS, else results/ below runs(), which git ignores."""
    return Path(os.environ.get("TRAFLOW_RESULTS") or runs() / "results")


def committed(*parts: str) -> Path:
    """A path under the repository's results/, the committed reference: everything reads it, only the command store writes it."""
    return root().joinpath("results", *parts)


def runs() -> Path:
    """Working files of training (checkpoints, logs, cached pairs), not committed: TRAFLOW_RUNS, else runs/ of the repository."""
    return Path(os.environ.get("TRAFLOW_RUNS", root() / "runs"))
