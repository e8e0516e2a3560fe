"""The 2-D network: a plain multilayer perceptron of x and t, with the s-input added to its first layer."""

import torch
from torch import Tensor, nn


def time_features(t: Tensor, frequencies: int = 4) -> Tensor:
    """[B] -> [B, 2 * frequencies + 1]: t itself, then sin and cos of pi 2^k t."""
    angles = torch.pi * t[:, None] * 2.0 ** torch.arange(frequencies, device=t.device, dtype=t.dtype)
    return torch.cat([t[:, None], angles.sin(), angles.cos()], dim=1)


class MLP(nn.Module):
    """v(x, t) or F(x, t, s) on vectors [B, dim].

    Without s_input, s is ignored; with it, `s_embed` starts at zero.
    """

    def __init__(
        self, dim: int = 2, width: int = 128, depth: int = 4, frequencies: int = 4, s_input: bool = False
    ):
        super().__init__()
        self.frequencies = frequencies
        times = 2 * frequencies + 1
        self.inlet = nn.Linear(dim + times, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth - 1))
        self.outlet = nn.Linear(width, dim)
        self.s_embed = None
        if s_input:
            self.s_embed = nn.Linear(times, width, bias=False)
            nn.init.zeros_(self.s_embed.weight)

    @property
    def last_layer(self) -> Tensor:
        """The weight at which adaptive loss weights compare gradients."""
        return self.outlet.weight

    def forward(self, x: Tensor, t: Tensor, s: Tensor | None = None) -> Tensor:
        """x [B, D]; t and s [B] -> [B, D]."""
        h = self.inlet(torch.cat([x, time_features(t, self.frequencies)], dim=1))
        if s is not None and self.s_embed is not None:
            h = h + self.s_embed(time_features(s, self.frequencies))
        for layer in self.hidden:
            h = layer(nn.functional.silu(h))
        return self.outlet(nn.functional.silu(h))
