"""What every objective shares: the returned terms, the distances, and gradient-norm weights."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from ..jump import JumpMap
from ..pairs import Batch

DISTANCES = ("l2", "pseudo_huber", "lpips")


@dataclass
class LossTerms:
    """total: scalar to differentiate; parts: the unweighted terms by name and the weights used, as plain numbers for the log."""

    total: Tensor
    parts: dict[str, float]


class Objective(Protocol):
    """needs_path: whether batches must carry the teacher's path; s_input: whether the student's network sees the target time s."""

    needs_path: bool
    s_input: bool

    def __call__(self, student: JumpMap, target: JumpMap, teacher, batch: Batch) -> LossTerms: ...


def distance(name: str, a: Tensor, b: Tensor, scale: Tensor | float = 1.0, c: float = 0.03) -> Tensor:
    """D(a, b), the mean over the batch; a, b [B, ...]; scale [B, 1, ...] divides the difference (L2 and pseudo-Huber only).

    l2: mean square. pseudo_huber: sqrt(r^2 + c^2) - c of the root mean square r of a sample (Song & Dhariwal 2024), which grows linearly
    for large errors. lpips: perceptual, on images (needs the `lpips` package and its weights).
    """
    if name == "lpips":
        return _lpips(a.device)(a.expand(-1, 3, -1, -1), b.expand(-1, 3, -1, -1)).mean()
    square = ((a - b) / scale).flatten(1).square().mean(dim=1)
    if name == "l2":
        return square.mean()
    if name == "pseudo_huber":
        return ((square + c**2).sqrt() - c).mean()
    raise ValueError(f"unknown distance '{name}'; there are {', '.join(DISTANCES)}")


_LPIPS: dict = {}


def _lpips(device: torch.device):
    """The LPIPS network (VGG), inputs resized to 224 as in CTM's code; built once a device."""
    if device not in _LPIPS:
        try:
            import lpips
        except ImportError:
            raise ImportError("distance 'lpips' needs the lpips package: pip install lpips") from None
        network = lpips.LPIPS(net="vgg", verbose=False).to(device).requires_grad_(False)

        def measure(a: Tensor, b: Tensor) -> Tensor:
            a, b = (nn.functional.interpolate(x, 224, mode="bilinear") for x in (a, b))
            return network(a, b)

        _LPIPS[device] = measure
    return _LPIPS[device]


def gradient_norm_weights(losses: dict[str, Tensor], reference: str, parameter: nn.Parameter, clip: tuple[float, float] | None) -> dict[str, float]:
    """Weights that give every term the reference term's gradient norm at one layer (CTM's adaptive weight), optionally clipped."""
    norms = {name: torch.autograd.grad(loss, parameter, retain_graph=True)[0].norm().item() for name, loss in losses.items()}
    weights = {name: norms[reference] / max(norm, 1e-8) for name, norm in norms.items()}
    if clip:
        weights = {name: min(max(weight, clip[0]), clip[1]) for name, weight in weights.items()}
    return weights | {reference: 1.0}
