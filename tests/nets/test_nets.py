"""Networks: the official DDPM++ layout tensor by tensor, other sizes, time embeddings, the warm start.

DDPM++ is also recomputed from a bare state dict, step by step as the official release's layout is described,
without the library's modules.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from checkpoint_files import schemas
from helpers import NETS, randomise

from traflow_lib import nets
from traflow_lib.nets.ddpmpp import DDPMpp, positional_embedding
from traflow_lib.nets.mlp import time_features

SCHEMA = schemas()["rectified_flow_cifar10"]
SMALL = {"channels": 1, "multipliers": [1, 2], "blocks": 1, "attention": [4]}


def test_default_network_has_the_official_tensors_in_the_official_order():
    with torch.device("meta"):
        net = DDPMpp()
    assert [[name, list(p.shape)] for name, p in net.named_parameters()] == SCHEMA["parameters"]
    assert sum(p.numel() for p in net.parameters()) == SCHEMA["n_parameters"] == 61_804_419


def test_s_input_adds_only_tensors_named_s():
    with torch.device("meta"):
        net = DDPMpp(s_input=True)
    added = {name for name, _ in net.named_parameters()} - {name for name, _ in SCHEMA["parameters"]}
    assert added and all(name.startswith("s_") for name in added)


@pytest.mark.parametrize("size, width", [(8, 24), (8, 20), (16, 24), (64, 20)])
def test_any_size_and_width_runs(size, width):
    net = randomise(nets.build({"kind": "ddpmpp", "size": size, "width": width, **SMALL}, s_input=True))
    x = torch.randn(2, 1, size, size)
    with torch.no_grad():
        out = net(x, torch.rand(2), torch.rand(2))
    assert out.shape == x.shape and out.isfinite().all() and out.std() > 0


@pytest.mark.parametrize("kind", NETS)
def test_samples_of_a_batch_do_not_mix(kind):
    config, shape = NETS[kind]
    net = randomise(nets.build(config))
    x, t = torch.randn(4, *shape), torch.rand(4)
    assert torch.allclose(net(x, t)[1:2], net(x[1:2], t[1:2]), atol=1e-4)


@pytest.mark.parametrize("dim", [8, 128])
def test_positional_embedding_is_sin_then_cos_of_999_t(dim):
    t, half = [0.0, 0.1, 0.77, 1.0], dim // 2
    angles = [[999 * time * 10000 ** (-i / (half - 1)) for i in range(half)] for time in t]
    expected = torch.tensor([[math.sin(a) for a in row] + [math.cos(a) for a in row] for row in angles])
    assert torch.allclose(positional_embedding(torch.tensor(t), dim), expected, atol=2e-4)


def test_mlp_time_features_are_t_and_octaves():
    t = 0.3
    angles = [math.pi * t * 2**k for k in range(4)]
    expected = torch.tensor([[t, *(math.sin(a) for a in angles), *(math.cos(a) for a in angles)]])
    assert torch.allclose(time_features(torch.tensor([t])), expected, atol=1e-6)


@pytest.mark.parametrize("kind", NETS)
def test_last_layer_is_where_the_output_is_made(kind):
    """The output changes in proportion to the last layer's weight, bias apart."""
    config, shape = NETS[kind]
    net = randomise(nets.build(config))
    x, t = torch.randn(2, *shape), torch.rand(2)
    with torch.no_grad():
        one = net(x, t)
        net.last_layer.mul_(2)
        two = net(x, t)
        net.last_layer.mul_(0)
        bias = net(x, t)
    assert torch.allclose(two - bias, 2 * (one - bias), atol=1e-4) and not torch.allclose(one, bias)


@pytest.mark.parametrize("kind", NETS)
def test_warm_start_ignores_s_until_it_is_trained(kind):
    config, shape = NETS[kind]
    teacher = randomise(nets.build(config))
    student = nets.warm_start(nets.build(config, s_input=True), teacher).eval()
    x, t = torch.randn(3, *shape), torch.rand(3)
    assert torch.equal(student(x, t, torch.rand(3)), teacher(x, t))


@pytest.mark.parametrize(
    "change, tensor",
    [({"depth": 4}, "hidden.2"), ({"depth": 2}, "hidden.1"), ({"width": 24}, "inlet.weight")],
    ids=["deeper", "shallower", "wider"],
)
def test_warm_start_refuses_another_architecture_and_names_a_tensor(change, tensor):
    config, _ = NETS["mlp"]
    with pytest.raises(ValueError, match=tensor):
        nets.warm_start(nets.build({**config, **change}, s_input=True), nets.build(config))


def test_unknown_network_lists_what_exists():
    with pytest.raises(ValueError, match="unknown network 'unet'; there are .*ddpmpp"):
        nets.build({"kind": "unet"})


def test_classifier_features_are_scaled_to_total_variance_one():
    net, images = nets.build({"kind": "classifier"}), torch.randn(200, 1, 8, 8)
    net.calibrate(images)
    assert net(images).shape == (200, 10) and net.features(images).shape == (200, 32)
    assert net.features(images).var(dim=0).sum().item() == pytest.approx(1, abs=1e-4)


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
