"""Teacher pairs: noise that depends on the seed and the index alone, pairs that do not depend on the batch,
and times.
"""

import pytest
import torch
from helpers import gaussian, gaussian_batch, mixture

from traflow_lib.batch import LAWS, Batch, sample_times
from traflow_lib.flow import chord
from traflow_lib.pairs import OnlinePairs, PairCache, make_pairs, sample_noise

RK4 = {"method": "rk4", "steps": 4}


def shrink(x, t):
    """A velocity for tensors of any shape."""
    return x * (0.5 + t.reshape(-1, *[1] * (x.ndim - 1)))


def image_pairs(n=6):
    return make_pairs(shrink, n, (1, 4, 4), seed=0, keep_path=True, **RK4)


@pytest.mark.parametrize("split", [1, 7, 19])
def test_noise_does_not_depend_on_how_it_is_batched(split):
    parts = [sample_noise(3, 0, split, (2, 2)), sample_noise(3, split, 20, (2, 2))]
    assert torch.equal(torch.cat(parts), sample_noise(3, 0, 20, (2, 2)))


def test_noise_of_an_empty_range_is_empty():
    assert sample_noise(0, 5, 5, (1, 8, 8)).shape == (0, 1, 8, 8)


def test_other_seeds_and_samples_have_other_noise():
    noise = torch.cat([sample_noise(seed, 0, 10, (4,)) for seed in (0, 1)])
    assert len(noise.unique(dim=0)) == 20


def test_noise_is_standard_normal():
    noise = sample_noise(0, 0, 20_000, (2,))
    assert noise.mean().abs() < 0.02 and torch.allclose(torch.cov(noise.T), torch.eye(2), atol=0.03)
    assert (noise.abs() < 1.96).float().mean().item() == pytest.approx(0.95, abs=0.005)


def test_pairs_are_the_same_whatever_the_batch():
    one, other = (
        make_pairs(mixture(), 20, (2,), seed=0, keep_path=True, batch=batch, **RK4) for batch in (3, 64)
    )
    assert torch.equal(one.x1, other.x1)
    assert torch.allclose(one.x0, other.x0, atol=1e-5) and torch.allclose(one.path, other.path, atol=1e-5)


def test_pairs_join_noise_to_the_teachers_output():
    flow = gaussian(torch.float32)
    pairs = make_pairs(flow, 50, (2,), seed=0, method="rk4", steps=40)
    assert torch.equal(pairs.x1, sample_noise(0, 0, 50, (2,))) and pairs.path is None
    assert torch.allclose(pairs.x0, flow.jump(pairs.x1, 1.0, 0.0), atol=1e-4)


@pytest.mark.parametrize("keep_path", [False, True])
def test_saved_pairs_come_back_unchanged(tmp_path, keep_path):
    pairs = make_pairs(mixture(), 10, (2,), seed=0, keep_path=keep_path, **RK4)
    pairs.save(tmp_path / "new" / "pairs.safetensors")
    back = PairCache.load(tmp_path / "new" / "pairs.safetensors")
    assert len(back) == 10 and torch.equal(back.x1, pairs.x1) and torch.equal(back.x0, pairs.x0)
    assert torch.equal(back.path, pairs.path) if keep_path else back.path is None


def test_first_pairs_are_a_prefix_with_their_paths():
    pairs = make_pairs(mixture(), 10, (2,), seed=0, keep_path=True, **RK4)
    few = pairs.first(3)
    assert (
        len(few) == 3
        and torch.equal(few.x1, pairs.x1[:3])
        and torch.equal(few.x0, pairs.x0[:3])
        and torch.equal(few.path, pairs.path[:3])
    )


def test_batch_without_a_path_is_the_chord():
    x1, x0, t = torch.randn(5, 2), torch.randn(5, 2), torch.rand(5)
    assert torch.equal(Batch(x1, x0).at(t), chord(x0, x1, t)) and Batch(x1, x0).intervals is None


@pytest.mark.parametrize(
    "states, message",
    [
        (lambda batch: batch.on("path"), 'states="path" needs batches with the teacher\'s path'),
        (lambda batch: batch.with_noised_data(), 'states="data" needs real data'),
    ],
    ids=["path", "data"],
)
def test_states_that_a_batch_does_not_have_are_refused_in_one_line(states, message):
    with pytest.raises(ValueError, match=message) as error:
        states(Batch(torch.randn(5, 2), torch.randn(5, 2)))
    assert "\n" not in str(error.value)


def test_states_of_a_batch_are_on_the_chord_the_path_or_random_chords_of_data():
    batch, t = gaussian_batch(gaussian(), 9, intervals=8), torch.full((9,), 0.25).double()
    assert torch.equal(batch.on("chord").at(t), chord(batch.x0, batch.x1, t)) and torch.equal(
        batch.on("path").at(t), batch.path[:, 2]
    )
    one, other = batch.with_noised_data(), batch.with_noised_data()
    assert torch.equal(one.at(0 * t), batch.data) and one.intervals is None
    assert not torch.isclose(one.x1, other.x1).any() and not torch.isclose(one.x1, batch.x1).any()


def test_halves_split_all_that_the_batch_holds():
    batch = gaussian_batch(gaussian(), 8)
    first, second = batch.halves()
    for name in ("x1", "x0", "path", "data"):
        assert (
            torch.equal(torch.cat([getattr(first, name), getattr(second, name)]), getattr(batch, name))
            and len(getattr(first, name)) == 4
        )
    assert (
        Batch(batch.x1, batch.x0, progress=0.3).halves()[1].path is None
        and Batch(batch.x1, batch.x0, progress=0.3).halves()[1].progress == 0.3
    )


def test_batch_with_a_path_is_the_teachers_state_at_each_samples_time():
    flow = gaussian()
    batch = gaussian_batch(flow, 9, intervals=8)
    t = torch.arange(9).double() / 8
    assert batch.intervals == 8 and torch.allclose(batch.at(t), flow.jump(batch.x1, 1.0, t), atol=1e-12)


@pytest.mark.parametrize(
    "cache",
    [lambda: make_pairs(mixture(torch.float32), 6, (2,), seed=0, keep_path=True, **RK4), image_pairs],
    ids=["vectors", "images"],
)
def test_path_ends_at_the_noise_and_the_output(cache):
    """Image paths are stored in float16: relative rounding 2^-11."""
    batch = cache().batch(16)
    assert batch.path.dtype == torch.float32 and batch.intervals == 4
    assert torch.allclose(batch.at(torch.ones(16)), batch.x1, rtol=2**-10, atol=1e-4)
    assert torch.allclose(batch.at(torch.zeros(16)), batch.x0, rtol=2**-10, atol=1e-4)


def test_batch_keeps_noise_and_output_together():
    cache = make_pairs(mixture(torch.float32), 6, (2,), seed=0, **RK4)
    batch = cache.batch(50)
    index = torch.cdist(batch.x1, cache.x1).argmin(dim=1)
    assert (
        torch.equal(batch.x1, cache.x1[index])
        and torch.equal(batch.x0, cache.x0[index])
        and len(index.unique()) == 6
    )


@pytest.mark.parametrize("path", [False, True])
@pytest.mark.parametrize(
    "source", [image_pairs, lambda: OnlinePairs(shrink, (1, 4, 4), **RK4)], ids=["cache", "online"]
)
def test_both_sources_have_one_interface(source, path):
    batch = source().batch(3, path=path)
    assert batch.x1.shape == batch.x0.shape == (3, 1, 4, 4)
    assert (batch.path is not None) == path and batch.at(torch.ones(3)).shape == (3, 1, 4, 4)


def test_online_pairs_are_solved_afresh_from_the_same_teacher():
    flow = gaussian(torch.float32)
    online = OnlinePairs(flow, (2,), method="rk4", steps=40)
    one, other = online.batch(5), online.batch(5)
    assert not torch.equal(one.x1, other.x1)
    assert torch.allclose(one.x0, flow.jump(one.x1, 1.0, 0.0), atol=1e-4) and torch.allclose(
        one.at(torch.ones(5)), one.x1
    )


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("intervals", [None, 1, 4, 24])
def test_times_are_ordered_and_s_is_before_t(law, intervals):
    s, u, t = sample_times(20_000, 0.25, intervals, law)
    assert (s < t).all() and (s <= u).all() and (u <= t).all() and s.min() >= 0 and t.max() <= 1


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("ends", [0.0, 0.25, 0.6, 1.0])
def test_ends_is_the_share_of_times_that_sampling_uses(law, ends):
    s, _, t = sample_times(40_000, ends, law=law)
    assert (t == 1).float().mean().item() == pytest.approx(ends, abs=0.01)
    assert (s == 0).float().mean().item() == pytest.approx(ends, abs=0.01)
    assert ((s == 0) & (t == 1)).float().mean().item() == pytest.approx(ends**2, abs=0.01)


def of_logit_normal(mean, deviation):
    """Of the larger and the smaller of two."""

    def below(x):
        return torch.special.ndtr((torch.logit(x) - mean) / deviation)

    return lambda x: below(x) ** 2, lambda x: 1 - (1 - below(x)) ** 2, None


# law: distribution functions of t, of s and of t - s
DISTRIBUTIONS = {
    "two": (lambda x: x**2, lambda x: 1 - (1 - x) ** 2, lambda x: 1 - (1 - x) ** 2),
    "nested": (lambda x: x, lambda x: x - x * x.log(), lambda x: x - x * x.log()),
    "three": (lambda x: x**3, lambda x: 1 - (1 - x) ** 3, lambda x: 3 * x**2 - 2 * x**3),
    "logit_normal": of_logit_normal(-0.4, 1.0),
    "logit_normal_wide": of_logit_normal(-2.0, 2.0),
}


@pytest.mark.parametrize("law", LAWS)
def test_times_have_their_density(law):
    """Distribution functions in closed form, and u uniform in between, by Kolmogorov-Smirnov at 1e-4."""
    n = 100_000
    s, u, t = (time.double() for time in sample_times(n, 0.0, law=law))
    exact = [*zip((t, s, t - s), DISTRIBUTIONS[law]), ((u - s) / (t - s), lambda x: x)]
    for values, distribution in exact:
        if distribution:
            below = distribution(values.sort().values)
            assert (below - (torch.arange(n) + 0.5) / n).abs().max() <= 2.23 / n**0.5


def test_three_times_make_short_jumps_rare_and_two_do_not():
    """P(t - s < 1/8): 3/64 - 1/256 against 15/64."""
    short = {}
    for law in ("two", "three"):
        s, _, t = sample_times(100_000, 0.0, law=law)
        short[law] = (t - s < 1 / 8).float().mean().item()
    assert short == {"two": pytest.approx(15 / 64, abs=0.006), "three": pytest.approx(11 / 256, abs=0.003)}


def test_times_on_a_grid_are_where_the_path_has_states():
    for times in sample_times(5_000, 0.25, intervals=24):
        assert torch.allclose(24 * times, (24 * times).round(), atol=1e-5) and len(times.unique()) > 20


def test_pairs_stay_where_they_are_without_a_gpu_or_room_on_it(monkeypatch):
    pairs = PairCache(torch.zeros(8, 2), torch.zeros(8, 2), torch.zeros(8, 3, 2), torch.zeros(8).long())
    assert pairs.near(torch.device("cpu")) is pairs
    size = 4 * 8 * (2 + 2 + 6)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2 * size - 1, 0))
    assert pairs.near(torch.device("cuda")) is pairs
    moved = []
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2 * size, 0))
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, device: moved.append(device) or tensor)
    assert len(pairs.near(torch.device("cuda"))) == 8 and moved == [torch.device("cuda")] * 3
