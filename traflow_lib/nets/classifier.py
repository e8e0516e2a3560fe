"""The small digit classifier whose features stand in for Inception's when a Frechet distance is wanted offline."""

import torch
from torch import Tensor, nn


class Classifier(nn.Module):
    """Images [B, C, H, W] in [-1, 1] -> class scores [B, classes].

    features() gives the 32 numbers before the last layer, scaled so that the training data's have total variance 1 (see calibrate):
    a Frechet distance of 0.01 is then one per cent of the data's own spread.
    """

    def __init__(self, channels: int = 1, classes: int = 10, width: int = 32):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, stride=2, padding=1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(8 * width, 32),
        )  # fmt: skip
        self.head = nn.Linear(32, classes)
        self.register_buffer("scale", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.body(x)))

    @torch.no_grad()
    def features(self, x: Tensor, batch: int = 2000) -> Tensor:
        """[N, 32], computed in batches."""
        return torch.cat([self.body(part) for part in x.split(batch)]) * self.scale

    @torch.no_grad()
    def calibrate(self, images: Tensor) -> None:
        """Set the scale from the training images."""
        self.scale.fill_(1.0)
        self.scale.copy_(self.features(images).var(dim=0).sum().rsqrt())
