"""Networks: the official DDPM++ layout tensor by tensor, other sizes, time embeddings, the warm start."""

import json
import math
from pathlib import Path

import pytest
import torch
from helpers import NETS, randomise

from traflow_lib import nets
from traflow_lib.nets.ddpmpp import DDPMpp, positional_embedding
from traflow_lib.nets.mlp import time_features

SCHEMA = json.loads(
    (Path(__file__).parents[1] / "schemas" / "rectified_flow_cifar10_schema.json").read_text()
)
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
