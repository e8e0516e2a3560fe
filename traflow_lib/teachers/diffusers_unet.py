"""A diffusers UNet2DModel, which predicts a variance-preserving diffusion's noise, as a teacher.

Ho et al. 2020 (arXiv 2006.11239): z = sqrt(a) data + sqrt(1 - a) noise, a = alphas_cumprod[step]. Then z /
sqrt(a) = data + sigma noise with sigma^2 = (1 - a) / a, so the network is a denoiser at sigma, and sigma = t
/ (1 - t) on our chord.
"""

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from ..files.tensors import load_tensors
from ..flow import expand
from ..nets import load_exactly
from ..nets.edm import velocity_of_denoiser


class EpsilonVelocity(nn.Module):
    """v(x, t) of net(z, step) -> noise.

    alphas_cumprod [T]: the diffusion's a at its steps, falling; times beyond them are taken at the nearest.
    """

    log_sigma: Tensor

    def __init__(self, net: nn.Module, alphas_cumprod: Tensor):
        super().__init__()
        self.net = net
        self.register_buffer("log_sigma", (torch.log1p(-alphas_cumprod) - torch.log(alphas_cumprod)) / 2)

    def step(self, sigma: Tensor) -> Tensor:
        """[B] -> [B]: the step with this noise level, between two of them linear in log sigma."""
        wanted, levels = sigma.log(), self.log_sigma.to(sigma)
        above = torch.searchsorted(levels, wanted.contiguous()).clamp(1, len(levels) - 1)
        return above - (levels[above] - wanted) / (levels[above] - levels[above - 1])

    def denoised(self, y: Tensor, sigma: Tensor) -> Tensor:
        """D(y, sigma) = y - sigma * noise, the network seeing z = y / sqrt(1 + sigma^2)."""
        level = expand(sigma, y)
        return y - level * self.net(y / (1 + level**2).sqrt(), self.step(sigma))

    def forward(self, x: Tensor, t: Tensor, s: Tensor | None = None) -> Tensor:
        """x [B, C, H, W]; t and s [B] -> the velocity [B, C, H, W]."""
        low, high = self.log_sigma[[0, -1]].exp().tolist()
        return velocity_of_denoiser(self.denoised, low, high)(x, t)


class _Sample(nn.Module):
    """The tensor in diffusers' answer."""

    def __init__(self, unet: nn.Module):
        super().__init__()
        self.unet = unet

    def forward(self, z: Tensor, step: Tensor) -> Tensor:
        return self.unet(z, step).sample


def load_unet(folder: Path) -> EpsilonVelocity:
    """The model in a folder with config.json and diffusion_pytorch_model.safetensors.

    The schedule is scheduler_config.json's, there or in ../scheduler, else DDPM's (1,000 steps, beta 1e-4 ..
    0.02). ValueError for what is not a noise-predicting UNet2DModel without classes, or whose tensors do not
    fit.
    """
    from diffusers import DDPMScheduler, UNet2DModel

    files = [folder / "config.json", folder / "diffusion_pytorch_model.safetensors"]
    if missing := [file.name for file in files if not file.is_file()]:
        raise FileNotFoundError(
            f"{folder} has no {' and no '.join(missing)}: not a folder of a diffusers model"
        )
    config = json.loads(files[0].read_text(encoding="utf-8"))
    classes = config.get("num_class_embeds") or config.get("class_embed_type")
    if config.get("_class_name") != "UNet2DModel" or classes:
        raise ValueError(
            f"{folder.name} holds a {config.get('_class_name')}: only an unconditional UNet2DModel is read"
        )
    if config.get("in_channels") != config.get("out_channels"):
        raise ValueError(
            f"{folder.name} has {config.get('out_channels')} output channels for "
            f"{config.get('in_channels')}: only noise prediction is read"
        )
    settings: dict = {}
    for file in (folder.parent / "scheduler" / "scheduler_config.json", folder / "scheduler_config.json"):
        if file.is_file():
            settings = json.loads(file.read_text(encoding="utf-8"))
    if settings.get("prediction_type", "epsilon") != "epsilon":
        raise ValueError(
            f"{folder.name} predicts '{settings['prediction_type']}': only prediction_type epsilon is read"
        )
    unet = UNet2DModel.from_config(config)
    load_exactly(unet, load_tensors(files[1]), folder.name)
    return EpsilonVelocity(_Sample(unet), DDPMScheduler.from_config(settings).alphas_cumprod)
