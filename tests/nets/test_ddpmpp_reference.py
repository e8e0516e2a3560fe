"""DDPM++ recomputed from a bare state dict, step by step as the official release's layout is described,
without the library's modules.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from helpers import randomise

from traflow_lib.nets.ddpmpp import DDPMpp


class Reference:
    """v(x, t) from tensors named all_modules.N, taken in order of execution."""

    def __init__(self, tensors, width, multipliers, blocks, attention):
        self.tensors, self.width, self.multipliers, self.blocks, self.attention = (
            tensors,
            width,
            multipliers,
            blocks,
            attention,
        )

    def take(self):
        """The next module's tensors by their short names."""
        prefix, self.next = f"all_modules.{self.next}.", self.next + 1
        return {
            name.removeprefix(prefix): value
            for name, value in self.tensors.items()
            if name.startswith(prefix)
        }

    def norm(self, x, m, name=""):
        channels = x.shape[1]
        return F.group_norm(x, min(channels // 4, 32), m[name + "weight"], m[name + "bias"], eps=1e-6)

    def residual(self, x, temb, resize=None):
        m = self.take()
        change = {
            "down": lambda y: F.avg_pool2d(y, 2),
            "up": lambda y: y.repeat_interleave(2, 2).repeat_interleave(2, 3),
            None: lambda y: y,
        }[resize]
        h = F.conv2d(
            change(F.silu(self.norm(x, m, "GroupNorm_0."))), m["Conv_0.weight"], m["Conv_0.bias"], padding=1
        )
        h = h + F.linear(F.silu(temb), m["Dense_0.weight"], m["Dense_0.bias"])[:, :, None, None]
        h = F.conv2d(F.silu(self.norm(h, m, "GroupNorm_1.")), m["Conv_1.weight"], m["Conv_1.bias"], padding=1)
        x = change(x)
        assert ("Conv_2.weight" in m) == (resize is not None or x.shape[1] != h.shape[1])
        return (
            (F.conv2d(x, m["Conv_2.weight"], m["Conv_2.bias"]) if "Conv_2.weight" in m else x) + h
        ) / 2**0.5

    def attend(self, x):
        m, (b, c, height, width) = self.take(), x.shape
        h = self.norm(x, m, "GroupNorm_0.").permute(0, 2, 3, 1)
        q, k, v = (h @ m[f"NIN_{i}.W"] + m[f"NIN_{i}.b"] for i in range(3))
        weights = torch.einsum("bijc,bklc->bijkl", q, k).div(c**0.5).reshape(b, height, width, -1).softmax(-1)
        h = torch.einsum("bijn,bnc->bijc", weights, v.reshape(b, -1, c)) @ m["NIN_3.W"] + m["NIN_3.b"]
        return (x + h.permute(0, 3, 1, 2)) / 2**0.5

    def __call__(self, x, t):
        self.next, half, last = 0, self.width // 2, len(self.multipliers) - 1
        angles = 999 * t[:, None] * torch.tensor([10000 ** (-i / (half - 1)) for i in range(half)]).to(t)
        temb, m = torch.cat([angles.sin(), angles.cos()], dim=1), self.take()
        temb, m = F.silu(F.linear(temb, m["weight"], m["bias"])), self.take()
        temb, m = F.linear(temb, m["weight"], m["bias"]), self.take()
        h = F.conv2d(x, m["weight"], m["bias"], padding=1)
        skips = [h]
        for level in range(last + 1):
            for _ in range(self.blocks):
                h = self.residual(h, temb)
                h = self.attend(h) if h.shape[-1] in self.attention else h
                skips.append(h)
            if level < last:
                h = self.residual(h, temb, "down")
                skips.append(h)
        h = self.residual(self.attend(self.residual(h, temb)), temb)
        for level in range(last, -1, -1):
            for _ in range(self.blocks + 1):
                h = self.residual(torch.cat([h, skips.pop()], dim=1), temb)
            h = self.attend(h) if h.shape[-1] in self.attention else h
            h = self.residual(h, temb, "up") if level > 0 else h
        m, n = self.take(), self.take()
        assert not skips and not self.take()
        return F.conv2d(F.silu(self.norm(h, m)), n["weight"], n["bias"], padding=1)


@pytest.mark.parametrize(
    "layout",
    [
        {"width": 8, "multipliers": (1, 2), "blocks": 1, "attention": (4,)},
        {"width": 16, "multipliers": (1, 2, 2, 2), "blocks": 2, "attention": (8,)},
        {"width": 16, "multipliers": (1, 1, 2), "blocks": 1, "attention": (8, 2)},
    ],
    ids=str,
)
def test_network_is_the_described_one(layout):
    net = randomise(DDPMpp(size=8, channels=3, **layout)).double()
    with torch.no_grad():
        for parameter in net.parameters():  # unit gain, so that no part of the network drowns another
            if parameter.ndim > 1:
                parameter.copy_(torch.randn_like(parameter) / math.sqrt(parameter[0].numel()))
        x, t = torch.randn(2, 3, 8, 8).double(), torch.tensor([0.3, 1.0]).double()
        expected, found = Reference(net.state_dict(), **layout)(x, t), net(x, t)
    assert found.std() > 0.1
    assert torch.allclose(found, expected, atol=1e-3)  # the library's angles are rounded to float32
