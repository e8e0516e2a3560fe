"""Running the notebooks headlessly by papermill, and storing executed ones with their outputs."""

import sys
from pathlib import Path

from . import paths


def names() -> list[str]:
    """The numbered notebooks, in order."""
    return sorted(file.stem for file in paths.root().joinpath("notebooks").glob("[0-9][0-9]_*.ipynb"))


def executed(name: str, profile: str) -> Path:
    """Where the executed copy of a notebook belongs."""
    return paths.results() / "executed" / profile / f"{name}.ipynb"


def run(name: str, profile: str, seed: int | None = None) -> Path:
    """Execute one notebook at a profile; returns the executed copy.

    A failing cell raises RuntimeError naming notebook, cell and error; the notebook up to there is kept beside the executed ones.
    """
    import papermill

    if name not in names():
        raise ValueError(f"unknown notebook '{name}'; there are {', '.join(names())}")
    out = executed(name, profile)
    partial = out.with_name(f"{name}.failed.ipynb")
    out.parent.mkdir(parents=True, exist_ok=True)
    source = paths.root() / "notebooks" / f"{name}.ipynb"
    parameters = {"profile": profile} | ({} if seed is None else {"seed": seed})
    try:
        papermill.execute_notebook(str(source), str(partial), parameters, kernel_name="python3", cwd=str(source.parent), progress_bar=False)
    except papermill.PapermillExecutionError as error:
        line = error.source.strip().splitlines()[0] if error.source.strip() else ""
        raise RuntimeError(f"notebooks/{name}.ipynb, cell {error.cell_index} ('{line}'): {error.ename}: {error.evalue} [kept: {partial}]") from None
    partial.replace(out)
    return out


def store(profile: str = "laptop") -> list[Path]:
    """Copy executed notebooks over the sources, outputs included, without what papermill added and without warnings on stderr."""
    import nbformat

    stored = []
    for name in names():
        if not executed(name, profile).exists():
            print(f"skipped {name}: not executed at profile {profile}", file=sys.stderr)
            continue
        notebook = nbformat.read(executed(name, profile), as_version=4)
        notebook.metadata.pop("papermill", None)
        notebook.cells = [cell for cell in notebook.cells if "injected-parameters" not in cell.metadata.get("tags", [])]
        count = 0
        for cell in notebook.cells:
            for key in ("papermill", "execution"):
                cell.metadata.pop(key, None)
            if cell.cell_type == "code":
                count += 1
                cell.execution_count = count
                cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
                for output in cell.outputs:
                    if "execution_count" in output:
                        output.execution_count = count
        nbformat.write(notebook, paths.root() / "notebooks" / f"{name}.ipynb")
        stored.append(paths.root() / "notebooks" / f"{name}.ipynb")
    return stored
