"""Processes that want the same thing at once: it is made once, all have it, and who waits says so.

A killed holder holds nothing. Parts of a long computation are shared, and taken up after an end.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from traflow_lib import pairs
from traflow_lib.files import parts
from traflow_lib.files.tensors import save_tensors
from traflow_lib.pairs import make_pairs, sample_noise

WORKER = Path(__file__).parents[1] / "worker.py"
KINDS = {"network": "toy teacher", "pairs": "teacher pairs of 8gaussians", "features": "features of numbers"}


class Worker:
    """A running worker; what it says is in a file, so that it can be read while it runs."""

    def __init__(self, kind: str, folder: Path, name: str, **environment: str):
        self.file = folder / f"{name}.txt"
        variables = os.environ | {"OMP_NUM_THREADS": "1", "TRAFLOW_RUNS": str(folder / "runs")} | environment
        with self.file.open("w") as stream:
            self.process = subprocess.Popen(
                [sys.executable, WORKER, kind, folder], env=variables, stdout=stream, stderr=subprocess.STDOUT
            )

    @property
    def said(self) -> str:
        return self.file.read_text()

    def wait_for(self, text: str) -> None:
        end = time.monotonic() + 120
        while text not in self.said:
            assert self.process.poll() is None and time.monotonic() < end, self.said
            time.sleep(0.05)

    def end(self) -> str:
        """The checksum it ends with."""
        assert self.process.wait(120) == 0, self.said
        return self.said.split("sha256 ")[1]


@pytest.mark.parametrize("kind", KINDS)
def test_two_at_once_make_it_once(kind, tmp_path):
    first = Worker(kind, tmp_path, "first")
    first.wait_for("made")
    second = Worker(kind, tmp_path, "second")
    second.wait_for(f"waiting for {KINDS[kind]}: another process is at it")
    (tmp_path / "go").touch()
    assert first.end() == second.end()
    assert "made" not in second.said and second.said.count("waiting") == 1 and "waiting" not in first.said


def test_when_the_holder_is_killed_the_next_goes_on(tmp_path):
    first = Worker("network", tmp_path, "first")
    first.wait_for("made")
    second = Worker("network", tmp_path, "second")
    second.wait_for("waiting")
    os.kill(first.process.pid, signal.SIGKILL)
    second.wait_for("made")
    (tmp_path / "go").touch()
    assert second.end() and first.process.wait() == -signal.SIGKILL


def test_a_job_of_two_processes_waits_as_one(tmp_path):
    single = Worker("network", tmp_path, "single")
    single.wait_for("made")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    job = [
        Worker("network", tmp_path, f"rank{rank}", RANK=str(rank), LOCAL_RANK=str(rank), **common)
        for rank in (0, 1)
    ]
    job[0].wait_for("waiting for toy teacher")
    time.sleep(2)  # several exchanges of "not yet"
    assert all(worker.process.poll() is None for worker in job)
    (tmp_path / "go").touch()
    assert len({worker.end() for worker in (single, *job)}) == 1
    assert (
        not any("made" in worker.said for worker in job)
        and job[0].said.count("waiting") == 1
        and "waiting" not in job[1].said
    )


SCRIPT = """
import atexit
import torch
from traflow_lib.files.processes import mean_over_processes, processes

atexit.register(lambda: print("left", not torch.distributed.is_initialized()))  # runs after later ones
print("mean", mean_over_processes(torch.tensor([float(processes().process_index)])).item())
"""


def test_a_job_of_two_leaves_its_group_before_python_ends():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": "2"}
    common = os.environ | place | {"OMP_NUM_THREADS": "1"}
    job = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            env=common | {"RANK": rank, "LOCAL_RANK": rank},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    assert [process.communicate(timeout=120)[0].split() for process in job] == [
        ["mean", "0.5", "left", "True"]
    ] * 2
    assert [process.returncode for process in job] == [0, 0]


def rows(start, stop):
    return {"x": torch.arange(start, stop).float()}


def joined(file):
    return lambda found: save_tensors(file, {"x": torch.cat([part["x"] for part in found])})


def test_what_was_computed_before_the_end_is_taken_up(tmp_path):
    file, computed = tmp_path / "x.safetensors", []

    def dies(start, stop):
        if start == 6:
            raise KeyboardInterrupt
        computed.append(start)
        return rows(start, stop)

    with pytest.raises(KeyboardInterrupt):
        parts.in_parts(tmp_path / "x.parts", 10, 3, dies, joined(file))
    assert computed == [0, 3] and not file.exists()
    again = []
    found = parts.in_parts(
        tmp_path / "x.parts", 10, 3, lambda *each: again.append(each) or rows(*each), joined(file)
    )
    assert found == 6 and again == [(6, 9), (9, 10)]
    assert load_file(file)["x"].tolist() == list(range(10)) and not (tmp_path / "x.parts").exists()


def test_two_processes_share_the_parts_of_pairs_and_read_them_when_they_are_joined(tmp_path, monkeypatch):
    """Each thread stands for a process; the first joins late, and the second must not read before."""
    barrier, of_thread, solved = threading.Barrier(2, timeout=20), threading.local(), {0: [], 1: []}

    class Process:
        num_processes = 2

        def __init__(self, index):
            self.process_index, self.is_main_process = index, index == 0

        def wait_for_everyone(self):
            barrier.wait()
            time.sleep(0.2 * self.is_main_process)

    monkeypatch.setattr(parts, "processes", lambda: of_thread.process)
    found = {}

    def one(index):
        of_thread.process = Process(index)

        def teacher(x, t):
            solved[index].append(len(x))
            return x

        file = tmp_path / "pairs.safetensors"
        found[index] = make_pairs(teacher, 10, (2,), 0, batch=3, method="euler", steps=1, file=file)

    threads = [threading.Thread(target=one, args=(index,)) for index in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert solved == {0: [3, 3], 1: [3, 1]}
    for index in (0, 1):
        assert torch.equal(found[index].x1, sample_noise(0, 0, 10, (2,)))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["pairs.safetensors"]
    assert pairs.PairCache.load(tmp_path / "pairs.safetensors").x0.equal(found[0].x0)
