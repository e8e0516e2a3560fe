"""Training and checking the kit's own feature extractor, whose metric is FD-digits-cnn, never FID."""

import torch
from torch import Tensor, nn

from ..nets.cnn import Classifier
from ..objectives.base import LossTerms
from ..randomness import Draws, to_device


def classification_loss(images: Tensor, labels: Tensor, batch: int):
    """loss_fn for training.fit: cross-entropy on random images, the batch shifted by up to one pixel."""

    def loss_fn(net: Classifier, ema_net: nn.Module, progress: float, draws: Draws) -> LossTerms:
        index = draws.integers(0, len(images), draws.local(batch))
        down, right = torch.randint(-1, 2, (2,), generator=draws.generator).tolist()
        padded = nn.functional.pad(images[index], (1, 1, 1, 1), value=-1)
        device = net.scale.device
        moved = to_device(torch.roll(padded, (down, right), (2, 3))[..., 1:-1, 1:-1], device)
        return LossTerms(nn.functional.cross_entropy(net(moved), to_device(labels[index], device)), {})

    return loss_fn


@torch.no_grad()
def accuracy(net: Classifier, images: Tensor, labels: Tensor) -> float:
    """Share of images given their right label."""
    return (net.classify(images) == labels).double().mean().item()
