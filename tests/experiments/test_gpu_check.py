"""make gpu-check and make gpu: what they record, what they do when a method does not fit or time is over."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from traflow_lib.evaluation import records
from traflow_lib.files import paths
from traflow_lib.nets.precision import full_float32
from traflow_lib.reports import tables
from traflow_lib.reports.published import published
from traflow_lib.training.log import read_log
from traflow_lib.training.step import Run


@pytest.fixture
def check(monkeypatch, tmp_path):
    monkeypatch.setenv("TRAFLOW_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("TRAFLOW_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("TRAFLOW_ROOT", str(paths.root()))
    monkeypatch.syspath_prepend(str(paths.root() / "benchmarks"))
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)  # another test may have been a notebook
    import gpu_check

    monkeypatch.setattr(sys, "argv", [str(paths.root() / "benchmarks" / "gpu_check.py"), "smoke"])
    monkeypatch.setattr(gpu_check, "DTYPES", ["fp32"])
    return gpu_check


def test_every_method_and_one_call_are_recorded(check, tmp_path):
    check.main("smoke", "5", "fashion_mnist")
    found = {
        record.method: record
        for record in records.read(tmp_path / "results" / "records" / "smoke" / "gpu-check.jsonl")
    }
    assert set(found) == {"teacher", "traflow", "compact", "one call in fp32"}
    assert found["traflow"].training["batch"] == 16 and found["traflow"].training["refused"] == []
    assert found["compact"].parameters < found["traflow"].parameters
    assert found["one call in fp32"].metrics["relative_error"][0] < 1e-5
    assert found["teacher"].provenance["command"] == "python benchmarks/gpu_check.py smoke"


def test_a_method_that_does_not_fit_is_tried_with_half_and_leaves_the_next_alone(check, monkeypatch):
    experiment, own = check.prepared(check.Case("fashion_mnist"), "smoke"), Run._own_gradients

    def crowded(run, *arguments):
        if run.samples_a_pass > 4 and run.averages.keys() == {0.999, 0.9999}:  # the students'
            raise torch.OutOfMemoryError
        return own(run, *arguments)

    monkeypatch.setattr(Run, "_own_gradients", crowded)
    record = check.training(experiment, "traflow", "")
    assert record.training["refused"] == [16, 8] and record.training["micro_batch"] == 4
    monkeypatch.setattr(Run, "_own_gradients", own)
    record = check.training(experiment, "compact", "")
    assert record.training["refused"] == [] and record.training["micro_batch"] == 0


def test_one_failure_costs_the_others_nothing_and_minutes_end_it(check, capsys):
    check.attempt(None, "this", "", float("inf"), lambda *_: 1 / 0)
    check.attempt(None, "that", "", 0.0, lambda *_: None)
    printed = capsys.readouterr().out
    assert "this: FAILED, ZeroDivisionError" in printed and "that: not run" in printed


def row_of(record: records.Record) -> list[str]:
    """A line of docs/gpu.md, after the heading that it stands below."""
    facts, metrics = record.training, record.metrics
    measured = [metrics.get(name) for name in ("images_per_second", "peak_memory_gib")]
    measured = [tables.number(values[0]) if values else "" for values in measured]
    if record.sampler == "jumps":
        error = f"{metrics['relative_error'][0]:.1e}"
        if exact := metrics.get("relative_error_without_tf32"):
            error += f" (without TF32 {exact[0]:.1e})"
        network = f"{record.dataset}, profile {record.profile}"
        size = tables.number(record.parameters / 1e6)
        return [
            "One call of the network, and its rounding",
            network,
            size,
            facts["precision"],
            *measured,
            error,
        ]
    if record.profile == "paper":
        told = published("cifar10", metric="throughput")
        (value,) = [row.value for row in told if f"{record.method} loss" in row.method]
        return ["Beside the paper", record.method, value, *measured]
    passes = str(facts["micro_batch"] or facts["batch"])
    if facts["refused"]:
        passes += f" ({', '.join(map(str, facts['refused']))} did not fit)"
    heading = f"{record.dataset}, profile {record.profile}"
    return [heading, record.method, str(facts["batch"]), passes, *measured]


def test_the_numbers_of_the_page_are_those_of_the_records():
    shown, heading = [], ""
    for line in paths.root().joinpath("docs", "gpu.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("| ") and not line.startswith(("| ---", "| loss", "| method", "| network")):
            shown.append([heading, *line.removeprefix("| ").removesuffix(" |").split(" | ")])
    files = [paths.committed("records", profile, "gpu-check.jsonl") for profile in ("gpu", "paper")]
    measured = [record for file in files for record in records.read(file)]
    told = [record for record in measured if (record.profile, record.method) != ("paper", "teacher")]
    assert sorted(shown) == sorted(map(row_of, told))


def test_full_float32_leaves_the_settings_as_they_were():
    before = torch.backends.cudnn.allow_tf32
    with full_float32():
        assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.allow_tf32 == before


WORKER = shlex.join([sys.executable, str(Path(__file__).parents[1] / "worker.py")])


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
