"""clean-fid's path from pixels to FID, run with a stand-in in Inception's place.

Then what happens without the weights.
"""

import numpy as np
import pytest
import torch

from traflow_lib.cli import main
from traflow_lib.evaluation import inception
from traflow_lib.evaluation.frechet import feature_distance, kernel_distance
from traflow_lib.experiments.extractors import load
from traflow_lib.files.checksums import file_sha256

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.usefixtures("stand_in"),
]  # TorchScript and clean-fid's scipy calls are deprecated
pytest.importorskip("cleanfid")


def pixels(n: int, seed: int = 0, channels: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256 - 60 * seed, (n, channels, 32, 32), generator=generator, dtype=torch.uint8)


def clean_fids(files, mode: str, weights) -> np.ndarray:
    """Features of image files by clean-fid's own functions alone."""
    from cleanfid.fid import get_folder_features
    from cleanfid.inception_torchscript import InceptionV3W

    net = InceptionV3W(str(weights.parent), download=False, resize_inside=mode == "legacy_tensorflow").eval()
    return get_folder_features(str(files), net, num_workers=0, device="cpu", mode=mode, verbose=False)


@pytest.mark.parametrize("mode", ["clean", "legacy_tensorflow"])
def test_features_and_distances_are_clean_fids_own(mode, stand_in, tmp_path):
    """Pixels in memory against png files.

    The Frechet distance of the first 32 of 2,048 features, since clean-fid's takes so long.
    """
    from cleanfid import fid
    from PIL import Image

    ours, theirs = [], []
    extractor = load("inception", mode=mode)
    for seed in (0, 1):
        images = pixels(12, seed)
        folder = tmp_path / f"set{seed}"
        folder.mkdir()
        for i, image in enumerate(images):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / f"{i:03d}.png")
        ours.append(extractor(images)["features"])
        theirs.append(clean_fids(folder, mode, stand_in))
        assert np.allclose(ours[-1], theirs[-1], rtol=1e-5, atol=1e-6)
    assert feature_distance(*(x[:, :32] for x in ours)) == pytest.approx(
        fid.fid_from_feats(*(x[:, :32].astype(float) for x in theirs)), rel=1e-5
    )
    np.random.seed(0)
    assert kernel_distance(*ours, subsets=3) == pytest.approx(
        fid.kernel_distance(*(x.astype(float) for x in theirs), num_subsets=3), rel=1e-5
    )
    assert extractor.metric("fd") == f"fid-{mode}" and extractor.metric("kid") == f"kid-{mode}"


def test_modes_differ():
    clean, tensorflow = (
        load("inception", mode=mode)(pixels(2))["features"] for mode in ("clean", "legacy_tensorflow")
    )
    assert (clean - tensorflow).abs().max() > 1e-3


def test_grey_images_are_those_with_three_equal_channels():
    grey, extractor = pixels(2, channels=1), load("inception")
    assert torch.equal(extractor(grey)["features"], extractor(grey.expand(-1, 3, -1, -1))["features"])


@pytest.mark.parametrize("mode", ["clean", "legacy_tensorflow"])
def test_spatial_features_are_the_first_seven_channels_of_mixed_6_conv(mode, stand_in):
    """The tensorflow resizing of the stand-in is written by gathering, that of the kit by grid_sample."""
    extractor, net = load("inception", mode=mode), torch.jit.load(stand_in)
    found = extractor(pixels(3), spatial=True)
    assert found["spatial"].shape == (3, 7 * 17 * 17)
    whole = found["spatial"].unflatten(1, (7, 17, 17)).mean((2, 3))  # the stand-in pools right after mixed_6
    assert torch.allclose(whole, found["features"][:, :7], rtol=1e-4, atol=1e-5) and whole.std() > 0
    assert net.layers.mixed_6.conv is not None


def test_class_scores_are_the_networks_without_bias(stand_in):
    extractor, images = load("inception", mode="legacy_tensorflow"), pixels(3)
    logits = extractor.logits(extractor(images)["features"])
    assert torch.allclose(
        logits.softmax(1), torch.jit.load(stand_in)(images, no_output_bias=True), rtol=1e-4, atol=1e-7
    )


def test_legacy_pytorch_is_clean_fids_network(stand_in, monkeypatch):
    """With random weights of the true network, in a file of the true name."""
    from cleanfid import inception_pytorch

    original = inception_pytorch.load_state_dict_from_url
    kept = {}

    with monkeypatch.context() as patch:
        patch.setattr(inception_pytorch, "load_state_dict_from_url", lambda url, progress: {})
        patch.setattr(torch.nn.Module, "load_state_dict", lambda self, weights: kept.update(net=self))
        network = inception_pytorch.InceptionV3(output_blocks=[3], resize_input=False).eval()
    file = stand_in.parent / inception.PYTORCH
    torch.save(kept["net"].state_dict(), file)
    monkeypatch.setitem(inception.SHA256, inception.PYTORCH, file_sha256(file))
    extractor = load("inception", mode="legacy_pytorch")
    assert inception_pytorch.load_state_dict_from_url is original
    images = pixels(2)
    resized = torch.nn.functional.interpolate(images.float(), (299, 299), mode="bilinear").clamp(0, 255)
    with torch.no_grad():
        expected = network(resized / 255)[0].flatten(1)
    assert torch.allclose(extractor(images)["features"], expected, rtol=1e-3, atol=1e-5)
    with pytest.raises(ValueError, match="legacy_pytorch.*no spatial"):
        extractor(images, spatial=True)


def test_unknown_mode_is_refused():
    with pytest.raises(
        ValueError, match="unknown mode 'sharp'; there are clean, legacy_tensorflow, legacy_pytorch"
    ):
        load("inception", mode="sharp")


def test_other_weights_are_refused_before_anything_of_them_runs(stand_in, monkeypatch):
    monkeypatch.setattr(torch.jit, "load", lambda *args, **kwargs: pytest.fail("the file was loaded"))
    stand_in.write_bytes(stand_in.read_bytes() + b"!")
    with pytest.raises(ValueError, match="SHA-256 differs"):
        load("inception")


@pytest.mark.parametrize("mode", inception.MODES)
def test_missing_weights_say_where_to_get_them_and_what_to_do_without(mode, tmp_path, monkeypatch, capsys):
    """Neither there nor to be fetched."""
    monkeypatch.delenv(inception.PLACE)
    monkeypatch.setattr(inception.Path, "exists", lambda self: False)
    for name in inception.URLS:
        monkeypatch.setitem(inception.URLS, name, f"http://127.0.0.1:9/{name}")
    monkeypatch.setattr(inception.fetch, "download", _unreachable)
    assert main(["evaluate", str(tmp_path), "--data", "digits", "--mode", mode]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert (
        "http://127.0.0.1:9/" in line
        and inception.PLACE in line
        and "--extractor cnn" in line
        and "put it at" in line
    )


def test_missing_weights_in_the_named_folder(stand_in):
    stand_in.unlink()
    with pytest.raises(
        FileNotFoundError, match=f"{inception.PLACE} is .* get it from https://nvlabs.*--extractor cnn"
    ):
        load("inception")


def _unreachable(url, target):
    raise FileNotFoundError(
        f"{url} could not be fetched (no network); get it in another way and put it at {target}"
    )
