"""Processes of one job: what holds them together is closed before they end."""

import os
import socket
import subprocess
import sys

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
