"""Training as processes: killed and resumed, alone and in twos, split over processes and passes.

Everything ends the same.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from traflow_lib.training.log import read_log

WORKER = Path(__file__).parents[1] / "worker.py"


def start(folder, method, kill_at=-1, processes=1, **environment):
    """The worker on its own, or several as torchrun would start them.

    Returns their exit statuses and what they said.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    together = (
        {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
        if processes > 1
        else {}
    )
    running = []
    for rank in range(processes):
        own = {"RANK": str(rank), "LOCAL_RANK": str(rank)} if processes > 1 else {}
        environment = {name: str(value) for name, value in environment.items()}
        variables = os.environ | {"OMP_NUM_THREADS": "1"} | together | own | environment
        command = [sys.executable, WORKER, "train", folder, method, str(kill_at)]
        running.append(subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True))
    said = [process.communicate(timeout=120)[1] for process in running]
    return [process.returncode for process in running], said


def final(folder):
    """All final weights, as one dict of tensors."""
    content = torch.load(folder / "final.pt", weights_only=True)
    return {f"{part} {name}": value for part, tensors in content.items() for name, value in tensors.items()}


def losses(folder):
    return [(line["loss"], line["gradient_norm"]) for line in read_log(folder)]


@pytest.mark.parametrize(
    "processes, kills",
    [(1, 1), (2, 1), pytest.param(1, 5, marks=pytest.mark.slow), pytest.param(2, 5, marks=pytest.mark.slow)],
)
def test_killed_at_random_steps_a_run_ends_with_the_same_weights(tmp_path, processes, kills):
    assert start(tmp_path / "whole", "traflow", processes=processes, STEPS=24)[0] == [0] * processes
    for step in sorted(random.Random(processes).sample(range(1, 24), kills)):
        statuses, said = start(tmp_path / "killed", "traflow", step, processes, STEPS=24)
        assert -signal.SIGKILL in statuses and not (tmp_path / "killed" / "final.pt").exists(), said
    assert start(tmp_path / "killed", "traflow", processes=processes, STEPS=24)[0] == [0] * processes
    whole, killed = final(tmp_path / "whole"), final(tmp_path / "killed")
    assert (
        len(whole) > 20
        and whole.keys() == killed.keys()
        and all(torch.equal(whole[name], killed[name]) for name in whole)
    )
    assert losses(tmp_path / "whole") == losses(tmp_path / "killed")


@pytest.mark.parametrize("method", ["traflow", "traflow_v4", "shortcut"])
def test_two_processes_have_the_loss_curve_of_one(tmp_path, method):
    """traflow_v4 with forward-mode derivatives and gradient norms of the whole batch."""
    assert start(tmp_path / "one", method)[0] == [0]
    statuses, said = start(tmp_path / "two", method, processes=2)
    assert statuses == [0, 0], said
    lines = [json.loads(line) for line in (tmp_path / "two" / "log.jsonl").read_text().splitlines()]
    assert len(lines) == 10  # written once, not by each
    assert torch.allclose(
        torch.tensor(losses(tmp_path / "one")), torch.tensor(losses(tmp_path / "two")), rtol=1e-5, atol=0
    )


@pytest.mark.parametrize("processes", [1, 2])
def test_accumulated_batch_has_the_loss_curve_of_a_whole_one(tmp_path, processes):
    assert start(tmp_path / "one", "traflow_v1")[0] == [0]
    assert start(tmp_path / "parts", "traflow_v1", processes=processes, MICRO_BATCH=2)[0] == [0] * processes
    assert torch.allclose(
        torch.tensor(losses(tmp_path / "one")), torch.tensor(losses(tmp_path / "parts")), rtol=1e-5, atol=0
    )


@pytest.mark.parametrize("processes", [1, 2])
def test_sigterm_saves_the_step_it_came_in_and_the_run_goes_on(tmp_path, processes):
    start(tmp_path / "whole", "distill", processes=processes)
    statuses, said = start(tmp_path / "ended", "distill", 4, processes, SIGNAL="SIGTERM")
    assert statuses == [143] * processes and "asked to end at step 5 of 10" in said[0]
    assert torch.load(max((tmp_path / "ended").glob("checkpoint-*.pt")), weights_only=True)["step"] == 5
    assert start(tmp_path / "ended", "distill", processes=processes)[0] == [0] * processes
    whole, ended = final(tmp_path / "whole"), final(tmp_path / "ended")
    assert all(torch.equal(whole[name], ended[name]) for name in whole)


def test_command_line_under_torchrun_trains_and_samples_what_one_process_does(tmp_path):
    """A class-conditional recipe from nothing.

    Classifier, teacher, pairs and student by two processes, then samples by two.
    """
    pytest.importorskip("torchvision")
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc_per_node=2",
        "--master_port=0",
        "--rdzv_backend=c10d",
        "--rdzv_endpoint=localhost:0",
    ]
    said = {}
    for name, launcher in {"one": [sys.executable], "two": torchrun}.items():
        variables = os.environ | {"OMP_NUM_THREADS": "1", "TRAFLOW_RUNS": str(tmp_path / name)}
        distill = ["distill", "--recipe", "imagenet64", "--profile", "smoke", "--method", "traflow"]
        said[name] = subprocess.run(
            [*launcher, "-m", "traflow_lib", *distill],
            env=variables,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert said[name].returncode == 0, said[name].stderr
        (model,) = (tmp_path / "one").glob("*-traflow-seed0-*/model.safetensors")
        draw = ["sample", str(model), "--samples", "7", "--batch", "2", "--out", str(tmp_path / f"{name}.pt")]
        assert (
            subprocess.run(
                [*launcher, "-m", "traflow_lib", *draw], env=variables, capture_output=True, timeout=300
            ).returncode
            == 0
        )
    assert (
        said["two"].stdout.count("shapes64: traflow, seed 0 in")
        == said["two"].stdout.count("solving 16 teacher pairs")
        == 1
    )
    folders = [
        {folder.name for folder in (tmp_path / name).iterdir() if folder.is_dir()} for name in ("one", "two")
    ]
    assert folders[0] == folders[1]
    for folder in folders[0]:
        if (tmp_path / "one" / folder / "log.jsonl").exists():
            pairs = zip(losses(tmp_path / "one" / folder), losses(tmp_path / "two" / folder), strict=True)
            assert all(
                one == pytest.approx(two, rel=0.05) for one, two in pairs
            )  # bf16 rounds each part of the batch by itself
    assert torch.equal(torch.load(tmp_path / "one.pt"), torch.load(tmp_path / "two.pt"))
