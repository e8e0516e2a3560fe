"""Data: toys lie where they say they lie, and the digits are split without overlap."""

import pytest
import torch

from traflow_lib.data import images, toys


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
