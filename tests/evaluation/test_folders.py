"""A folder of images: looked through as a whole before anything is computed, known by its contents."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from traflow_lib.evaluation import generate
from traflow_lib.evaluation.features import Extractor


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAFLOW_RUNS", str(tmp_path / "runs"))


def folder_of(tmp_path, n=6, size=8):
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    for i in range(n):
        Image.fromarray(random.integers(0, 256, (size, size, 3), dtype=np.uint8)).save(
            folder / f"{i:03d}.png"
        )
    return folder


def features(folder, batch=500):
    """The pixels themselves, flat, three channels each."""
    extractor = Extractor("pixels", "none", "0", 100, lambda x: x.expand(-1, 3, -1, -1).flatten(1).float())
    return generate.of_folder(folder, extractor, batch=batch, say=lambda line: None).features


@pytest.mark.parametrize("which", [0, 3])
@pytest.mark.parametrize("batch", [500, 2])
def test_one_grey_file_turns_no_colour_grey(tmp_path, which, batch):
    folder = folder_of(tmp_path)
    before = features(folder)
    grey = folder / f"{which:03d}.png"
    Image.open(grey).convert("L").save(grey)
    after = features(folder, batch)
    others = [i for i in range(6) if i != which]
    assert torch.equal(before[others], after[others]) and not torch.equal(before[which], after[which])


def test_other_pixels_under_the_same_names_and_dates_are_other_features(tmp_path):
    folder = folder_of(tmp_path)
    before, file = features(folder), folder / "002.png"
    date = file.stat().st_mtime_ns
    Image.fromarray(np.zeros((8, 8, 3), dtype=np.uint8)).save(file)
    os.utime(file, ns=(date, date))
    assert not torch.equal(features(folder), before)


def wide(file):
    Image.fromarray(np.full((8, 8), 40000, dtype=np.uint16)).save(file)


def larger(file):
    Image.new("RGB", (9, 8)).save(file)


def cut(file):
    file.write_bytes(file.read_bytes()[:100])


@pytest.mark.parametrize("batch", [500, 2])
@pytest.mark.parametrize("spoil, complaint", [
    (wide, "more than 8 bits a channel"), (larger, "a folder holds images of one size"),
    (cut, "no whole image"), (lambda file: file.write_bytes(b""), "no whole image"),
])  # fmt: skip
def test_a_file_that_does_not_fit_is_named(tmp_path, spoil, complaint, batch):
    folder = folder_of(tmp_path)
    spoil(folder / "004.png")
    with pytest.raises(ValueError, match=f"004.png.*{complaint}"):
        features(folder, batch)
