"""Features on file, and of a folder of images, which is looked through before anything is computed.

What a killed run leaves is used, what is known is not computed again, what is damaged is not believed.
"""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from traflow_lib.data import sample_files
from traflow_lib.evaluation import generate
from traflow_lib.evaluation.feature_cache import collect
from traflow_lib.evaluation.features import Extractor
from traflow_lib.evaluation.frechet import mean_and_cov
from traflow_lib.files import paths

SPATIAL = Extractor(
    "mean",
    "native",
    "0" * 64,
    4,
    lambda x: x.float().flatten(1),
    spatial=lambda x: x.float().mean(1).flatten(1),
)
PLAIN = Extractor("mean", "native", "0" * 64, 4, lambda x: x.float().flatten(1))


@pytest.fixture(autouse=True)
def _own_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAFLOW_RUNS", str(tmp_path))


class Images:
    """Image i has the value i; remembers what it was asked for and dies before the batch that starts at
    `dies`.
    """

    def __init__(self, dies: int | None = None):
        self.asked, self.dies = [], dies

    def __call__(self, start, stop):
        if start == self.dies:
            raise KeyboardInterrupt
        self.asked.append((start, stop))
        return torch.arange(start, stop, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 2, 2), 3


def run(images, n=10, batch=4, extractor=PLAIN, **options):
    return collect(images, n, {"what": "numbers"}, extractor, batch=batch, **options)


def test_features_come_in_order_with_their_moments():
    found = run(Images())
    assert found.features[:, 0].tolist() == list(range(10)) and len(found) == 10 and found.nfe == 3
    mean, cov = mean_and_cov(found.features)
    assert torch.equal(found.mean, mean) and torch.equal(found.cov, cov) and found.mean.dtype == torch.float64


def test_second_call_answers_from_the_cache_and_says_so(said):
    first, images = run(Images()), Images()
    second = run(images)
    assert images.asked == [] and torch.equal(second.features, first.features) and second.nfe == 3
    assert len(said) == 1 and said[0].startswith("10 features of numbers from the cache")


@pytest.mark.parametrize("killed_at", [0, 4, 8])
def test_killing_it_loses_at_most_one_batch(killed_at, said):
    with pytest.raises(KeyboardInterrupt):
        run(Images(dies=killed_at))
    images = Images()
    found = run(images)
    assert [start for start, _ in images.asked] == [start for start in (0, 4, 8) if start >= killed_at]
    assert found.features[:, 0].tolist() == list(range(10))
    assert said == (
        [f"{killed_at} features of numbers were there from an interrupted run"] if killed_at else []
    )


def test_damaged_file_is_made_again(said):
    run(Images())
    (file,) = (paths.runs() / "features").glob("*.safetensors")
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)
    images = Images()
    run(images)
    assert images.asked and said[0] == f"{file.name} is damaged and made again"
    after = Images()
    run(after)
    assert not after.asked


@pytest.mark.parametrize("change", [{"n": 9}, {"extractor": SPATIAL, "spatial": True}])
def test_other_questions_have_other_files(change):
    run(Images())
    images = Images()
    run(images, **change)
    assert images.asked


def test_batch_size_is_no_part_of_the_question():
    run(Images())
    images = Images()
    run(images, batch=3)
    assert not images.asked


def test_spatial_features_are_kept_beside():
    found = run(Images(), extractor=SPATIAL, spatial=True)
    assert found.spatial.shape == (10, 4)
    assert torch.equal(found.spatial_cov, mean_and_cov(found.spatial)[1])


def test_extractor_without_spatial_features_says_who_has_them():
    with pytest.raises(
        ValueError, match="mean .native. gives no spatial features; sFID has them from inception"
    ):
        run(Images(), spatial=True)


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
    return generate.of_folder(folder, extractor, batch=batch).features


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
    Image.fromarray(np.full((8, 8), 40000, dtype=np.uint32).astype(np.int32)).save(file.with_suffix(".tif"))


def larger(file):
    Image.new("RGB", (9, 8)).save(file)


def cut(file):
    file.write_bytes(file.read_bytes()[:100])


@pytest.mark.parametrize("batch", [500, 2])
@pytest.mark.parametrize("spoil, complaint", [
    (wide, "004.tif.*convert it to 8 or 16 bits"), (larger, "004.png.*a folder holds images of one size"),
    (cut, "004.png.*is damaged"), (lambda file: file.write_bytes(b""), "004.png.*is damaged"),
])  # fmt: skip
def test_a_file_that_does_not_fit_is_named(tmp_path, spoil, complaint, batch):
    folder = folder_of(tmp_path)
    spoil(folder / "004.png")
    with pytest.raises(ValueError, match=complaint):
        features(folder, batch)


def test_sixteen_bits_are_the_same_as_eight(tmp_path):
    folder = folder_of(tmp_path)
    pixels = np.asarray(Image.open(folder / "001.png").convert("L"))
    for number in range(6):
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
    before = features(folder)
    Image.fromarray(pixels.astype(np.uint16) * 257).save(folder / "001.png")
    assert torch.equal(features(folder), before)


@pytest.mark.parametrize("name", ["x.npz", "x.npy", "x.pt"])
def test_an_array_is_measured_as_a_folder_is(tmp_path, name):
    folder = folder_of(tmp_path)
    pixels = np.stack([np.asarray(Image.open(file)) for file in sorted(folder.iterdir())])
    bytes_first = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    if name == "x.npy":
        np.save(tmp_path / name, pixels)
    else:
        sample_files.write(tmp_path / name, bytes_first / 127.5 - 1, bytes_first)
    assert torch.equal(features(tmp_path / name), features(folder))


@pytest.mark.parametrize("n", [0, -1])
def test_no_images_are_not_measured(tmp_path, n):
    with pytest.raises(ValueError, match=f"{n} images to take of .*pictures; at least 1"):
        generate.of_folder(folder_of(tmp_path), None, n)
