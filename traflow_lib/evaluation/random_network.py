"""A ruler for pictures that no classifier knows: features of a convolutional network of random weights."""

import hashlib

import numpy as np
import torch
from torch import nn

from .features import Extractor

WIDTHS = (16, 32, 64, 128)


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
