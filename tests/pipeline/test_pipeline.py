"""What surrounds the library: pins, the command line, and notebook 08 from official files by one command."""

import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
import torch
import yaml
from image_files import cifar
from test_image_recipes import OFFICIAL, edm_file, rectified_flow_file

from traflow_lib import cli
from traflow_lib.evaluation import records
from traflow_lib.experiments import bench, recipes
from traflow_lib.experiments.experiment import Experiment
from traflow_lib.files import paths
from traflow_lib.reports import notebooks

ROOT = paths.root()


def pins():
    return [
        line
        for line in (ROOT / "requirements.lock").read_text().splitlines()
        if line and not line.startswith("#")
    ]


def test_environment_yml_has_exactly_the_locked_pins():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (through_pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert through_pip == pins()


def test_every_pin_is_exact_and_names_no_place():
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9._]+( ; .+)?", pin) for pin in pins())


def test_what_is_installed_is_what_is_locked():
    from importlib.metadata import version

    for name in ("torch", "numpy", "scipy", "papermill", "nbval", "clean-fid", "filelock", "snakemake"):
        (pin,) = [pin for pin in pins() if pin.lower().startswith(f"{name}==")]
        assert version(name).split("+")[0] == pin.split("==")[1], "run make setup"


def test_a_failing_notebook_stops_the_command_and_is_named(capsys, monkeypatch):
    def fail(*args):
        raise RuntimeError("notebooks/04_traflow_2d.ipynb, cell 3 ('x'): AssertionError: 1")

    monkeypatch.setattr(notebooks, "run", fail)
    assert cli.main(["notebook", "04_traflow_2d"]) == 2
    assert "cell 3" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["train", "--recipe", "nope"], "04_traflow_2d"),
        (["train", "--recipe", "06_digits", "--profile", "nope"], "smoke, laptop, hour"),
        (["train", "--recipe", "06_digits", "--profile", "smoke", "--data", "nope"], "digits"),
        (["distill", "--recipe", "04_traflow_2d", "--profile", "smoke", "--method", "nope"], "traflow_path"),
        (["bench", "--recipe", "04_traflow_2d", "--profile", "smoke", "--method", "nope"], "traflow_path"),
        (["bench", "--recipe", "bench_2d", "--profile", "smoke", "--data", "nope"], "two_spirals"),
        (["sample", "nowhere.safetensors"], "no checkpoint"),
    ],
)
def test_what_the_user_can_mend_is_one_line(arguments, expected, capsys):
    assert cli.main(arguments) == 2
    message = capsys.readouterr().err.strip()
    assert expected in message and "\n" not in message


def test_train_distill_and_sample_from_the_command_line(tmp_path, capsys):
    common = ["--recipe", "06_digits", "--profile", "smoke"]
    assert cli.main(["train", *common]) == 0
    assert cli.main(["distill", *common, "--method", "traflow", "--seed", "0"]) == 0
    experiment = Experiment(recipes.load("06_digits", "smoke"))
    experiment.student("traflow", 0)
    out = tmp_path / "x.pt"
    assert (
        cli.main(
            [
                "sample",
                str(experiment.model("traflow").file),
                "--samples",
                "3",
                "--steps",
                "2",
                "--out",
                str(out),
            ]
        )
        == 0
    )
    assert torch.load(out).shape == (3, 1, 8, 8)
    assert "3 samples with 2 calls each" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options, called",
    [
        ([], ("run", None, False)),
        (["--again", "--method", "cd", "--method", "ctm"], ("run", ["cd", "ctm"], True)),
        (["--cost"], ("step_costs",)),
    ],
)
def test_bench_runs_or_times_every_data_set_of_the_recipe(options, called, monkeypatch):
    calls = []
    for name in ("run", "step_costs"):

        def note(experiment, *arguments, name=name, **options):
            calls.append((experiment.dataset, name, *arguments, *options.values()))

        monkeypatch.setattr(bench, name, note)
    assert cli.main(["bench", "--recipe", "bench_2d", "--profile", "smoke", *options]) == 0
    assert calls == [(dataset, *called) for dataset in recipes.load("bench_2d", "smoke")["datasets"]]


def test_bench_from_the_command_line_writes_records(capsys):
    assert cli.main(["bench", "--recipe", "06_digits", "--profile", "smoke", "--method", "traflow"]) == 0
    written = {
        record.key for record in records.read(paths.results() / "records" / "smoke" / "06_digits.jsonl")
    }
    assert {f"digits traflow jumps-{nfe} seeds 0" for nfe in (1, 2, 4)} <= written
    assert "3 records, profile smoke" in capsys.readouterr().out


def test_doctor_says_what_is_installed(capsys):
    assert cli.main(["doctor"]) == 0
    assert "torchdiffeq" in capsys.readouterr().out


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


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the wheel's files, for PYTHONPATH."""
    source, site = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    shutil.copytree(paths.root() / "traflow_lib", source / "traflow_lib")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(paths.root() / name, source / name)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
    ]
    subprocess.run([*pip, "--target", site, source], check=True, stdout=subprocess.DEVNULL)
    return site


def run(site, folder, *arguments):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRAFLOW_")}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=kept | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )


def test_a_recipe_trains_in_a_folder_that_is_no_clone(installed, tmp_path):
    distill = [
        "distill",
        "--recipe",
        "02_reflow_and_straightness",
        "--profile",
        "smoke",
        "--method",
        "distill",
    ]
    done = run(installed, tmp_path, "-m", "traflow_lib", *distill)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "runs") in done.stdout and [file.name for file in tmp_path.iterdir()] == ["runs"]


def test_help_and_the_front_door_are_there(installed, tmp_path):
    code = "import traflow_lib; print(traflow_lib.__file__); help(traflow_lib.distill)"
    done = run(installed, tmp_path, "-c", code)
    assert str(installed) in done.stdout and "Train a student of `teacher`" in done.stdout, done.stderr
    done = run(installed, tmp_path, "-m", "traflow_lib", "distill", "--help")
    assert "MODULE:FUNCTION" in done.stdout and "06_digits" in done.stdout


def test_a_root_that_is_no_clone_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAFLOW_ROOT", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="TRAFLOW_ROOT is .* where there is no pyproject.toml"):
        paths.root()
