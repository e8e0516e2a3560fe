"""Images: what load() promises, whatever the data set, and how fast."""

import shutil
import time

import numpy as np
import pytest
import torch
from image_files import cifar

from traflow_lib.data import drawn, fetch, images, published_sets
from traflow_lib.files.checksums import tensor_sha256
from traflow_lib.randomness import Draws

pytestmark = pytest.mark.usefixtures("generated_files")


@pytest.fixture
def root(cifar_root):
    return cifar_root


def test_digits_are_what_they_were():
    x, labels = images.load("digits")
    assert (
        x.sha256 == tensor_sha256(x[:]) == "8aa4a98f227fcb6c0e09f481387d6fb1d13ed860d89d558098140c841f9d9acf"
    )
    drawn = x.sample(50, Draws.seeded(3))
    assert torch.equal(drawn, x[torch.randint(1797, (50,), generator=torch.Generator().manual_seed(3))])


@pytest.mark.parametrize("name", ["cifar10", "digits", "shapes16"])
def test_every_index_gives_the_same_images(root, name):
    x, labels = images.load(name, "train", root)
    assert (
        len(x) == len(labels) == x.shape[0] and x[:7].shape == (7, *x.shape[1:]) and x[3].shape == x.shape[1:]
    )
    for index in (torch.tensor([5, 2, 2]), np.array([5, 2, 2]), [5, 2, 2]):
        assert torch.equal(x[index], torch.stack([x[5], x[2], x[2]]))
    assert torch.equal(x[-2:], x[torch.arange(len(x) - 2, len(x))]) and x[:7].dtype == torch.float32
    with pytest.raises(IndexError):
        x[len(x)]


def test_samples_come_with_their_labels_and_from_every_image(root):
    x, labels = images.load("cifar10", root=root)
    drawn, of = x.sample_labelled(2_000, Draws.seeded(1))
    match = (drawn.flatten(1)[:, None, :50] == x[:].flatten(1)[None, :, :50]).all(2)
    assert (match.sum(1) == 1).all() and torch.equal(labels[match.int().argmax(1)], of) and match.any(0).all()
    assert torch.equal(drawn, x.sample(2_000, Draws.seeded(1)))


def test_flips_mirror_half_the_samples_and_no_indexed_image(root):
    plain, flipping = images.load("cifar10", root=root)[0], images.load("cifar10", root=root, flip=True)[0]
    before, after = plain.sample(2_000, Draws.seeded(1)), flipping.sample(2_000, Draws.seeded(1))
    same, mirrored = ((before == other).flatten(1).all(1) for other in (after, after.flip(3)))
    assert (same ^ mirrored).all() and 900 < mirrored.sum() < 1_100
    assert torch.equal(flipping[:], plain[:])


def test_a_batch_split_over_processes_is_the_whole_batch(root):
    x, _ = images.load("cifar10", root=root, flip=True)
    whole = x.sample(12, Draws.seeded(1))
    for part in range(3):
        draws = Draws(torch.Generator().manual_seed(1), part, 3)
        assert torch.equal(x.sample(4, draws), whole[part::3])


def test_shapes_depend_on_their_number_alone():
    first = drawn.draw(np.arange(300), 24)
    assert first.shape == (300, 3, 24, 24) and len(np.unique(first.reshape(300, -1), axis=0)) == 300
    for chosen in ([7], [299, 0, 7], list(range(40, 81))):
        assert np.array_equal(drawn.draw(np.array(chosen), 24), first[chosen])
    assert drawn.draw(np.array([10**12]), 24).std() > 0
    assert tensor_sha256(torch.from_numpy(first)).startswith("a494")  # on every machine


def test_shapes_have_any_size_and_channels_and_six_kinds():
    train, labels = images.load("shapes20x1", "train")
    test, _ = images.load("shapes20x1", "test")
    assert (
        train.shape == (50_000, 1, 20, 20)
        and test.shape == (10_000, 1, 20, 20)
        and not torch.equal(train[:5], test[:5])
    )
    assert (labels.bincount(minlength=6) > 8_000).all() and len(labels.unique()) == len(drawn.KINDS) == 6
    assert torch.equal(images.load("shapes20x1")[0][50_000:50_005], test[:5])


def test_the_root_comes_from_the_environment(root, monkeypatch):
    monkeypatch.setenv("TRAFLOW_DATA", str(root))
    assert len(images.load("cifar10")[0]) == 24


@pytest.mark.parametrize(
    "name, split, there",
    [
        ("cifar10", "valid", "all, train, test"),
        ("celeba64", "val", "all, train, valid, test"),
        ("ffhq64", "train", "all"),
        ("imagenet64", "all", "train, valid"),
        ("shapes32", "x", "all, train, test"),
    ],
)
def test_a_split_that_is_not_there_lists_those_that_are(name, split, there):
    with pytest.raises(ValueError, match=f"unknown split '{split}' of {name}; there are {there}$"):
        images.load(name, split)


def rate(x: images.Images, batch: int = 128) -> float:
    """Images a second through sample() on one thread, the best of five times twenty batches."""
    threads, best = torch.get_num_threads(), 0.0
    torch.set_num_threads(1)
    for _ in range(5):
        begin = time.perf_counter()
        for _ in range(20):
            x.sample(batch, Draws())
        best = max(best, 20 * batch / (time.perf_counter() - begin))
    torch.set_num_threads(threads)
    return best


def test_the_cache_delivers_20_000_colour_images_a_second(root):
    shutil.rmtree(root / "cifar-10-batches-py")
    cifar(root, n=2_000)
    assert rate(images.load("cifar10", root=root, flip=True)[0]) >= 20_000


@pytest.mark.skipif(
    not published_sets.DEBIAN_FASHION_MNIST.is_dir(),
    reason="Debian's package dataset-fashion-mnist is not installed",
)
def test_the_real_fashion_mnist(tmp_path, monkeypatch):
    monkeypatch.delenv(fetch.UNVERIFIED)
    x, labels = images.load("fashion_mnist", "train", tmp_path / "nothing", flip=True)
    assert (
        x.shape == (60_000, 1, 32, 32)
        and (labels.bincount() == 6_000).all()
        and labels[:5].tolist() == [9, 0, 0, 3, 0]
    )
    assert x[:].mean().item() == pytest.approx(
        2 * 0.2860 * (28 / 32) ** 2 - 1, abs=1e-4
    )  # the known mean of its pixels, and the black border
    assert len(images.load("fashion_mnist", "test", tmp_path / "nothing")[0]) == 10_000 and rate(x) >= 20_000


def test_shapes_are_drawn_fast_enough():
    begin = time.perf_counter()
    drawn.draw(np.arange(2_000), 64)
    assert time.perf_counter() - begin < 4
