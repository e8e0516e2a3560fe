"""A reader with CIFAR-10 and an official checkpoint on disk types one command.

Notebook 08 with files in the official formats, a few steps.
"""

import nbformat
import pytest
from image_files import cifar
from test_image_recipes import OFFICIAL, edm_file, rectified_flow_file

from traflow_lib import cli
from traflow_lib.evaluation import records
from traflow_lib.files import paths
from traflow_lib.reports import notebooks

COMMAND = ["notebook", "08_cifar10", "--profile", "rehearsal"]


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """A folder with CIFAR-10's batches, as the reader's data/ has them."""
    for name, folder in (
        ("RUNS", "runs"),
        ("RESULTS", "results"),
        ("DATA", "data"),
        ("INCEPTION", "nowhere"),
    ):
        monkeypatch.setenv(f"TRAFLOW_{name}", str(tmp_path / folder))
    monkeypatch.setenv("TRAFLOW_DATA_UNVERIFIED", "1")
    cifar(tmp_path / "data", n=20)
    return tmp_path


def test_without_the_checkpoint_the_notebook_says_where_to_put_it(disk, capsys):
    assert cli.main(COMMAND) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert (
        "08_cifar10.ipynb, cell" in error
        and f"edm/pretrained/{OFFICIAL['cifar10']} at {disk}/data/teachers/" in error
    )


@pytest.mark.slow  # minutes, since fp16 crawls on a CPU
@pytest.mark.parametrize("release", ["edm", "rectified flow"])
def test_one_command_runs_notebook_08_from_official_files(disk, release):
    if release == "edm":  # at its place, under its name
        (disk / "data" / "teachers").mkdir()
        edm_file(disk).rename(disk / "data" / "teachers" / OFFICIAL["cifar10"])
        assert cli.main(COMMAND) == 0
    else:
        assert cli.main([*COMMAND, "--teacher", str(rectified_flow_file(disk))]) == 0
    ran = nbformat.read(notebooks.executed("08_cifar10", "rehearsal"), as_version=4)
    shown = "".join(
        str(output.get("text", ""))
        for cell in ran.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    )
    assert "50,000" not in shown and "100 images of shape (3, 32, 32)" in shown and "not run: FID" in shown
    rows = records.load(paths.results() / "records")
    assert {"teacher", "traflow_anchored", "traflow_v1", "traflow_v4", "distill"} <= {
        row["method"] for row in rows
    }
    assert {(row["profile"], row["dataset"], row["stand_in"]) for row in rows} == {
        ("rehearsal", "cifar10", False)
    }
    assert (paths.results() / "figures" / "rehearsal" / "08_cifar10.png").exists()
