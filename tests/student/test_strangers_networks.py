"""Real networks of diffusers and torchcfm, from a bare module to a saved student."""

import pytest
import torch
from test_distill import pictures

from traflow_lib import as_velocity, distill, load, with_target_time


def of_diffusers():
    diffusers = pytest.importorskip("diffusers")
    blocks = {"down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "block_out_channels": (16, 32)}
    blocks |= {
        "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
        "attention_head_dim": 8,
        "norm_num_groups": 4,
    }
    return diffusers.UNet2DModel(16, 1, 1, layers_per_block=1, **blocks)


def of_torchcfm():
    unet = pytest.importorskip("torchcfm.models.unet.unet")
    return unet.UNetModelWrapper((1, 16, 16), 32, 1, (1,))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "layer", "called"),
    [
        (of_diffusers, "time_embedding", lambda net, time, x: net(x, 1000 * time).sample),
        (of_torchcfm, "time_embed", lambda net, time, x: net(time, x)),
    ],
)
def test_from_a_bare_module_to_a_saved_student(make, layer, called, tmp_path):
    """Trained by their own convention, noise at time 0; 200 steps of distillation at size 16."""
    torch.manual_seed(0)
    net, data = make(), pictures(300, 16)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(150):
        x = data[torch.randint(len(data), (16,))]
        noise, time = torch.randn_like(x), torch.rand(len(x))
        at = time[:, None, None, None]
        loss = (called(net, time, at * x + (1 - at) * noise) - (x - noise)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    scale = 1000 if make is of_diffusers else 1
    teacher = as_velocity(net, noise_at=0, scale=scale)
    with pytest.raises(ValueError, match="noise_at=0"):
        as_velocity(net, scale=scale).check(data).require()
    options = {"train": {"batch": 16}, "pairs": {"n": 200, "steps": 6}, "out": tmp_path / "mine"}
    student = distill(teacher, data, steps=200, network=with_target_time(teacher, layer), **options)
    again = load(student.save(tmp_path / "mine.safetensors"), network=make)
    assert torch.equal(again.sample(4, calls=2), student.sample(4, calls=2))
    start = type(student)(with_target_time(teacher, layer), student.shape)
    assert student.evaluate(data, [1]).by_calls[1] < start.evaluate(data, [1]).by_calls[1]
