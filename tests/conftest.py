"""Shared set-up: nothing the tests do may write in the repository, and two threads are all they take."""

import logging
import os

import pytest
import torch
from image_files import cifar
from inception_stand_in import stand_in  # noqa: F401 - a fixture for every test

from traflow_lib.files.log import log


@pytest.fixture(scope="session", autouse=True)
def _outside_the_repository(tmp_path_factory):
    """Results and runs of the whole session go to temporary folders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAFLOW_RESULTS", str(tmp_path_factory.mktemp("results")))
        patch.setenv("TRAFLOW_RUNS", str(tmp_path_factory.mktemp("runs")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _two_threads():
    """OMP_NUM_THREADS=1 is much faster than two threads where other work has the cores."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 2)))


@pytest.fixture(autouse=True)
def _seeded():
    """Every test starts from the same random state, whatever ran before it."""
    torch.manual_seed(0)


@pytest.fixture
def said():
    """The lines that the kit says while it works, as they come."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    log.addHandler(handler)
    yield lines
    log.removeHandler(handler)


@pytest.fixture
def generated_files(monkeypatch, tmp_path):
    """Generated files are not the published ones; every test has its own cache."""
    monkeypatch.setenv("TRAFLOW_DATA_UNVERIFIED", "1")
    monkeypatch.setenv("TRAFLOW_RUNS", str(tmp_path / "runs"))


@pytest.fixture
def cifar_root(tmp_path):
    """A data folder with a small CIFAR-10."""
    cifar(tmp_path)
    return tmp_path
