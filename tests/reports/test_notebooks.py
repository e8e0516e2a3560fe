"""The notebooks as files, and every one of them executed by papermill at the smoke profile."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from traflow_lib import cli
from traflow_lib.experiments import recipes
from traflow_lib.files import paths
from traflow_lib.reports import notebooks

NAMES = notebooks.names()
FOLDER = paths.root() / "notebooks"


def code_cells(name):
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell):
    return cell.metadata.get("tags", [])


def test_there_are_notebooks():
    assert {"00_quickstart", "04_traflow_2d", "06_digits", "12_paper_tables"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_one_parameters_cell_of_literals(name):
    (cell,) = [cell for cell in code_cells(name) if "parameters" in tags(cell)]
    body = ast.parse(cell.source).body
    values = {node.targets[0].id: ast.literal_eval(node.value) for node in body}
    takes_a_teacher = {"teacher": ""} if name in ("07_fashion_mnist", "08_cifar10", "09_celeba64") else {}
    assert values == {"profile": "laptop", "seed": 0} | takes_a_teacher


@pytest.mark.parametrize("name", NAMES)
def test_recipes_that_a_notebook_loads_exist_and_have_its_default_profile(name):
    for recipe in re.findall(
        r"recipes\.load\(\s*[\"'](\w+)", "\n".join(cell.source for cell in code_cells(name))
    ):
        assert recipes.load(recipe, "laptop") and recipes.load(recipe, "smoke")


@pytest.mark.parametrize("name", NAMES)
def test_committed_outputs_are_complete_and_clean(name):
    for cell in code_cells(name):
        assert cell.execution_count is not None, (
            f"not executed, so nbval compares nothing: {cell.source[:60]}"
        )
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr"
            text = str(output.get("text", "")) + str(output.get("data", {}).get("text/plain", ""))
            assert not re.search(r"(^|[\s'\"(])/(home|root|work|tmp|Users)/", text), text


@pytest.mark.parametrize("name", NAMES)
def test_every_notebook_checks_a_claim_that_nbval_compares(name):
    compared = [cell for cell in code_cells(name) if "nbval-ignore-output" not in tags(cell)]
    assert any("assert" in cell.source for cell in compared)
    assert any(output.get("text", "").startswith("ok: ") for cell in compared for output in cell.outputs)


# the others take half a minute each, and nbval runs them at laptop in the same `make test`
QUICK = ("00_quickstart", "07_fashion_mnist", "12_paper_tables")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
)
def test_papermill_runs_the_smoke_profile(name, capfd):
    assert notebooks.run(name, "smoke").exists()
    assert "IPKernelApp" not in capfd.readouterr().err


def test_plain_papermill_runs_from_another_folder(tmp_path):
    command = [
        sys.executable,
        "-m",
        "papermill",
        str(FOLDER / "00_quickstart.ipynb"),
        "out.ipynb",
        "-p",
        "profile",
        "smoke",
        "--no-progress-bar",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "out.ipynb").exists()


def test_an_unknown_profile_is_one_line_that_lists_what_exists():
    with pytest.raises(
        RuntimeError, match=r"04_traflow_2d.ipynb, cell \d+ .*unknown profile 'nope'.*smoke, laptop, hour"
    ) as caught:
        notebooks.run("04_traflow_2d", "nope")
    assert "\n" not in str(caught.value)


def test_an_unknown_notebook_lists_what_exists():
    with pytest.raises(ValueError, match="00_quickstart"):
        notebooks.run("99_nothing", "smoke")


def test_a_working_copy_leaves_the_repository_alone_and_keeps_what_the_reader_did(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("TRAFLOW_RUNS", str(tmp_path))
    assert cli.main(["course"]) == 0
    assert sorted(file.stem for file in (tmp_path / "course").iterdir()) == NAMES
    (tmp_path / "course" / "00_quickstart.ipynb").write_text("mine")
    (tmp_path / "course" / "01_rectified_flow_2d.ipynb").unlink()
    capsys.readouterr()
    assert cli.main(["course"]) == 0
    assert (tmp_path / "course" / "00_quickstart.ipynb").read_text() == "mine" and (
        tmp_path / "course" / "01_rectified_flow_2d.ipynb"
    ).exists()
    said = capsys.readouterr().out
    assert (
        f"your working copy of the course: {tmp_path}/course" in said
        and "other than the repository's: 00_quickstart.ipynb; delete" in said
    )


def test_store_keeps_outputs_and_drops_papermills_traces(tmp_path, monkeypatch):
    ran = nbformat.read(notebooks.run("12_paper_tables", "smoke"), as_version=4)
    assert any("injected-parameters" in tags(cell) for cell in ran.cells)
    pieces = [nbformat.v4.new_output("stream", name="stdout", text=text) for text in ("o", "k\n")]
    controls = nbformat.v4.new_output("display_data", data={notebooks.WIDGET: {}, "text/plain": "a picture"})
    ran.cells[-1] = nbformat.v4.new_code_cell("print('ok')", outputs=[*pieces, controls])
    ran.metadata["widgets"] = {"state of the controls": {}}
    nbformat.write(ran, notebooks.executed("12_paper_tables", "smoke"))
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "12_paper_tables.ipynb").write_text(
        (FOLDER / "12_paper_tables.ipynb").read_text()
    )
    monkeypatch.setattr(paths, "root", lambda: tmp_path)
    (stored,) = notebooks.store("smoke")
    kept = nbformat.read(stored, as_version=4)
    assert not any("injected-parameters" in tags(cell) or "papermill" in cell.metadata for cell in kept.cells)
    assert not {"papermill", "widgets"} & set(kept.metadata)
    assert Path(stored).parent == tmp_path / "notebooks"
    counts = [cell.execution_count for cell in kept.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    printed, picture = kept.cells[-1].outputs
    assert printed.text == "ok\n" and picture.data == {"text/plain": "a picture"}
