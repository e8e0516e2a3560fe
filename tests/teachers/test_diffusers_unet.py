"""A diffusers UNet2DModel as a teacher.

The conversion against a closed form, and a saved folder against a direct computation.
"""

import json

import pytest
import torch
from helpers import gaussian

from traflow_lib.flow import expand
from traflow_lib.teachers import load_teacher
from traflow_lib.teachers.diffusers_unet import EpsilonVelocity

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
    blocks = {
        "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
        "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
        "block_out_channels": (8, 16),
    }
    return diffusers.UNet2DModel(
        sample_size=8, layers_per_block=1, norm_num_groups=4, attention_head_dim=8, **blocks
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
