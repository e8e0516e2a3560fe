"""Parts of a long computation: shared by processes, taken up after an end, gone when all are joined."""

import threading
import time

import pytest
import torch
from safetensors.torch import load_file

from traflow_lib import pairs
from traflow_lib.files import parts
from traflow_lib.files.tensors import save_tensors
from traflow_lib.pairs import make_pairs, sample_noise


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
