"""A clone with notebooks that take no time, so that the pipeline itself can be tested."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat

from traflow_lib.files import paths

RAN = """import os, pathlib, time
root = pathlib.Path(os.environ['TRAFLOW_ROOT'])
with open(root / 'ran.txt', 'a') as file:
    file.write('{name} ')"""
PYTHON = Path(sys.executable)
COMMAND = [f".venv/bin/{PYTHON.name}", "-m", "snakemake", "--profile", "profiles/local", "--config"]


def course(folder: Path, notebooks: dict[str, str], profiles: list[str]) -> Path:
    """The library, Snakefile and profiles of the repository with notebooks of two cells.

    One notes that it ran, the other is given here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".venv").symlink_to(PYTHON.parent.parent)
    for name in ("traflow_lib", "profiles"):
        shutil.copytree(paths.root() / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Snakefile", "pyproject.toml", "results/published.csv"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(paths.root() / name, folder / name)
    (folder / "notebooks").mkdir()
    for name, source in notebooks.items():
        parameters = nbformat.v4.new_code_cell(
            'profile = "laptop"\nseed = 0', metadata={"tags": ["parameters"]}
        )
        cells = [
            parameters,
            nbformat.v4.new_code_cell(RAN.format(name=name)),
            nbformat.v4.new_code_cell(source),
        ]
        notebook = nbformat.v4.new_notebook(
            cells=cells,
            metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}},
        )
        notebook.metadata["traflow"] = {"profiles": profiles}
        nbformat.write(notebook, folder / "notebooks" / f"{name}.ipynb")
    return folder


def environment(folder: Path) -> dict[str, str]:
    own = {
        "TRAFLOW_ROOT": folder,
        "PYTHONPATH": folder,
        "TRAFLOW_RUNS": folder / "runs",
        "TRAFLOW_RESULTS": "results",
    }
    return os.environ | {name: str(value) for name, value in own.items()}


def reproduce(folder: Path, profile: str, *options: str) -> subprocess.CompletedProcess:
    """What make reproduce starts, to its end; stdout and stderr together."""
    command = [*COMMAND, f"profile={profile}", *options]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
