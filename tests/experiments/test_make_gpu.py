"""make gpu at the smoke profile: cut off in every phase it goes on where it was, and says so."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from traflow_lib.files import paths
from traflow_lib.training.log import read_log

WORKER = shlex.join([sys.executable, str(Path(__file__).parents[1] / "gpu_worker.py")])


def make_gpu(
    folder: Path, piece: int = 300, dies: str = "", profile: str = "smoke"
) -> subprocess.CompletedProcess:
    own = {"TRAFLOW_RUNS": folder / "runs", "TRAFLOW_RESULTS": folder / "results", "DIES": dies}
    command = ["make", "-s", "gpu", f"GPU_PROFILE={profile}", f"PIECE={piece}", f"GPU_PYTHON={WORKER}"]
    variables = os.environ | {name: str(value) for name, value in own.items()}
    return subprocess.run(
        command, cwd=paths.root(), env=variables, capture_output=True, text=True, timeout=600
    )


LEFT = {
    "teacher": "*-teacher-*/checkpoint-000000002.pt",
    "pairs": "*-pairs-*.parts/*.safetensors",
    "student": "*-seed0-*/checkpoint-000000002.pt",
}


@pytest.mark.skipif(not shutil.which("timeout"), reason="make gpu needs coreutils' timeout")
@pytest.mark.parametrize(
    "phases", [["student"], pytest.param(list(LEFT), marks=pytest.mark.slow)], ids=["one", "every"]
)
def test_cut_off_in_a_phase_it_goes_on_and_finishes(tmp_path, phases):
    start = time.monotonic()
    done = make_gpu(tmp_path, piece=1)
    assert (
        done.returncode == 0
        and "not finished: the same command goes on" in done.stdout
        and time.monotonic() - start < 60
    )
    for phase in phases:
        done = make_gpu(tmp_path, dies=phase)
        assert (
            done.returncode == 0
            and "not finished" in done.stdout
            and "finished:" not in done.stdout.replace("not finished:", "")
        ), done.stderr
        assert len(list((tmp_path / "runs").glob(LEFT[phase]))) == 1, (phase, done.stdout, done.stderr)
    done = make_gpu(tmp_path)
    assert done.returncode == 0 and "finished: fashion_mnist at profile smoke" in done.stdout, done.stderr
    (teacher,) = (tmp_path / "runs").glob("*-teacher-*")
    assert (
        "training teacher" not in done.stdout
        and "solving" not in done.stdout
        and [line["watch"] for line in read_log(teacher, watched=True)]
    )
    assert list((tmp_path / "results/records/smoke").glob("fashion_mnist.jsonl")) and list(
        (tmp_path / "results/tables/smoke").iterdir()
    )


def test_an_error_is_no_reason_to_go_on(tmp_path):
    done = make_gpu(tmp_path, profile="nope")
    assert (
        done.returncode != 0
        and "finished" not in done.stdout
        and "unknown profile 'nope'" in done.stderr
        and "Traceback" not in done.stderr
    )
