"""Inception Score, precision, recall, density and coverage: cases done by hand, then other people's code."""

import numpy as np
import pytest
import torch

from traflow_lib.evaluation import precision_recall as module
from traflow_lib.evaluation.precision_recall import precision_recall
from traflow_lib.evaluation.scores import inception_score


def brute_force(real: np.ndarray, fake: np.ndarray, k: int, k_density: int) -> dict[str, float]:
    """The definitions word by word, in loops over pairs."""

    def radius(features, i, k):
        return sorted(
            np.sqrt(((features[i] - other) ** 2).sum()) for j, other in enumerate(features) if j != i
        )[k - 1]

    def inside(point, centre, radius):
        return np.sqrt(((point - centre) ** 2).sum()) <= radius

    real_radii, fake_radii = [[radius(x, i, k) for i in range(len(x))] for x in (real, fake)]
    wide = [radius(real, i, k_density) for i in range(len(real))]
    return {
        "precision": np.mean([any(inside(f, r, d) for r, d in zip(real, real_radii)) for f in fake]),
        "recall": np.mean([any(inside(r, f, d) for f, d in zip(fake, fake_radii)) for r in real]),
        "density": np.mean([sum(inside(f, r, d) for r, d in zip(real, wide)) for f in fake]) / k_density,
        "coverage": np.mean([any(inside(f, r, d) for f in fake) for r, d in zip(real, wide)]),
    }


@pytest.mark.parametrize("chunk", [7, 1000])
@pytest.mark.parametrize("shift, spread", [(0.0, 1.0), (1.0, 0.5), (0.5, 2.0)])
def test_equals_brute_force(shift, spread, chunk, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", chunk)
    real, fake = torch.randn(60, 4).double(), spread * torch.randn(45, 4).double() + shift
    expected = brute_force(real.numpy(), fake.numpy(), 3, 5)
    assert precision_recall(real, fake) == pytest.approx(expected, abs=1e-12)
    assert 0 < expected["precision"] < 1 or shift == 0


def test_equals_scikit_learns_neighbours():
    neighbors = pytest.importorskip("sklearn.neighbors")
    real, fake = (x.double().numpy() for x in (torch.randn(500, 16), 0.8 * torch.randn(400, 16) + 0.3))

    def hits(points, centres, k):
        """For every centre, the points no farther than its k-th neighbour."""
        distances, _ = (
            neighbors.NearestNeighbors(n_neighbors=k).fit(centres).kneighbors()
        )  # without the point itself
        return neighbors.BallTree(points).query_radius(centres, distances[:, -1])

    wide = hits(fake, real, 5)
    expected = {
        "precision": len(np.unique(np.concatenate(hits(fake, real, 3)))) / len(fake),
        "recall": len(np.unique(np.concatenate(hits(real, fake, 3)))) / len(real),
        "density": sum(map(len, wide)) / 5 / len(fake),
        "coverage": np.mean([len(found) > 0 for found in wide]),
    }
    assert precision_recall(*map(torch.from_numpy, (real, fake))) == pytest.approx(expected)


def test_float32_loses_nothing_that_matters():
    real, fake = 100 + torch.randn(400, 64), 100.2 + torch.randn(300, 64)
    single, double = precision_recall(real, fake), precision_recall(real.double(), fake.double())
    assert single == pytest.approx(double, abs=0.005)


def test_same_samples_are_precise_and_cover_everything():
    real = torch.randn(50, 3)
    found = precision_recall(real, real.clone())
    assert found["precision"] == found["recall"] == found["coverage"] == 1


def test_one_mode_of_two_is_precise_but_recalls_half():
    left, right = torch.randn(200, 2) - 10, torch.randn(200, 2) + 10
    found = precision_recall(torch.cat([left, right]), torch.randn(200, 2) - 10)
    assert (
        found["precision"] > 0.9
        and found["recall"] == pytest.approx(0.5, abs=0.05)
        and found["coverage"] < 0.55
    )


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match="more than 5 samples on each side; got 5 and 9"):
        precision_recall(torch.randn(5, 2), torch.randn(9, 2))


def test_memory_is_that_of_a_chunk():
    """20,000 x 20,000 distances at once would be 1.6 GB."""
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    precision_recall(torch.randn(20_000, 4), torch.randn(10_000, 4))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600_000  # kB


def test_inception_score_of_sure_and_even_classes_is_their_number():
    assert inception_score(100 * torch.eye(10).repeat(20, 1)) == pytest.approx(10)
    assert inception_score(torch.zeros(50, 10)) == pytest.approx(1)


def test_inception_score_is_the_mean_over_parts():
    logits = 3 * torch.randn(100, 5)
    assert inception_score(logits, split=50) == pytest.approx(
        (inception_score(logits[:50]) + inception_score(logits[50:])) / 2
    )


@pytest.mark.filterwarnings("ignore:Metric `InceptionScore` will save", "ignore:std")
def test_inception_score_is_torchmetrics():
    image = pytest.importorskip("torchmetrics.image.inception")

    class Scores(torch.nn.Module):
        num_features = 5

        def forward(self, x):
            return x.flatten(1).float()

    logits = 3 * torch.randn(200, 5)
    witness = image.InceptionScore(feature=Scores(), splits=1)
    witness.update(logits[:, :, None, None])
    assert inception_score(logits) == pytest.approx(witness.compute()[0].item(), rel=1e-5)
