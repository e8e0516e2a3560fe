"""The dependency graph: what runs at which profile, what it asks for, and that a run which was killed or
failed only does the rest.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import reduce

import nbformat
import pytest
import yaml
from small_course import COMMAND, course, environment, reproduce

from traflow_lib.experiments import recipes
from traflow_lib.experiments.schema import PROFILES
from traflow_lib.files import paths
from traflow_lib.reports import notebooks

LAST = "12_paper_tables"
HELD = "while not (root / 'go').exists():\n    time.sleep(0.05)"
FAILS = "assert (root / 'mended').exists(), 'not mended'"


def planned(profile, *options):
    """The notebooks that a dry run of the repository's Snakefile names."""
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--dry-run",
        "--cores",
        "8",
        "--forceall",
        "--nolock",
        "--config",
        f"profile={profile}",
        *options,
    ]
    done = subprocess.run(command, cwd=paths.root(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return set(re.findall(rf"output: \S+/executed/{profile}/(\w+)\.ipynb", done.stdout + done.stderr))


@pytest.mark.parametrize("profile", ["smoke", "laptop", "hour"])
def test_a_profile_runs_the_notebooks_that_have_it_and_the_tables(profile):
    assert planned(profile) == {*notebooks.names(profile), LAST}


def test_laptop_and_smoke_run_every_notebook():
    assert set(notebooks.names("laptop")) == set(notebooks.names("smoke")) == set(notebooks.names())


@pytest.mark.parametrize("name", notebooks.names())
def test_a_notebook_has_the_profiles_that_all_its_recipes_have(name):
    cells = nbformat.read(paths.root() / "notebooks" / f"{name}.ipynb", as_version=4).cells
    loaded = {
        recipe
        for cell in cells
        for recipe in re.findall(r"recipes\.load\([\"'](\w+)[\"'], profile\b", cell.source)
    }
    if not loaded:
        return  # nothing to disagree with
    each = [
        set(yaml.safe_load((recipes.FOLDER / f"{recipe}.yaml").read_text())["profiles"]) for recipe in loaded
    ]
    assert set(notebooks.profiles(name)) == reduce(set.intersection, each) - {
        name for name, profile in PROFILES.items() if not profile.notebooks
    }


def test_an_unknown_profile_is_refused_with_the_known_ones(tmp_path):
    done = reproduce(course(tmp_path, {"00_one": "", LAST: ""}, ["smoke", "gpu"]), "nope", "--dry-run")
    assert done.returncode != 0 and "no notebook has the profile 'nope'; there are gpu, smoke" in done.stdout


def test_a_gpu_profile_asks_for_a_gpu_memory_and_hours_and_the_tables_for_none(tmp_path):
    done = reproduce(
        course(tmp_path, {"07_one": "", LAST: ""}, ["smoke", "gpu"]),
        "gpu",
        "--dry-run",
        "--cores",
        "8",
        "--quiet",
        "host",
    )
    lesson, tables = re.search(r"rule lesson:(.*?)rule paper_tables:(.*)", done.stdout, re.DOTALL).groups()
    assert all(text in lesson for text in ("threads: 4", "gpu=1", "mem_mb=32000", "runtime=240"))
    assert "mem_mb=3000" in tables and "gpu=" not in tables


def test_the_tables_wait_for_the_notebooks_before_them_and_for_no_later_one(tmp_path):
    kit = course(tmp_path, {"01_one": "", LAST: "", "13_own": ""}, ["smoke"])
    done = reproduce(kit, "smoke", "--dry-run", "--quiet", "host")
    waits_for = re.search(r"rule paper_tables:\s+input: (.*)", done.stdout).group(1)
    assert "01_one" in waits_for and "13_own" not in waits_for
    assert "executed/smoke/13_own.ipynb" in done.stdout  # run all the same


def test_a_killed_run_and_a_failed_one_do_only_the_rest_also_in_a_folder_with_a_space_and_an_umlaut(tmp_path):
    folder = course(
        tmp_path / "my kit ä",
        {"00_quick": "", "01_held": HELD, "02_fails": FAILS, LAST: "print('all done')"},
        ["smoke"],
    )

    def ran():
        return sorted((folder / "ran.txt").read_text().split()) if (folder / "ran.txt").exists() else []

    executed, end = folder / "results/executed/smoke", time.monotonic() + 240
    with open(folder / "said.txt", "w", encoding="utf-8") as said:
        running = subprocess.Popen(
            [*COMMAND, "profile=smoke"],
            cwd=folder,
            env=environment(folder),
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    while not (
        re.search("1 of . steps", (folder / "said.txt").read_text()) and "01_held" in ran()
    ):  # Snakemake has noted that one is done
        assert running.poll() is None and time.monotonic() < end, (folder / "said.txt").read_text()
        time.sleep(0.1)
    os.killpg(running.pid, signal.SIGKILL)
    first = (executed / "00_quick.ipynb").stat().st_mtime_ns

    (folder / "go").touch()
    done = reproduce(folder, "smoke")
    assert done.returncode != 0
    line = [line for line in done.stdout.splitlines() if "[log: " in line][-1]
    assert (
        line.startswith("error: notebooks/02_fails.ipynb, cell 3 (") and "AssertionError: not mended" in line
    )
    assert (executed / "01_held.ipynb").exists() and ran().count(
        "01_held"
    ) == 2  # the failure stopped nothing that is independent of it

    (folder / "mended").touch()
    done = reproduce(folder, "smoke")
    assert done.returncode == 0, done.stdout
    assert (executed / "00_quick.ipynb").stat().st_mtime_ns == first
    assert [ran().count(name) for name in ("00_quick", "01_held", LAST)] == [1, 2, 1]
    assert "all done" in (folder / f"results/logs/smoke/{LAST}.log").read_text()


MEASURES = """
import matplotlib.pyplot as plt
from traflow_lib.experiments import bench, recipes
from traflow_lib.reports import plots
from traflow_lib.experiments.experiment import Experiment
bench.run(Experiment(recipes.load("00_quickstart", profile), "8gaussians"))
plots.save(plt.figure(), "00_teacher", profile)"""


def test_whatever_is_run_leaves_the_checkout_clean(tmp_path):
    """Records, figures, executed notebooks, their logs and the comparison all go where git does not look."""
    folder = course(tmp_path / "clone", {"00_one": MEASURES, LAST: ""}, ["smoke"])
    for name in (".gitignore", "results/fingerprints.json", "results/records/hour/06_digits.jsonl"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(paths.root() / name, folder / name)

    def git(*words):
        return subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )

    git("init", "-q")
    (folder / ".git" / "info" / "exclude").write_text(".venv\nran.txt\n")
    git("add", "-A")
    git("commit", "-qm", "first")
    variables = {
        name: value
        for name, value in environment(folder).items()
        if name not in ("TRAFLOW_RUNS", "TRAFLOW_RESULTS")
    }
    for command in (
        [*COMMAND, "profile=smoke"],
        [".venv/bin/python", "-m", "traflow_lib", "compare", "--profile", "smoke"],
    ):
        done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ numbers: \d+ no reference", done.stdout)
    own = folder / "runs" / "results"
    assert all(
        list(own.glob(what))
        for what in (
            "records/smoke/*.jsonl",
            "figures/smoke/*.png",
            "tables/*",
            "executed/smoke/*.ipynb",
            "logs/smoke/*.log",
        )
    )
    assert git("status", "--porcelain").stdout == ""


def test_durations_tell_what_each_executed_notebook_took(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAFLOW_RESULTS", str(tmp_path))
    for name, seconds in (("00_quickstart", 61.4), ("04_traflow_2d", 5.2)):
        notebook = nbformat.v4.new_notebook(metadata={"papermill": {"duration": seconds}})
        notebooks.executed(name, "smoke").parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, notebooks.executed(name, "smoke"))
    lines = notebooks.durations("smoke").splitlines()
    assert lines[2:] == [
        "| 00_quickstart | 1 min 01 s |",
        "| 04_traflow_2d | 0 min 05 s |",
        "| one after another | 1 min 07 s |",
    ]
