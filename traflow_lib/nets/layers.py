"""Layers of both U-Nets, started as in Score-SDE: weights uniform by fan average, biases zero."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def fan_avg_(weight: Tensor, scale: float = 1.0) -> Tensor:
    """DDPM's initialiser: uniform with variance scale / mean(fan_in, fan_out); 0 silences a branch."""
    if scale == 0:
        return nn.init.zeros_(weight)
    return nn.init.xavier_uniform_(weight, gain=math.sqrt(scale))


def conv(channels_in: int, channels_out: int, kernel: int = 3, scale: float = 1.0) -> nn.Conv2d:
    """A convolution that keeps the size."""
    layer = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2)
    fan_avg_(layer.weight, scale)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def linear(features_in: int, features_out: int) -> nn.Linear:
    """A linear layer."""
    layer = nn.Linear(features_in, features_out)
    fan_avg_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class GroupNorm(nn.GroupNorm):
    """Group normalisation that stays in the precision of its input, with sums in float32.

    Under autocast torch widens the input to float32, and what follows narrows it again.
    """

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, ...] -> the same."""
        if x.dtype == self.weight.dtype:
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
            return F.group_norm(x, self.num_groups, weight, bias, self.eps)


def group_norm(channels: int, eps: float = 1e-6) -> GroupNorm:
    """min(C / 4, 32) groups, or the next smaller number that divides an unusual channel count."""
    groups = next(g for g in range(max(1, min(channels // 4, 32)), 0, -1) if channels % g == 0)
    return GroupNorm(groups, channels, eps=eps)


def resized(x: Tensor, how: str | None) -> Tensor:
    """[B, C, H, W] at half the size ("down", 2x2 mean), twice the size ("up", nearest) or as it is (None)."""
    if how == "down":
        return F.avg_pool2d(x, 2)
    return F.interpolate(x, scale_factor=2, mode="nearest") if how == "up" else x


def s_embedding(width: int, emb_dim: int) -> nn.Sequential:
    """What is added to the embedding of t for the target time s: a copy of its layers, zero at the start."""
    layers = nn.Sequential(linear(width, emb_dim), nn.SiLU(), linear(emb_dim, emb_dim))
    nn.init.zeros_(layers.get_parameter("2.weight"))
    return layers
