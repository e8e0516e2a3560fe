"""Features on file: what a killed run leaves is used, what is known is not computed again, what is damaged is
not believed.
"""

import pytest
import torch

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
