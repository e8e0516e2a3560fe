"""Networks of diffusers, torchcfm and flow_matching as teachers and as the start of students."""

import pytest
import torch
from helpers import mixture, randomise

from traflow_lib.flow import velocity_loss
from traflow_lib.jump import JumpMap
from traflow_lib.nets import with_target_time
from traflow_lib.nets.mlp import MLP
from traflow_lib.teachers import VelocityField, as_velocity
from traflow_lib.teachers.convention import Convention

LABEL = torch.tensor([0, 2])


def diffusers_unet():
    diffusers = pytest.importorskip("diffusers")
    blocks = {
        "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
        "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
        "block_out_channels": (8, 16),
    }
    sizes = {"sample_size": 8, "in_channels": 1, "out_channels": 1, "layers_per_block": 1}
    net = randomise(
        diffusers.UNet2DModel(norm_num_groups=4, attention_head_dim=8, num_class_embeds=3, **sizes, **blocks)
    )

    def direct(x, t):
        return -net(x, 1000 * (1 - t), class_labels=LABEL).sample

    return as_velocity(net, noise_at=0, scale=1000, classes=3), direct, "time_embedding", "conv_out"


def torchcfm_unet():
    unet = pytest.importorskip("torchcfm.models.unet.unet")
    net = randomise(unet.UNetModelWrapper((1, 8, 8), 32, 1, (1,), class_cond=True, num_classes=3))

    def direct(x, t):
        return -net(1 - t, x, y=LABEL)

    return as_velocity(net, noise_at=0, classes=3), direct, "time_embed", "out.2"


def flow_matching_wrapper():
    utils = pytest.importorskip("flow_matching.utils")

    class Wrapped(utils.ModelWrapper):
        def forward(self, x, t, **extras):
            return self.model(x.flatten(1), t).reshape(x.shape) * (1 + extras["level"][:, None, None, None])

    net = randomise(Wrapped(MLP(dim=64, width=16)))

    def direct(x, t):
        return -net(x=x, t=1 - t, level=LABEL)

    def call(net, x, t, label):
        return net(x=x, t=t, level=label)

    return as_velocity(net, noise_at=0, classes=3, call=call), direct, "inlet", "outlet"


PEERS = [diffusers_unet, torchcfm_unet, flow_matching_wrapper]


@pytest.mark.parametrize("peer", PEERS)
def test_their_networks_are_teachers_and_start_students(peer):
    v, direct, layer, last = peer()
    x, t = torch.randn(2, 1, 8, 8), torch.tensor([0.2, 0.7])
    expected = direct(x, t)
    assert torch.equal(v(x, t, label=LABEL), expected)
    assert torch.equal(VelocityField(v)(x, t, label=LABEL), expected)
    student = with_target_time(v, layer, last_layer=last)
    assert torch.equal(student(x, t, 0.1, label=LABEL), expected)
    with torch.no_grad():
        student.s_embed[2].weight.normal_()
    jump = JumpMap(student, LABEL)
    jump(x, t, 0.1).square().mean().backward()
    assert all(p.grad.abs().max() > 0 for p in (student.s_embed[2].weight, student.last_layer))
    assert not torch.equal(student(x, t, 0.1, label=LABEL), student(x, t, 0.15, label=LABEL))


@pytest.mark.parametrize("peer", PEERS)
def test_students_of_their_networks_have_a_derivative_in_s(peer):
    """Of diffusers' too, whose fused attention has none."""
    v, _, layer, _ = peer()
    student = JumpMap(with_target_time(v, layer), LABEL)
    with torch.no_grad():
        student.net.s_embed[2].weight.normal_()
    x, t, s, h = torch.randn(2, 1, 8, 8), 0.7, 0.2, 1e-3  # torchcfm's embedding knows float32 only
    slope = student.with_derivative(x, t, s)[1]
    difference = (student(x, t, s + h) - student(x, t, s - h)) / (2 * h)
    assert (slope - difference).norm() <= 0.01 * slope.norm()
    slope.square().mean().backward()
    assert student.net.s_embed[2].weight.grad.abs().max() > 0


def test_a_network_trained_by_torchcfm_is_recognised():
    """Its paths run from noise at time 0 to data at time 1."""
    cfm = pytest.importorskip("torchcfm.conditional_flow_matching")
    torch.manual_seed(0)
    flow, net = mixture(torch.float32), MLP(width=48, depth=3, frequencies=2)
    matcher, optimiser = cfm.ConditionalFlowMatcher(sigma=0.0), torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(300):
        t, x_t, u = matcher.sample_location_and_conditional_flow(torch.randn(512, 2), flow.sample(512))
        optimiser.zero_grad()
        (net(x_t, t) - u).square().mean().backward()
        optimiser.step()
    assert as_velocity(net).check(flow.sample(2000)).tied == (Convention(noise_at=0),)
    v = as_velocity(net, noise_at=0)
    x0, x1, t = flow.sample(5000), torch.randn(5000, 2), torch.rand(5000)
    with torch.no_grad():
        assert velocity_loss(v, x0, x1, t) < 1.1 * velocity_loss(flow, x0, x1, t)


def test_a_path_of_flow_matching_is_recognised():
    """The exact velocity on its path of optimal transport, from noise at 0 to data at 1."""
    path = pytest.importorskip("flow_matching.path").CondOTProbPath()
    flow, x0, x1, t = mixture(), torch.randn(500, 2).double(), mixture().sample(500), torch.rand(500).double()
    sample = path.sample(x_0=x0, x_1=x1, t=t)
    v = as_velocity(lambda x, t: -flow(x, 1 - t), noise_at=0)
    assert torch.allclose(-sample.dx_t, x0 - x1)
    loss = (v(sample.x_t, 1 - t) + sample.dx_t).square().mean()
    assert loss < 1.05 * velocity_loss(flow, x1, x0, 1 - t) and v.check(x1).ok
