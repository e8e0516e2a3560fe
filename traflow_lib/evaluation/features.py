"""Feature extractors by name, and the names of the metrics that are made with them.

inception: clean-fid's, in three modes. cnn: the kit's classifier of the data set. torchvision:MODEL=FILE
and timm:MODEL=FILE (DINOv2 and CLIP are among timm's): the input of the last layer, weights from a file.
random: a network of random weights, a ruler for pictures that no classifier knows.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .. import nets
from ..files.checks import finite
from ..files.checksums import file_sha256
from ..files.inert_pickle import read_torch
from ..files.tensors import load_tensors
from .inception import Inception

WIDTHS = (16, 32, 64, 128)  # channels of the layers of RandomNetwork
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# what a metric is called with Inception, if not the same
KINDS = {"fd": "fid", "sfd": "sfid", "fd-infinity": "fid-infinity"}


def to_uint8(images: Tensor) -> Tensor:
    """Images in [-1, 1] as a file would hold them: the nearest of 256 values; a NaN is a ValueError."""
    return ((finite(images) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


@dataclass(frozen=True)
class Extractor:
    """What makes features of images, and names the metrics that are made of them.

    name: of its network; sha256: of its weights; batch: images it takes at a time; mode: how images get the
    size that it wants, "native" for its own, "numbers" where they stay what a network gave, in no file's 8
    bits. pixels: images in [-1, 1] -> what it takes, [B, C, H, W], from 0 to 255 unless of mode "numbers".
    features: of those, [B, D]; spatial: of those, [B, S], or None; logits: class scores of features, or None.
    """

    name: str
    mode: str
    sha256: str
    batch: int
    features: Callable[[Tensor], Tensor]
    spatial: Callable[[Tensor], Tensor] | None = None
    logits: Callable[[Tensor], Tensor] | None = None
    pixels: Callable[[Tensor], Tensor] = to_uint8

    def metric(self, kind: str) -> str:
        """The full name of a metric ("fd", "sfd", "kid", "is", "precision" ...), such as fid-clean.

        uint8 tells it from the classifier's metrics of a network's own numbers: clipping alone can change an
        FD by half.
        """
        if self.name == "inception":
            return f"{KINDS.get(kind, kind)}-{self.mode}"
        return f"{kind}-{self.name}{'-uint8' * (self.mode == 'native')}"

    def given(self, kind: str) -> Callable[[Tensor], Tensor]:
        """The function "spatial" or "logits"; ValueError where there is none."""
        if found := getattr(self, kind):
            return found
        what = "spatial features; sFID has them from" if kind == "spatial" else "class scores; is takes"
        raise ValueError(
            f"{self.name} ({self.mode}) gives no {what} inception (clean, legacy_tensorflow) or cnn"
        )

    @torch.no_grad()
    def __call__(self, pixels: Tensor, spatial: bool = False) -> dict[str, Tensor]:
        """{"features": [N, D]} of pixels [N, C, H, W], with "spatial" [N, S] if asked for, on the CPU."""
        made = {"features": self.features} | ({"spatial": self.given("spatial")} if spatial else {})
        parts = pixels.split(self.batch)
        return {name: torch.cat([make(part).float().cpu() for part in parts]) for name, make in made.items()}


def _rgb(pixels: Tensor) -> Tensor:
    return pixels.expand(-1, 3, -1, -1)


def inception(mode: str, device: torch.device) -> Extractor:
    """Inception's pool features, 2048 a picture, of one of its modes (inception.MODES)."""
    net = Inception(mode, device)
    sha256, features = file_sha256(net.file), lambda pixels: net.features(_rgb(pixels))
    if mode == "legacy_pytorch":  # pytorch-fid's network ends at the features; its layers have other names
        return Extractor("inception", mode, sha256, 50, features)
    return Extractor(
        "inception", mode, sha256, 50, features, lambda pixels: net.spatial(_rgb(pixels)), net.logits
    )


def _network(
    name: str, net: nn.Module, file: Path, size: int, scale: tuple, device, last: nn.Module | None = None
) -> Extractor:
    """An ImageNet network on images of `size` pixels; scale: mean and deviation of its channels.

    They are resized with Pillow's antialiased bicubic filter as torch computes it, and not rounded.
    """
    net = net.to(device).eval().requires_grad_(False)
    mean, deviation = (torch.tensor(values, device=device)[:, None, None] for values in scale)

    def features(pixels: Tensor) -> Tensor:
        x = _rgb(pixels).float().to(device)
        x = nn.functional.interpolate(x, (size, size), mode="bicubic", antialias=True).clamp(0, 255)
        return net((x / 255 - mean) / deviation).flatten(1)

    last = last and last.to(device).requires_grad_(False)
    logits = last and (lambda features: last(features.to(device)).to(features))
    return Extractor(name, f"{size}px", file_sha256(file), 100, features, logits=logits)


def _tensors(file: Path) -> dict[str, Tensor]:
    safe = file.suffix == ".safetensors"
    return load_tensors(file) if safe else read_torch(file)


def torchvision_network(model: str, file: Path, device: torch.device) -> Extractor:
    """A network of torchvision with the weights in `file`; its last layer is left out."""
    try:
        from torchvision.models import get_model
    except ImportError:
        raise ImportError("torchvision:MODEL needs torchvision: pip install torchvision") from None
    net = get_model(model, weights=None)
    nets.load_exactly(net, _tensors(file), file.name)
    place, last = [(name, part) for name, part in net.named_modules() if isinstance(part, nn.Linear)][-1]
    net.set_submodule(place, nn.Identity())  # so that it gives what its last layer is given
    return _network(model, net, file, 299 if model == "inception_v3" else 224, IMAGENET, device, last)


def timm_network(model: str, file: Path, device: torch.device) -> Extractor:
    """A network of timm with the weights in `file`; its last layer is left out."""
    try:
        import timm
    except ImportError:
        raise ImportError("timm:MODEL (DINOv2, CLIP and others) needs timm: pip install timm") from None
    net = timm.create_model(model, pretrained=False, num_classes=0)
    known = net.state_dict()  # the file may have a head beside them
    found = {name: value for name, value in _tensors(file).items() if name in known}
    nets.load_exactly(net, found, file.name)
    settings = timm.data.resolve_model_data_config(net)
    return _network(model, net, file, settings["input_size"][-1], (settings["mean"], settings["std"]), device)


class RandomNetwork(nn.Module):
    """Strided 3x3 convolutions that nobody trained; a feature is the mean of one channel over the picture.

    Weights are normal with variance 2 / fan-in (He et al. 2015), drawn by NumPy from `seed`, so they are the
    same on every machine and with every version of torch. That such features tell sets of images apart is
    shown by Naeem et al. 2020 (arXiv 2002.09797), who recommend them where trained ones mean little.
    """

    def __init__(self, channels: int, seed: int = 0):
        super().__init__()
        random, sizes = np.random.default_rng(seed), (channels, *WIDTHS)
        self.layers = nn.ModuleList()
        for into, out in zip(sizes, WIDTHS):
            layer = nn.Conv2d(into, out, 3, stride=2, padding=1, bias=False)
            weight = random.standard_normal(layer.weight.shape, dtype=np.float32) * (2 / (9 * into)) ** 0.5
            layer.weight = nn.Parameter(torch.from_numpy(weight), requires_grad=False)
            self.layers.append(layer)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Features [B, 240] of pixels [B, C, H, W] from 0 to 255."""
        x, means = pixels.float().to(next(self.parameters()).device) / 127.5 - 1, []
        for layer in self.layers:
            x = layer(x).relu()
            means.append(x.mean(dim=(2, 3)))
        return torch.cat(means, dim=1)

    @property
    def sha256(self) -> str:
        """The checksum of its weights."""
        weights = (weight.cpu().numpy().tobytes() for weight in self.parameters())
        return hashlib.sha256(b"".join(weights)).hexdigest()


def random_network(channels: int, device: torch.device | str, seed: int = 0) -> Extractor:
    """The extractor `random-cnn-seed<seed>` for pictures of so many channels, at their own size."""
    net = RandomNetwork(channels, seed).to(device)
    return Extractor(f"random-cnn-seed{seed}", "native", net.sha256, 500, net)
