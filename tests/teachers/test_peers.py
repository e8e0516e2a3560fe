"""Networks of diffusers, torchcfm and flow_matching as teachers and as the start of students.

Of diffusers' UNet2DModel also the conversion, against a closed form, and a saved folder.
"""

import json

import pytest
import torch
from helpers import gaussian, mixture, randomise

from traflow_lib.flow import expand, velocity_loss
from traflow_lib.jump import JumpMap
from traflow_lib.nets import with_target_time
from traflow_lib.nets.mlp import MLP
from traflow_lib.teachers import VelocityField, as_velocity, load_teacher
from traflow_lib.teachers.convention import Convention
from traflow_lib.teachers.diffusers_unet import EpsilonVelocity

LABEL = torch.tensor([0, 2])
# of a small UNet2DModel
BLOCKS = {
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (8, 16),
}


def diffusers_unet():
    diffusers = pytest.importorskip("diffusers")
    sizes = {"sample_size": 8, "in_channels": 1, "out_channels": 1, "layers_per_block": 1}
    net = randomise(
        diffusers.UNet2DModel(norm_num_groups=4, attention_head_dim=8, num_class_embeds=3, **sizes, **BLOCKS)
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


BETAS = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
ALPHAS = torch.cumprod(1 - BETAS, 0)


class Function(torch.nn.Module):
    """A function as a network."""

    def __init__(self, function):
        super().__init__()
        self.forward = function


def test_step_is_exact_on_the_schedule_and_between_its_neighbours():
    velocity = EpsilonVelocity(torch.nn.Identity(), ALPHAS)
    sigma = ((1 - ALPHAS) / ALPHAS).sqrt()
    assert torch.allclose(velocity.step(sigma), torch.arange(1000).double(), atol=1e-6)
    between = velocity.step((sigma[1:] * sigma[:-1]).sqrt())
    assert torch.allclose(between, torch.arange(999).double() + 0.5, atol=1e-6)


@pytest.mark.parametrize("t", [0.01, 0.1, 0.5, 0.9, 0.99])
def test_exact_noise_prediction_gives_the_closed_form_velocity(t):
    """The noise a Gaussian's exact predictor sees in z = sqrt(a) data + sqrt(1 - a) noise.

    sqrt(1 - a) (a C + (1 - a) I)^-1 (z - sqrt(a) m).
    """
    flow = gaussian()
    cov = flow.eigvecs[0] @ flow.eigvals[0].diag() @ flow.eigvecs[0].T
    log_sigma = ((1 - ALPHAS) / ALPHAS).log() / 2

    def noise(z, step):
        below = step.floor().long().clamp(max=998)
        a = torch.sigmoid(-2 * torch.lerp(log_sigma[below], log_sigma[below + 1], step - below))
        total = expand(a, z)[..., None] * cov + expand(1 - a, z)[..., None] * torch.eye(2).double()
        return expand((1 - a).sqrt(), z) * torch.linalg.solve(total, z - expand(a.sqrt(), z) * flow.means[0])

    velocity = EpsilonVelocity(Function(noise), ALPHAS)
    x = torch.randn(100, 2, dtype=torch.float64)
    assert torch.allclose(velocity(x, torch.full((100,), t).double()), flow(x, t), atol=1e-5)


@pytest.fixture
def unet():
    diffusers = pytest.importorskip("diffusers")
    return diffusers.UNet2DModel(
        sample_size=8, layers_per_block=1, norm_num_groups=4, attention_head_dim=8, **BLOCKS
    ).eval()


def changed(folder, **settings):
    """The folder with another config.json."""
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    return folder


@pytest.mark.parametrize("place", [None, ".", "../scheduler"])
def test_saved_folder_is_the_network_between_two_scalings(tmp_path, unet, place):
    """At a step of the schedule: v = (noise - x) / (1 - t) with noise = net(x sqrt(a) / (1 - t), step) where
    sigma = t / (1 - t).
    """
    from diffusers import DDPMScheduler

    folder = tmp_path / "unet"
    unet.save_pretrained(folder)
    scheduler = DDPMScheduler(beta_schedule="squaredcos_cap_v2") if place else DDPMScheduler()
    if place:
        scheduler.save_pretrained(folder / place)
    teacher, x = load_teacher(folder), torch.randn(2, 3, 8, 8)
    for step in (20, 400, 900):
        a = scheduler.alphas_cumprod[step].double()
        sigma = ((1 - a) / a).sqrt()
        t = sigma / (1 + sigma)
        with torch.no_grad():
            noise = unet((x * a.sqrt() / (1 - t)).float(), step).sample
        assert torch.allclose(teacher(x, t.item()), ((noise - x) / (1 - t)).float(), atol=1e-3, rtol=1e-4)
    assert all(teacher(x, t).isfinite().all() for t in (0.0, 1.0))


def test_what_is_not_a_noise_predicting_unet_is_refused_in_one_line(tmp_path, unet):
    with pytest.raises(
        FileNotFoundError, match="has no config.json and no diffusion_pytorch_model.safetensors"
    ):
        load_teacher(tmp_path)
    unet.save_pretrained(tmp_path / "unet")
    with pytest.raises(ValueError, match="holds a VQModel"):
        load_teacher(changed(tmp_path / "unet", _class_name="VQModel"))
    with pytest.raises(ValueError, match="has 6 output channels for 3"):
        load_teacher(changed(tmp_path / "unet", _class_name="UNet2DModel", out_channels=6))
    with pytest.raises(ValueError, match="does not fit the network: .* is missing"):
        load_teacher(changed(tmp_path / "unet", out_channels=3, layers_per_block=2))
    changed(tmp_path / "unet", layers_per_block=1)
    (tmp_path / "unet" / "scheduler_config.json").write_text('{"prediction_type": "v_prediction"}')
    with pytest.raises(ValueError, match="predicts 'v_prediction'"):
        load_teacher(tmp_path / "unet")
