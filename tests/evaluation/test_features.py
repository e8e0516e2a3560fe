"""Extractors by name: what they compute, what their metrics are called, and what they say when something is
missing.
"""

import importlib.util

import pytest
import torch

from traflow_lib.data import images
from traflow_lib.evaluation import features, scores
from traflow_lib.evaluation.feature_cache import Features
from traflow_lib.evaluation.features import RandomNetwork, random_network, to_uint8
from traflow_lib.evaluation.frechet import feature_distance, frechet_distance, mean_and_cov
from traflow_lib.experiments import recipes
from traflow_lib.experiments.experiment import Experiment
from traflow_lib.experiments.extractors import CLASSIFIERS, load
from traflow_lib.files.checksums import file_sha256


def pixels(n: int, channels: int = 3, size: int = 16) -> torch.Tensor:
    return torch.randint(0, 256, (n, channels, size, size), dtype=torch.uint8)


def test_pixels_are_those_a_file_would_hold():
    x = torch.tensor([-1.3, -1.0, -1 + 0.9 / 255, -1 + 1.1 / 255, 0.0, 1.0, 1.2])
    assert features.to_uint8(x).tolist() == [0, 0, 0, 1, 128, 255, 255]
    assert torch.equal(
        features.to_uint8(torch.arange(256) / 127.5 - 1), torch.arange(256, dtype=torch.uint8)
    ), "bytes come back as they were"


@pytest.fixture(scope="module")
def digits_experiment():
    return Experiment(recipes.load("06_digits", "hour"))  # whose classifier is committed


def test_the_kits_classifier_as_an_extractor(digits_experiment):
    extractor, net = load("cnn", "digits"), digits_experiment.classifier()
    x, _ = images.load("digits", "test")
    kept = features.to_uint8(x[:50])
    found = extractor(kept, spatial=True)
    assert torch.allclose(found["features"], net.features(kept / 127.5 - 1), atol=1e-6) and found[
        "spatial"
    ].shape == (50, 7 * 2 * 2)
    assert torch.allclose(extractor.logits(found["features"]), net(kept / 127.5 - 1), atol=1e-4)
    assert extractor.name == "digits-cnn" and extractor.sha256 == file_sha256(
        digits_experiment.model("classifier").file
    )


@pytest.mark.parametrize(
    "kind, name",
    [
        ("fd", "fd-digits-cnn-uint8"),
        ("sfd", "sfd-digits-cnn-uint8"),
        ("kid", "kid-digits-cnn-uint8"),
        ("precision", "precision-digits-cnn-uint8"),
    ],
)
def test_metrics_are_named_after_the_extractor(kind, name):
    assert load("cnn", "digits").metric(kind) == name


@pytest.mark.parametrize(
    "kind, name",
    [("fd", "fid-clean"), ("sfd", "sfid-clean"), ("is", "is-clean"), ("fd-infinity", "fid-infinity-clean")],
)
def test_only_inceptions_is_fid_and_tells_its_mode(kind, name):
    assert features.Extractor("inception", "clean", "0", 1, lambda x: x).metric(kind) == name


def test_torchvision_model_with_weights_on_disk(tmp_path):
    models = pytest.importorskip("torchvision.models")
    net, file = models.resnet18(weights=None).eval(), tmp_path / "resnet18.pth"
    torch.save(net.state_dict(), file)
    extractor, x = load(f"torchvision:resnet18={file}"), pixels(2, size=224)
    mean, deviation = (torch.tensor(values)[:, None, None] for values in features.IMAGENET)
    with torch.no_grad():
        assert torch.allclose(
            extractor.logits(extractor(x)["features"]),
            net((x / 255 - mean) / deviation),
            rtol=1e-4,
            atol=1e-4,
        )
    assert extractor(pixels(3, channels=1))["features"].shape == (3, 512)
    assert (extractor.metric("fd"), extractor.mode) == ("fd-resnet18", "224px")


def test_weights_of_another_model_are_refused(tmp_path):
    models = pytest.importorskip("torchvision.models")
    file = tmp_path / "weights.pth"
    torch.save(models.resnet34(weights=None).state_dict(), file)
    with pytest.raises(ValueError, match="weights.pth does not fit the network"):
        load(f"torchvision:resnet18={file}")


def test_timm_model_with_weights_on_disk(tmp_path):
    timm = pytest.importorskip("timm")
    net, file = timm.create_model("vit_tiny_patch16_224", pretrained=False).eval(), tmp_path / "vit.pth"
    torch.save(net.state_dict(), file)
    assert load(f"timm:vit_tiny_patch16_224={file}")(pixels(2))["features"].shape == (2, 192)


@pytest.mark.skipif(importlib.util.find_spec("timm") is not None, reason="timm is installed")
def test_without_timm_it_says_so(tmp_path):
    file = tmp_path / "x.pth"
    file.touch()
    with pytest.raises(ImportError, match="needs timm: pip install timm"):
        load(f"timm:vit_small_patch14_dinov2={file}")


@pytest.mark.parametrize(
    "name, options, complaint",
    [
        ("vgg", {}, "unknown extractor 'vgg'; there are inception, cnn, random, random:SEED"),
        ("torchvision:resnet18", {}, "unknown extractor"),
        ("torchvision:resnet18=nowhere.pth", {}, "there are no weights nowhere.pth for resnet18"),
        ("cnn", {"dataset": "imagenet64"}, "there is no classifier of 'imagenet64', only of digits"),
        (
            "cnn",
            {"dataset": "digits", "mode": "legacy_tensorflow"},
            "--mode legacy_tensorflow is Inception's",
        ),
    ],
)
def test_what_is_missing_is_said_in_a_line(name, options, complaint):
    with pytest.raises((ValueError, FileNotFoundError), match=complaint) as error:
        load(name, **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("dataset", list(CLASSIFIERS))
def test_every_classifier_named_is_in_its_recipe(dataset):
    recipe = recipes.load(*CLASSIFIERS[dataset])
    assert "classifier" in recipe and dataset in recipe.get("datasets", [recipe.get("dataset")])


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


def test_moments_that_features_have_are_not_computed_again(monkeypatch):
    first, second = (torch.randn(40, 3, generator=torch.Generator().manual_seed(k)) for k in (0, 1))
    fake, real = (Features(x, *mean_and_cov(x), 1, {}, x, *mean_and_cov(x)) for x in (first, second))
    right = frechet_distance(fake.mean, fake.cov, real.mean, real.cov)
    monkeypatch.setattr(scores, "mean_and_cov", None)
    toy = features.Extractor("toy", "numbers", "0" * 64, 1, lambda x: x)
    found = scores.scores(fake, real, toy, ["fid", "sfid"])
    assert list(found.values()) == [right, right]
