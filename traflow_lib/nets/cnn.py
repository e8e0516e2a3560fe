"""The small classifier whose features stand in for Inception's where a Frechet distance is wanted offline."""

import torch
from torch import Tensor, nn

BATCH_PIXELS = 128_000  # 2,000 digits: larger batches spill the activations out of the caches


class Classifier(nn.Module):
    """Images [B, C, H, W] in [-1, 1] -> class scores [B, classes].

    pool: images are first shrunk by this factor (means), for sizes at which so few layers would see too
    little of an image to learn from.
    """

    scale: Tensor

    def __init__(self, channels: int = 1, classes: int = 10, width: int = 32, pool: int = 1):
        super().__init__()
        self.body = nn.Sequential(
            *([nn.AvgPool2d(pool)] if pool > 1 else []),
            nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, stride=2, padding=1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(8 * width, 32),
        )  # fmt: skip
        self.head = nn.Linear(32, classes)
        self.register_buffer("scale", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        """Class scores [B, classes] of images x [B, C, H, W] in [-1, 1]."""
        return self.head(torch.relu(self.body(x)))

    @torch.no_grad()
    def features(self, x: Tensor) -> Tensor:
        """The 32 numbers before the last layer, [N, 32] on the CPU; x [N, C, H, W] may be a set of images."""
        return self._in_batches(self.body, x) * self.scale.cpu()

    @torch.no_grad()
    def classify(self, x: Tensor) -> Tensor:
        """The most likely class of each image [N], on the CPU."""
        return self._in_batches(self, x).argmax(1)

    def _in_batches(self, function, x: Tensor) -> Tensor:
        n = max(1, BATCH_PIXELS // (x.shape[2] * x.shape[3]))
        return torch.cat([function(x[i : i + n].to(self.scale.device)).cpu() for i in range(0, len(x), n)])

    @torch.no_grad()
    def calibrate(self, images: Tensor) -> None:
        """Scale features so that those of the training images have total variance 1.

        A Frechet distance of 0.01 is then one per cent of the data's own spread.
        """
        self.scale.fill_(1.0)
        self.scale.copy_(self.features(images).var(dim=0).sum().rsqrt())
