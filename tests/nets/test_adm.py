"""ADM: the official tensors, classes, and what the s-input adds.

(Values are compared with the description in test_edm_files.)
"""

import pytest
import torch
from checkpoint_files import schemas
from helpers import randomise

from traflow_lib import nets
from traflow_lib.nets.adm import ADM, positional_embedding

SCHEMA = schemas()["edm_imagenet64_cond_adm"]
SMALL = {
    "kind": "adm",
    "size": 8,
    "width": 16,
    "multipliers": [1, 2],
    "blocks": 1,
    "attention": [4],
    "head_channels": 8,
    "classes": 3,
}


def test_default_network_has_the_official_tensors():
    with torch.device("meta"):
        net = ADM()
    assert [[f"model.{name}", list(p.shape)] for name, p in net.named_parameters()] == SCHEMA["parameters"]
    assert sum(p.numel() for p in net.parameters()) == SCHEMA["n_parameters"] == 295_899_267


def test_s_input_adds_only_tensors_named_s():
    with torch.device("meta"):
        names = {name for name, _ in ADM(s_input=True).named_parameters()}
    assert (
        {name for name in names if name.startswith("s_")}
        == names - {row[0].removeprefix("model.") for row in SCHEMA["parameters"]}
        != set()
    )


def test_embedding_is_cos_then_sin():
    label = torch.tensor([0.3, -1.2], dtype=torch.float64)
    angles = label[:, None] * torch.tensor([10000 ** (-i / 96) for i in range(96)], dtype=torch.float64)
    assert torch.allclose(positional_embedding(label, 192), torch.cat([angles.cos(), angles.sin()], 1))


def test_without_a_label_the_class_embedding_is_zero():
    net = randomise(nets.build(SMALL))
    x, t = torch.randn(2, 3, 8, 8), torch.rand(2)
    none, some = net(x, t), net(x, t, label=torch.tensor([0, 2]))
    net.map_label.weight.data.zero_()
    assert torch.equal(net(x, t, label=torch.tensor([0, 2])), none) and not torch.allclose(some, none)


def test_each_sample_has_its_own_class_and_samples_do_not_mix():
    net = randomise(nets.build(SMALL))
    x, t, label = torch.randn(3, 3, 8, 8), torch.rand(3), torch.tensor([0, 2, 1])
    assert torch.allclose(net(x, t, label=label)[1:2], net(x[1:2], t[1:2], label=label[1:2]), atol=1e-4)


def test_unconditional_network_and_other_sizes_run():
    net = randomise(
        nets.build(SMALL | {"classes": 0, "size": 16, "channels": 1, "multipliers": [1, 2, 2]}, s_input=True)
    )
    out = net(torch.randn(2, 1, 16, 16), torch.rand(2), torch.rand(2))
    assert out.shape == (2, 1, 16, 16) and out.isfinite().all() and out.std() > 0


def test_fresh_network_is_zero_and_trains():
    net = nets.build(SMALL)
    out = net(torch.randn(2, 3, 8, 8), torch.rand(2), label=torch.tensor([0, 1]))
    assert not out.any()
    (out - 1).square().sum().backward()
    assert net.last_layer.grad.any()


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_dropout_acts_in_training_only(dropout):
    net = randomise(nets.build(SMALL | {"dropout": dropout}))
    x, t = torch.randn(2, 3, 8, 8), torch.rand(2)
    assert torch.equal(net(x, t), net(x, t))
    assert torch.equal(net.train()(x, t), net(x, t)) == (dropout == 0)
