"""Data: toys lie where they say they lie, and the digits are split without overlap.

Cartoon faces and objects keep their structure, whatever the batch, the size or the process.
"""

import copy
import hashlib
import subprocess
import sys

import numpy as np
import pytest
import torch

from traflow_lib.data import faces, images, portraits, stand_ins, toys


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", toys.TOYS)
def test_at_least_99_per_cent_of_a_toys_samples_lie_on_its_support(name):
    toy = toys.get(name)
    assert toy.off_support(toy.sample(50_000, seeded())) <= 0.01 + 3 * (0.01 / 50_000) ** 0.5


def test_no_checkerboard_sample_is_off_its_support():
    toy = toys.get("checkerboard")
    assert toy.off_support(toy.sample(50_000, seeded())) == 0


@pytest.mark.parametrize("name", toys.TOYS)
def test_a_good_part_of_the_square_is_off_a_toys_support(name):
    toy = toys.get(name)
    share = toy.off_support(4 * torch.rand(20_000, toy.dim, generator=seeded()) - 2)
    assert 0.25 <= share <= (0.9 if toy.dim == 2 else 1)


@pytest.mark.parametrize("name", toys.TOYS)
def test_toy_samples_are_pairs_of_floats_that_the_seed_decides(name):
    toy = toys.get(name)
    assert toy.sample(7, seeded()).shape == (7, toy.dim) and toy.sample(7, seeded()).dtype == torch.float32
    assert torch.equal(toy.sample(7, seeded()), toy.sample(7, seeded())) and not torch.equal(
        toy.sample(7, seeded()), toy.sample(7, seeded(1))
    )


@pytest.mark.parametrize("name", toys.TOYS)
def test_toys_are_centred(name):
    assert toys.get(name).sample(50_000, seeded()).mean(0).abs().max() <= 0.03


def test_checkerboard_covers_eight_squares_evenly():
    x = toys.get("checkerboard").sample(80_000, seeded())
    squares, counts = (x + 2).floor().unique(dim=0, return_counts=True)
    assert len(squares) == 8 and ((counts - 10_000).abs() <= 500).all()


def test_eight_gaussians_samples_belong_to_its_closed_form():
    toy = toys.get("8gaussians")
    nearest = torch.cdist(toy.sample(8_000, seeded()), toys.MODES).min(dim=1)
    assert ((nearest.indices.bincount() - 1_000).abs() <= 150).all()
    assert nearest.values.square().mean().item() == pytest.approx(2 * toys.MODE_STD**2, rel=0.05)
    assert torch.allclose(toy.flow(toys.MODES, 1.0), toys.MODES, atol=1e-5)  # x - E[x_0], whose mean is zero


@pytest.mark.parametrize("name", [name for name, toy in toys.TOYS.items() if toy.flow])
def test_samples_of_a_mixture_are_as_likely_as_its_closed_form_says(name):
    """The mean of d log p(x) . x over samples is minus the dimension, whatever the density (by parts)."""
    toy = toys.get(name)
    x = toy.sample(40_000, seeded()).double().requires_grad_()
    (score,) = torch.autograd.grad(toy.flow.log_prob(x, 0.0).sum(), x)
    found = (score * x).sum(1)
    assert abs(found.mean() + toy.dim) < 4 * found.std() / len(x) ** 0.5


def test_points_of_the_subspace_lie_near_four_of_its_dimensions():
    x = toys.get("subspace32").sample(20_000, seeded())
    spread = torch.linalg.svdvals(x - x.mean(0)) / len(x) ** 0.5
    assert spread[3] > 0.5 and spread[4:].max() < 0.06


def test_digits_are_1797_images_between_minus_one_and_one():
    digits, labels = images.load("digits")
    x = digits[:]
    assert (
        digits.shape == x.shape == (1797, 1, 8, 8)
        and x.dtype == torch.float32
        and x.min() == -1
        and x.max() == 1
    )
    assert labels.shape == (1797,) and labels.unique().tolist() == list(range(10))


def test_digit_splits_are_disjoint_and_cover_everything():
    everything, train, test = (images.load("digits", split) for split in ("all", "train", "test"))
    rows = [
        torch.cat([x[:].flatten(1), labels[:, None].float()], dim=1)
        for x, labels in (everything, train, test)
    ]
    assert len(rows[1]) + len(rows[2]) == len(rows[0]) and torch.equal(
        torch.cat(rows[1:]).unique(dim=0), rows[0].unique(dim=0)
    )
    assert len(torch.cat(rows[1:]).unique(dim=0)) == len(rows[1].unique(dim=0)) + len(rows[2].unique(dim=0))


def test_every_class_gives_a_fifth_of_its_digits_to_the_test():
    (_, everything), (_, test) = images.load("digits"), images.load("digits", "test")
    assert torch.equal(test.bincount(), (everything.bincount() + 4) // 5)


@pytest.mark.parametrize("get, message", [
    (lambda: toys.get("moons"), "unknown toy data set 'moons'; there are .*checkerboard"),
    (lambda: images.load("mnist"), "unknown image data set 'mnist'; there are .*digits"),
    (lambda: images.load("digits", "valid"), "unknown split 'valid' of digits; there are all, train, test"),
], ids=["toy", "images", "split"])  # fmt: skip
def test_unknown_names_list_what_exists(get, message):
    with pytest.raises(ValueError, match=message):
        get()


KINDS = pytest.mark.parametrize("kind", ["faces", "objects"])


def inside(outline: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Whether each point lies in a convex outline that runs clockwise (y down)."""
    edge = np.roll(outline, -1, axis=0) - outline
    away = points[:, None] - outline
    return (edge[:, 0] * away[..., 1] - edge[:, 1] * away[..., 0] > 0).all(1)


def replace(face: faces.Look, **changes) -> faces.Look:
    """The same face but for some changes."""
    other = copy.copy(face)
    vars(other).update(changes)
    return other


def changed(one: faces.Look, other: faces.Look, size: int = 64) -> np.ndarray:
    """Where two portraits differ, in coordinates [n, 2] of the head of the first."""
    differ = (portraits.portrait(one, size) != portraits.portrait(other, size)).any(0)
    row, column = np.nonzero(differ)
    return ((np.stack([column, row], 1) + 0.5) / size * 2 - 1 - one.shift) / one.scale


@KINDS
def test_a_picture_depends_on_its_number_alone(kind):
    first = stand_ins.draw(kind, np.arange(40), 24)
    assert first.shape == (40, 3, 24, 24) and first.dtype == np.uint8
    assert len(np.unique(first.reshape(40, -1), axis=0)) == 40 and (first.reshape(40, -1).std(1) > 10).all()
    for chosen in ([7], [39, 0, 7], list(range(10, 21))):
        assert np.array_equal(stand_ins.draw(kind, np.array(chosen), 24), first[chosen])


def test_another_process_draws_the_same():
    code = """
import hashlib
import numpy as np
from traflow_lib.data import stand_ins
both = b"".join(stand_ins.draw(kind, np.arange(9), 16).tobytes() for kind in ("faces", "objects"))
print(hashlib.sha256(both).hexdigest())
"""
    both = b"".join(stand_ins.draw(kind, np.arange(9), 16).tobytes() for kind in ("faces", "objects"))
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert there.strip() == hashlib.sha256(both).hexdigest()


@KINDS
def test_half_the_size_is_the_mean_of_two_by_two(kind):
    large, small = (
        stand_ins.draw(kind, np.arange(30), 64).astype(float),
        stand_ins.draw(kind, np.arange(30), 32),
    )
    halved = large.reshape(30, 3, 32, 2, 32, 2).mean((3, 5))
    apart = np.abs(halved[:, None] - small).mean((2, 3, 4))  # of every pair of pictures
    assert np.diag(apart).max() < 5 and (apart.argmin(1) == np.arange(30)).all()


@pytest.mark.parametrize("name, classes", [("faces16", 8), ("objects8", 10)])
def test_data_sets_have_balanced_classes_and_splits_of_one_sequence(name, classes, tmp_path, monkeypatch):
    monkeypatch.setenv("TRAFLOW_RUNS", str(tmp_path))
    few = {"all": range(240), "train": range(200), "test": range(200, 240)}
    monkeypatch.setattr(stand_ins, "SPLITS", few)
    train, labels = images.load(name, "train")
    test, of_test = images.load(name, "test")
    assert labels.dtype == torch.int64 and train.shape == (200, *images.shape(name))
    assert labels.bincount().tolist() == [200 // classes] * classes == [5 * n for n in of_test.bincount()]
    whole, of_whole = images.load(name)
    assert torch.equal(whole[200:204], test[:4]) and torch.equal(of_whole[200:], of_test)
    assert train[:64].min() >= -1 and train[:64].max() <= 1 and train[3].shape == images.shape(name)
    assert train.file.exists()  # drawn once


def test_names():
    assert stand_ins.parse("faces64") == ("faces", 64, 3) and stand_ins.parse("objects8") == ("objects", 8, 3)
    assert stand_ins.parse("shapes32x1") == ("shapes", 32, 1)
    for name in ("faces", "faces0", "objects32x1", "houses32"):
        with pytest.raises(ValueError, match=rf"'{name}'; there are .*shapes.*faces<size> and objects<size>"):
            images.load(name)


def test_labels_of_faces_are_three_of_their_features():
    found = [faces.Look(index) for index in range(200)]
    worth = [face.smiling + 2 * face.glasses + 4 * bool(face.hat) for face in found]
    assert stand_ins.labels("faces", np.arange(200)).tolist() == worth
    for name in ("bangs", "open_mouth", "rosy", "earrings", "lipstick", "tie"):
        assert 0 < sum(getattr(face, name) for face in found) < 200, name
    assert {face.beard for face in found} == {None, "full", "goatee", "mustache"}
    assert {face.style for face in found} == {*faces.STYLES, "bald"}
    assert {face.hair_name for face in found} == {*faces.HAIR, "rose"}
    assert not any(face.style == "bald" and (face.hat or face.bangs) for face in found)


def test_both_eyes_lie_inside_the_face_and_level():
    for index in range(300):
        face = faces.Look(index)
        (left, y), (right, other_y) = face.eyes()
        assert y == other_y and left + right == pytest.approx(2 * face.yaw) and left < face.yaw < right
        rim = np.concatenate([eye + face.eye_size * 1.1 * faces.CIRCLE for eye in face.eyes()])
        assert inside(face.head(), rim).all() and not inside(face.head(), rim + (1, 0)).all()


def test_drawn_features_lie_where_the_face_has_them():
    for index in range(3, 200, 24):
        face = replace(faces.Look(index), tilt=0, glasses=False, hat=None, style="short", bangs=False)
        eyes = face.eyes()
        lenses = changed(face, replace(face, glasses=True))
        assert abs(lenses[:, 1].min() + lenses[:, 1].max() - 2 * eyes[0, 1]) < 0.15  # level with the eyes
        gazes = changed(replace(face, gaze=(-1, 0)), replace(face, gaze=(1, 0)))
        nearest = np.linalg.norm(gazes[:, None] - eyes, axis=2)
        assert (nearest.min(1) < face.eye_size * 1.1 + 0.05).all() and set(nearest.argmin(1)) == {0, 1}
        smile = changed(replace(face, smiling=False), replace(face, smiling=True))
        assert len(smile) > 10 and (smile[:, 1] > 0.4).all() and (smile[:, 1] < 1).all()


def test_classes_of_objects_can_be_told_apart():
    """The nearest mean picture, of other numbers, names the class far more often than chance."""
    pictures = stand_ins.draw("objects", np.arange(300), 16).reshape(300, -1).astype(float)
    labels = stand_ins.labels("objects", np.arange(300))
    means = np.stack([pictures[:200][labels[:200] == k].mean(0) for k in range(10)])
    guess = np.linalg.norm(pictures[200:, None] - means, axis=2).argmin(1)
    assert (guess == labels[200:]).mean() > 0.4
