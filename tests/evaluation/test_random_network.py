"""The ruler of random features: the same everywhere, and valid on real images before it ranks anything."""

import pytest
import torch

from traflow_lib.data import images
from traflow_lib.evaluation.features import to_uint8
from traflow_lib.evaluation.frechet import feature_distance
from traflow_lib.evaluation.random_network import RandomNetwork, random_network
from traflow_lib.experiments.extractors import load


def test_same_weights_on_every_machine():
    assert random_network(3, "cpu").sha256.startswith("2aea47efc44d")
    assert random_network(1, "cpu", seed=1).sha256 != random_network(1, "cpu").sha256


@pytest.mark.parametrize("channels", [1, 3])
def test_features_keep_the_scale_of_their_input(channels):
    """He's variance: the mean square of every layer's output stays of the size of its input's."""
    noise = torch.randint(0, 256, (64, channels, 64, 64), generator=torch.Generator().manual_seed(0))
    features = RandomNetwork(channels)(noise)
    assert features.shape == (64, 240) and 0.01 < features.square().mean() < 10


def test_ranks_digits_as_it_should():
    """Halves of the real images < slightly noisy ones < noisier ones < pure noise."""
    real = images.load("digits")[0][:1600]
    noise = torch.randn(real.shape, generator=torch.Generator().manual_seed(0))
    extractor = random_network(1, "cpu")
    seen = {name: extractor(to_uint8(x))["features"] for name, x in {
        "real": real[:800], "half": real[800:], "near": real[800:] + 0.3 * noise[800:],
        "far": real[800:] + 0.6 * noise[800:], "noise": noise[800:],
    }.items()}  # fmt: skip
    away = [feature_distance(seen[name], seen["real"]) for name in ("half", "near", "far", "noise")]
    assert away == sorted(away), away


def test_the_command_takes_it_by_name_for_any_data_set():
    assert load("random", "digits").name == "random-cnn-seed0"
    other = load("random:3", "shapes32")
    assert other.name == "random-cnn-seed3" and other(torch.zeros(2, 3, 32, 32))["features"].shape == (2, 240)
    with pytest.raises(ValueError, match="unknown extractor 'random:x'"):
        load("random:x", "digits")
