"""DDPM++, the U-Net of rectified flow and of the paper, with the layout and parameter names of Score-SDE.

Song et al. 2021 (arXiv 2011.13456), as configured by Liu et al. 2023: BigGAN-style residual blocks without
FIR filters, 1/sqrt(2) skip rescale, attention at chosen resolutions, sinusoidal embedding of 999 t.
`all_modules.N` counts modules in order of execution, so an official state dict fits by name. EDM (Karras et
al. 2022, arXiv 2206.00364) calls the same network SongUNet; `names` are its names of the modules.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import conv, fan_avg_, group_norm, linear, resized, s_embedding

SKIP_SCALE = 1 / math.sqrt(2)
# what the embedding sees of the time argument; "1-t" is the release of rectified flow, whose time runs from
# noise to data
CLOCKS = {"t": lambda t: 999 * t, "1-t": lambda t: 999 * (1 - t), "label": lambda label: label}


def positional_embedding(t: Tensor, dim: int, clock: str = "t") -> Tensor:
    """[B] -> [B, dim]: sin, then cos, of 999 t (or another of CLOCKS) at frequencies from 1 to 1/10000."""
    # sines of angles near 999 need the digits, also under autocast
    dtype, half = torch.promote_types(t.dtype, torch.float32), dim // 2
    steps = torch.arange(half, device=t.device, dtype=dtype)
    frequencies = torch.exp(steps * (-math.log(10000) / (half - 1)))
    angles = CLOCKS[clock](t.to(dtype))[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class NIN(nn.Module):
    """A 1x1 convolution stored as a matrix W [in, out] and a bias b."""

    def __init__(self, channels: int, scale: float = 1.0):
        super().__init__()
        self.W = nn.Parameter(fan_avg_(torch.empty(channels, channels), scale))
        self.b = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, pixels] -> [B, C, pixels]."""
        return self.W.T.to(x.dtype) @ x + self.b[:, None].to(x.dtype)


class Attention(nn.Module):
    """One head over all pixels, with residual."""

    def __init__(self, channels: int):
        super().__init__()
        self.GroupNorm_0 = group_norm(channels)
        self.NIN_0, self.NIN_1, self.NIN_2 = NIN(channels), NIN(channels), NIN(channels)
        self.NIN_3 = NIN(channels, scale=0)

    def forward(self, x: Tensor, temb: Tensor) -> Tensor:
        """x [B, C, H, W] -> the same; temb is taken for the sake of one signature."""
        h = self.GroupNorm_0(x).flatten(2)
        q, k, v = self.NIN_0(h), self.NIN_1(h), self.NIN_2(h)
        # written out: the fused attention kernels have no forward-mode derivative, which dG/ds needs
        weights = torch.softmax((q.transpose(1, 2) @ k) * x.shape[1] ** -0.5, dim=-1)
        h = self.NIN_3(v @ weights.transpose(1, 2).to(v.dtype)).reshape(x.shape)
        return (x + h) * SKIP_SCALE


class ResBlock(nn.Module):
    """BigGAN-style residual block; `resize` is None, "down" or "up"."""

    def __init__(
        self, channels_in: int, channels_out: int, temb_dim: int, dropout: float, resize: str | None = None
    ):
        super().__init__()
        self.resize = resize
        self.GroupNorm_0 = group_norm(channels_in)
        self.Conv_0 = conv(channels_in, channels_out)
        self.Dense_0 = linear(temb_dim, channels_out)
        self.GroupNorm_1 = group_norm(channels_out)
        self.dropout = nn.Dropout(dropout)
        self.Conv_1 = conv(channels_out, channels_out, scale=0)
        if channels_in != channels_out or resize:
            self.Conv_2 = conv(channels_in, channels_out, kernel=1)

    def forward(self, x: Tensor, temb: Tensor) -> Tensor:
        """x [B, channels_in, H, W], temb [B, emb] -> [B, channels_out, H, W], resized."""
        h = resized(F.silu(self.GroupNorm_0(x)), self.resize)
        h = self.Conv_0(h) + self.Dense_0(F.silu(temb))[:, :, None, None]
        h = self.Conv_1(self.dropout(F.silu(self.GroupNorm_1(h))))
        x = resized(x, self.resize)
        x = self.Conv_2(x) if hasattr(self, "Conv_2") else x
        return (x + h) * SKIP_SCALE


class DDPMpp(nn.Module):
    """v(x, t) or F(x, t, s) on images [B, channels, size, size] with values in [-1, 1].

    Defaults are the official CIFAR-10 configuration (61,804,419 parameters without the s-input). Without
    s_input, s is ignored. clock says how t and s are read: "t" (ours), "1-t" (time runs the other way) or
    "label" (taken as it is).
    """

    def __init__(
        self,
        size: int = 32,
        channels: int = 3,
        width: int = 128,
        multipliers: tuple = (1, 2, 2, 2),
        blocks: int = 4,
        attention: tuple = (16,),
        dropout: float = 0.15,
        clock: str = "t",
        s_input: bool = False,
    ):
        super().__init__()
        if clock not in CLOCKS:
            raise ValueError(f"clock must be one of {', '.join(CLOCKS)}; got '{clock}'")
        self.width, self.blocks, self.clock = width, blocks, clock
        temb_dim = 4 * width
        self.plan: list[str] = []
        modules = [linear(width, temb_dim), linear(temb_dim, temb_dim), conv(channels, width)]
        self.names = ["map_layer0", "map_layer1", f"enc.{size}x{size}_conv"]

        def add(module: nn.Module, role: str, name: str) -> None:
            modules.append(module)
            self.plan.append(role)
            self.names.append(name.format(f"{resolution}x{resolution}"))

        skips, now, resolution, last = [width], width, size, len(multipliers) - 1
        for level, multiplier in enumerate(multipliers):
            for i in range(blocks):
                add(ResBlock(now, width * multiplier, temb_dim, dropout), "block", f"enc.{{}}_block{i}")
                now = width * multiplier
                if resolution in attention:
                    add(Attention(now), "block", f"enc.{{}}_block{i}")
                self.plan.append("keep")
                skips.append(now)
            if level < last:
                resolution //= 2
                add(ResBlock(now, now, temb_dim, dropout, "down"), "block", "enc.{}_down")
                self.plan.append("keep")
                skips.append(now)
        add(ResBlock(now, now, temb_dim, dropout), "block", "dec.{}_in0")
        add(Attention(now), "block", "dec.{}_in0")
        add(ResBlock(now, now, temb_dim, dropout), "block", "dec.{}_in1")
        for level, multiplier in reversed(list(enumerate(multipliers))):
            for i in range(blocks + 1):
                joined = ResBlock(now + skips.pop(), width * multiplier, temb_dim, dropout)
                add(joined, "join", f"dec.{{}}_block{i}")
                now = width * multiplier
            if resolution in attention:
                add(Attention(now), "block", f"dec.{{}}_block{blocks}")
            if level > 0:
                resolution *= 2
                add(ResBlock(now, now, temb_dim, dropout, "up"), "block", "dec.{}_up")
        modules += [group_norm(now), conv(now, channels, scale=0)]
        self.names += [f"dec.{size}x{size}_aux_norm", f"dec.{size}x{size}_aux_conv"]
        self.all_modules = nn.ModuleList(modules)
        self.s_embed = s_embedding(width, temb_dim) if s_input else None

    @property
    def last_layer(self) -> Tensor:
        """The weight at which adaptive loss weights compare gradients."""
        return self.get_parameter(f"all_modules.{len(self.all_modules) - 1}.weight")

    def forward(self, x: Tensor, t: Tensor, s: Tensor | None = None) -> Tensor:
        """x [B, C, H, W]; t and s [B] -> [B, C, H, W]."""
        dense_0, dense_1, stem, *body = self.all_modules
        norm, outlet = body[-2:]
        temb = dense_1(F.silu(dense_0(positional_embedding(t, self.width, self.clock).to(x.dtype))))
        if s is not None and self.s_embed is not None:
            temb = temb + self.s_embed(positional_embedding(s, self.width, self.clock).to(x.dtype))
        h = stem(x)
        kept, layers = [h], iter(body)
        for role in self.plan:
            if role == "keep":
                kept.append(h)
            else:
                h = next(layers)(torch.cat([h, kept.pop()], dim=1) if role == "join" else h, temb)
        return outlet(F.silu(norm(h)))
