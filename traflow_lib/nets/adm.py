"""ADM, the class-conditional U-Net of ImageNet-64, with layout and tensor names of EDM's DhariwalUNet.

Dhariwal and Nichol 2021 (arXiv 2105.05233), as configured by Karras et al. 2022 (arXiv 2206.00364): the
embedding scales and shifts, skips are added without rescaling, attention has 64 channels a head.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import conv, group_norm, linear, resized, s_embedding


def positional_embedding(label: Tensor, dim: int) -> Tensor:
    """[B] -> [B, dim]: cos, then sin, of the label at frequencies 10000^(-2i/dim), i = 0 .. dim/2 - 1."""
    dtype = torch.promote_types(label.dtype, torch.float32)
    steps = torch.arange(dim // 2, device=label.device, dtype=dtype)
    frequencies = torch.exp(steps * (-math.log(10000) / (dim // 2)))
    angles = label.to(dtype)[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1)


class Block(nn.Module):
    """Residual block with scale and shift, attention in `heads` heads; `resize` is None, "down" or "up"."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        emb_dim: int,
        dropout: float,
        resize: str | None = None,
        heads: int = 0,
    ):
        super().__init__()
        self.resize, self.heads = resize, heads
        self.norm0 = group_norm(channels_in, eps=1e-5)
        self.conv0 = conv(channels_in, channels_out)
        self.affine = linear(emb_dim, 2 * channels_out)
        self.norm1 = group_norm(channels_out, eps=1e-5)
        self.dropout = nn.Dropout(dropout)
        self.conv1 = conv(channels_out, channels_out, scale=0)
        if channels_in != channels_out:
            self.skip = conv(channels_in, channels_out, kernel=1)
        if heads:
            self.norm2 = group_norm(channels_out, eps=1e-5)
            self.qkv = conv(channels_out, 3 * channels_out, kernel=1)
            self.proj = conv(channels_out, channels_out, kernel=1, scale=0)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """x [B, channels_in, H, W], emb [B, emb] -> [B, channels_out, H, W], resized."""
        h = self.conv0(resized(F.silu(self.norm0(x)), self.resize))
        scale, shift = self.affine(emb)[:, :, None, None].chunk(2, dim=1)
        h = self.conv1(self.dropout(F.silu(shift + self.norm1(h) * (1 + scale))))
        x = resized(x, self.resize)
        x = h + (self.skip(x) if hasattr(self, "skip") else x)
        return x + self._attention(x) if self.heads else x

    def _attention(self, x: Tensor) -> Tensor:
        # head h owns the h-th block of 3C/heads channels, in which q, k and v alternate
        blocks = self.qkv(self.norm2(x)).reshape(len(x), self.heads, -1, 3, x.shape[2] * x.shape[3])
        q, k, v = blocks.unbind(3)
        # written out: the fused attention kernels have no forward-mode derivative, which dG/ds needs
        weights = torch.softmax((q.transpose(2, 3) @ k) * q.shape[2] ** -0.5, dim=-1)
        return self.proj((v @ weights.transpose(2, 3).to(v.dtype)).reshape(x.shape))


class ADM(nn.Module):
    """F(x, t) or F(x, t, s) on images [B, channels, size, size]; EDM gives ln(sigma) / 4 for t and s.

    Defaults are the official ImageNet-64 configuration (295,899,267 parameters without the s-input). A
    label of None is no class. Without s_input, s is ignored.
    """

    def __init__(
        self,
        size: int = 64,
        channels: int = 3,
        width: int = 192,
        multipliers: tuple = (1, 2, 3, 4),
        blocks: int = 3,
        attention: tuple = (32, 16, 8),
        head_channels: int = 64,
        classes: int = 1000,
        dropout: float = 0.1,
        s_input: bool = False,
    ):
        super().__init__()
        self.width, self.classes = width, classes
        emb_dim = 4 * width
        self.map_layer0, self.map_layer1 = linear(width, emb_dim), linear(emb_dim, emb_dim)
        if classes:
            self.map_label = nn.Linear(classes, emb_dim, bias=False)

        def block(
            channels_in: int, channels_out: int, resize: str | None = None, attend: bool = False
        ) -> Block:
            heads = max(1, channels_out // head_channels) if attend else 0
            return Block(channels_in, channels_out, emb_dim, dropout, resize, heads)

        now, resolution, last = width * multipliers[0], size, len(multipliers) - 1
        self.enc = nn.ModuleDict({f"{size}x{size}_conv": conv(channels, now)})
        skips = [now]
        for level, multiplier in enumerate(multipliers):
            if level > 0:
                resolution //= 2
                self.enc[f"{resolution}x{resolution}_down"] = block(now, now, "down")
                skips.append(now)
            for i in range(blocks):
                self.enc[f"{resolution}x{resolution}_block{i}"] = block(
                    now, width * multiplier, attend=resolution in attention
                )
                now = width * multiplier
                skips.append(now)
        self.dec = nn.ModuleDict()
        for level, multiplier in reversed(list(enumerate(multipliers))):
            if level == last:
                self.dec[f"{resolution}x{resolution}_in0"] = block(now, now, attend=True)
                self.dec[f"{resolution}x{resolution}_in1"] = block(now, now)
            else:
                resolution *= 2
                self.dec[f"{resolution}x{resolution}_up"] = block(now, now, "up")
            for i in range(blocks + 1):
                self.dec[f"{resolution}x{resolution}_block{i}"] = block(
                    now + skips.pop(), width * multiplier, attend=resolution in attention
                )
                now = width * multiplier
        self.out_norm, self.out_conv = group_norm(now, eps=1e-5), conv(now, channels, scale=0)
        self.s_embed = s_embedding(width, emb_dim) if s_input else None

    @property
    def last_layer(self) -> Tensor:
        """The weight at which adaptive loss weights compare gradients."""
        return self.out_conv.weight

    def forward(self, x: Tensor, t: Tensor, s: Tensor | None = None, label: Tensor | None = None) -> Tensor:
        """x [B, C, H, W]; t and s [B]; label int64 [B] -> [B, C, H, W]."""
        emb = self.map_layer1(F.silu(self.map_layer0(positional_embedding(t, self.width).to(x.dtype))))
        if label is not None:
            emb = emb + self.map_label.weight.T[label]
        if s is not None and self.s_embed is not None:
            emb = emb + self.s_embed(positional_embedding(s, self.width).to(x.dtype))
        emb = F.silu(emb)
        stem, *encoder = self.enc.values()
        h = stem(x)
        kept = [h]
        for layer in encoder:
            h = layer(h, emb)
            kept.append(h)
        for name, layer in self.dec.items():
            h = layer(torch.cat([h, kept.pop()], dim=1) if "block" in name else h, emb)
        return self.out_conv(F.silu(self.out_norm(h)))
