"""The library installed as a wheel works in a folder that is no clone, and keeps its files there."""

import os
import shutil
import subprocess
import sys

import pytest

from traflow_lib.files import paths


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
