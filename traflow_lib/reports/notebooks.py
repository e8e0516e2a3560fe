"""Running the notebooks headlessly by papermill, what they took, and storing executed ones."""

import json
import os
import shutil
import sys
from pathlib import Path

from ..files import paths
from ..files.log import log
from . import tables

WIDGET = "application/vnd.jupyter.widget-view+json"  # controls among a cell's outputs


def names(profile: str | None = None) -> list[str]:
    """The numbered notebooks, in order; profile: only those that have it."""
    found = sorted(file.stem for file in paths.root().joinpath("notebooks").glob("[0-9][0-9]_*.ipynb"))
    return [name for name in found if profile in (None, *profiles(name))]


def profiles(name: str) -> list[str]:
    """The profiles a notebook has, as its metadata says; smoke and laptop where it says nothing."""
    return _content(_source(name))["metadata"].get("traflow", {}).get("profiles", ["smoke", "laptop"])


def executed(name: str, profile: str) -> Path:
    """Where the executed copy of a notebook belongs."""
    return paths.results() / "executed" / profile / f"{name}.ipynb"


def _source(name: str) -> Path:
    return paths.root() / "notebooks" / f"{name}.ipynb"


def _content(file: Path) -> dict:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} is no whole notebook ({error}); run or fetch it again") from None
    if not isinstance(content, dict) or not isinstance(content.get("metadata"), dict):
        raise ValueError(f"{file} is no notebook; run or fetch it again")
    return content


def run(name: str, profile: str, seed: int | None = None, teacher: Path | None = None) -> Path:
    """Execute one notebook at a profile, showing what its cells print; returns the executed copy.

    Two of the same take turns. A failing cell raises RuntimeError naming notebook, cell and error; the
    notebook up to there is kept beside the executed ones.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError

    from ..files.locks import exclusively

    if name not in names():
        raise ValueError(f"unknown notebook '{name}'; there are {', '.join(names())}")
    out = executed(name, profile)
    partial = out.with_name(f"{name}.failed.ipynb")
    out.parent.mkdir(parents=True, exist_ok=True)
    source, kept = _source(name), f"[kept: {partial}]"
    parameters = {"profile": profile, "seed": seed, "teacher": teacher and str(teacher.resolve())}
    parameters = {key: value for key, value in parameters.items() if value is not None}
    if unknown := set(parameters) - set(papermill.inspect_notebook(str(source))):
        raise ValueError(f"notebook {name} has no parameter {', '.join(unknown)}")
    options = {"kernel_name": "python3", "cwd": str(source.parent), "progress_bar": False}
    options |= {"stdout_file": sys.stdout, "stderr_file": sys.stderr}
    # without the kernel's remarks on its own transport and end
    options["extra_arguments"] = ["--IPKernelApp.log_level=CRITICAL"]
    # the kernel starts in notebooks/: places relative to this folder are told to it as absolute ones, and
    # text is UTF-8 whatever the locale
    paths.fix_places()
    os.environ.setdefault("PYTHONUTF8", "1")
    with exclusively(f"notebook-{name}-{profile}", f"notebook {name} at profile {profile}"):
        try:
            papermill.execute_notebook(str(source), str(partial), parameters, **options)
        except papermill.PapermillExecutionError as error:
            line = next(iter(error.source.strip().splitlines()), "")
            place = f"notebooks/{name}.ipynb, cell {error.cell_index} ('{line}')"
            raise RuntimeError(f"{place}: {error.ename}: {error.evalue} {kept}") from None
        except DeadKernelError:
            place = f"notebooks/{name}.ipynb, cell {_running(partial)}"
            raise RuntimeError(f"{place}: its kernel was killed, often for want of memory {kept}") from None
        partial.replace(out)
    return out


def _running(partial: Path) -> int | None:
    states = [cell["metadata"].get("papermill", {}).get("status") for cell in _content(partial)["cells"]]
    return states.index("running") if "running" in states else None


def working_copy() -> tuple[Path, list[str]]:
    """The course below runs/, to work in: its folder, and the notebooks there that the reader has changed.

    What is there stays as the reader left it; what is missing is copied.
    """
    folder, different = paths.runs() / "course", []
    folder.mkdir(parents=True, exist_ok=True)
    for name in names():
        own = folder / f"{name}.ipynb"
        if not own.exists():
            shutil.copy(_source(name), own)
        elif own.read_bytes() != _source(name).read_bytes():
            different.append(own.name)
    return folder, different


def durations(profile: str) -> str:
    """What each notebook executed at a profile took, and all together, as a Markdown table."""
    found = {name: executed(name, profile) for name in names() if executed(name, profile).exists()}
    seconds = {name: _content(file)["metadata"]["papermill"]["duration"] for name, file in found.items()}
    rows = []
    for name, taken in [*seconds.items(), ("one after another", sum(seconds.values()))]:
        minutes, rest = divmod(round(taken), 60)
        rows.append([name, f"{minutes} min {rest:02d} s"])
    return tables.markdown([f"notebook, profile {profile}", "time"], rows)


def store(profile: str) -> list[Path]:
    """Copy executed notebooks over the sources, outputs included.

    What papermill added stays out, and so do warnings on stderr. What a cell printed is one output.
    """
    import nbformat

    stored = []
    for name in names():
        if not executed(name, profile).exists():
            log.warning(f"skipped {name}: not executed at profile {profile}")
            continue
        notebook = nbformat.read(executed(name, profile), as_version=4)
        for key in ("papermill", "widgets"):  # the state of controls, which no kernel has any more
            notebook.metadata.pop(key, None)
        notebook.cells = [
            cell for cell in notebook.cells if "injected-parameters" not in cell.metadata.get("tags", [])
        ]
        for cell in notebook.cells:
            for key in ("papermill", "execution"):
                cell.metadata.pop(key, None)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        for count, cell in enumerate(code, start=1):
            cell.execution_count = count
            cell.outputs = _joined([output for output in cell.outputs if output.get("name") != "stderr"])
            for output in cell.outputs:
                if "execution_count" in output:
                    output.execution_count = count
        nbformat.write(notebook, _source(name))
        stored.append(_source(name))
    return stored


def _joined(outputs: list) -> list:
    """Outputs in which what was printed is whole where the kernel sent it in pieces.

    Of controls only their picture stays: no kernel is behind them any more.
    """
    joined: list = []
    for output in outputs:
        output.get("data", {}).pop(WIDGET, None)
        if joined and output.output_type == joined[-1].output_type == "stream":
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined
