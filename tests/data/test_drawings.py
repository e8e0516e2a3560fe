"""Cartoon faces and objects keep their structure, whatever the batch, the size or the process."""

import copy
import hashlib
import subprocess
import sys

import numpy as np
import pytest
import torch

from traflow_lib.data import faces, images, portraits, stand_ins

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


def test_labels_of_faces_are_three_of_their_attributes():
    found = [faces.attributes(index) for index in range(200)]
    worth = [
        sum(each[name] << bit for bit, name in enumerate(("Smiling", "Eyeglasses", "Wearing_Hat")))
        for each in found
    ]
    assert stand_ins.labels("faces", np.arange(200)).tolist() == worth
    for name in found[0]:
        assert 0 < sum(each[name] for each in found) < 200, name
    assert not any(each["Bald"] and (each["Wearing_Hat"] or each["Bangs"]) for each in found)


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
