"""EDM's denoisers as rectified flows.

Karras et al. 2022 (arXiv 2206.00364) denoise y = data + sigma noise by D(y, sigma) = c_skip y + c_out F(c_in
y, ln(sigma) / 4). A point x of the chord at time t is (1 - t) y with sigma = t / (1 - t), so the velocity
E[x_1 - x_0 | x] is (x - D(x / (1 - t), sigma)) / t.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..flow import expand, per_sample

SIGMA_MIN, SIGMA_MAX = 0.002, 100.0  # EDM samples between 0.002 and 80


def velocity_of_denoiser(
    denoiser: Callable, sigma_min: float = SIGMA_MIN, sigma_max: float = SIGMA_MAX
) -> Callable:
    """v(x, t) of any denoiser(y [B, ...], sigma [B]) -> D, E[data | y]; x [B, ...], t a scalar or [B].

    At t = 0 and t = 1 the formula is 0/0: times whose sigma lies outside [sigma_min, sigma_max] are evaluated
    at the nearer of the two.
    """

    def velocity(x: Tensor, t: float | Tensor) -> Tensor:
        t = per_sample(t, x).clamp(sigma_min / (1 + sigma_min), sigma_max / (1 + sigma_max))
        return (x - denoiser(x / expand(1 - t, x), t / (1 - t))) / expand(t, x)

    return velocity


class EDM(nn.Module):
    """v(x, t) or F(x, t, s) around a network F(x, ln(sigma) / 4) of EDM's preconditioning (kind "edm").

    With D's formula inserted, the poles at both ends cancel: for r^2 = t^2 + sigma_data^2 (1 - t)^2, v = (t -
    sigma_data^2 (1 - t)) x / r^2 - (sigma_data / r) F(x / r, ln(sigma) / 4). Only the network's own input
    needs a bound: sigma is kept in [SIGMA_MIN, SIGMA_MAX], which leaves t in [0.002, 0.99] as it is.
    net: what takes x, ln(sigma) / 4 at t and at s, and, if it is class-conditional, a class [B].
    """

    def __init__(self, net: nn.Module, sigma_data: float = 0.5):
        super().__init__()
        self.net, self.sigma_data = net, sigma_data
        self.classes = getattr(net, "classes", 0)  # how many a label may name

    @property
    def last_layer(self) -> Tensor:
        """The weight at which adaptive loss weights compare gradients."""
        return self.net.last_layer  # type: ignore[return-value]

    def forward(self, x: Tensor, t: Tensor, s: Tensor | None = None, label: Tensor | None = None) -> Tensor:
        """x [B, C, H, W]; t and s [B]; label int64 [B] -> [B, C, H, W]."""
        time = expand(t, x)
        r = (time**2 + self.sigma_data**2 * (1 - time) ** 2).sqrt()
        classes = {} if label is None else {"label": label}
        out = self.net(x / r, noise_label(t), None if s is None else noise_label(s), **classes)
        return (time - self.sigma_data**2 * (1 - time)) * x / r**2 - self.sigma_data / r * out


def noise_label(t: Tensor) -> Tensor:
    """ln(sigma) / 4 at time t, which is bounded first so that derivatives stay finite at both ends."""
    t = t.clamp(SIGMA_MIN / (1 + SIGMA_MIN), SIGMA_MAX / (1 + SIGMA_MAX))
    return torch.log(t / (1 - t)) / 4
