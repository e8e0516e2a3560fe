"""Inception's features through clean-fid, in its three modes, from weights whose checksum is known.

legacy_pytorch is pytorch-fid's port of the original network, the others are NVIDIA's translation of it.
"""

import platform
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from ..data import fetch
from ..files import paths
from ..files.checksums import file_sha256

Mode = Literal["clean", "legacy_tensorflow", "legacy_pytorch"]
MODES: tuple[str, ...] = get_args(Mode)
PLACE = "TRAFLOW_INCEPTION"  # environment variable: the folder with the weights, or their file
TORCHSCRIPT, PYTORCH = "inception-2015-12-05.pt", "pt_inception-2015-12-05-6726825d.pth"
URLS = {
    TORCHSCRIPT: "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/" + TORCHSCRIPT,
    PYTORCH: "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/" + PYTORCH,
}
SHA256 = {
    TORCHSCRIPT: "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4",
    PYTORCH: "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
}
SIZE, SPATIAL_CHANNELS = 299, 7


def weights(name: str) -> Path:
    """The file of the weights, where TRAFLOW_INCEPTION says or clean-fid keeps it, fetched if it can be.

    FileNotFoundError says where to get it and what to do without it, ValueError that it is another file.
    """
    given = paths.place(PLACE)
    if given:
        file = given / name if given.is_dir() else given
    elif name == TORCHSCRIPT:
        file = Path("./" if platform.system() == "Windows" else "/tmp") / name
    else:
        file = Path(torch.hub.get_dir()) / "checkpoints" / name
    way_out = f"name its folder in {PLACE}, or take another extractor (--extractor cnn)"
    if not file.exists():
        if given:
            raise FileNotFoundError(
                f"{PLACE} is {given}, where {name} is not; get it from {URLS[name]}, or take --extractor cnn"
            )
        try:
            fetch.download(URLS[name], file)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"Inception's weights: {error}, {way_out}") from None
    if file_sha256(file) != SHA256[name]:
        raise ValueError(
            f"{file} is not {name} of {URLS[name]}: its SHA-256 differs; delete it and fetch it again, "
            f"{way_out}"
        )
    return file


class Inception:
    """In one of clean-fid's modes, on one device. Pixels: [B, 3, H, W] from 0 to 255, float32 or uint8."""

    def __init__(self, mode: str, device: torch.device):
        if mode not in MODES:
            raise ValueError(f"unknown mode '{mode}'; there are {', '.join(MODES)}")
        try:
            from cleanfid.resize import build_resizer
        except ImportError:
            way_out = "pip install 'traflow-lab[eval]', or take another extractor (--extractor cnn)"
            raise ImportError(f"FID needs clean-fid: {way_out}") from None
        self.mode, self.device, self.resizer = mode, device, build_resizer(mode)
        self.file = weights(PYTORCH if mode == "legacy_pytorch" else TORCHSCRIPT)
        net = _pytorch(self.file) if mode == "legacy_pytorch" else _torchscript(self.file, mode)
        self.net: Any = net.to(device).eval()

    def _resized(self, pixels: Tensor) -> Tensor:
        """[B, 3, 299, 299] by clean-fid's resizer; as it is where the network resizes."""
        if self.mode == "legacy_tensorflow":
            return pixels.float().to(self.device)
        images = pixels.permute(0, 2, 3, 1).cpu().numpy()
        resized = torch.from_numpy(np.stack([self.resizer(image) for image in images]))
        return resized.permute(0, 3, 1, 2).float().to(self.device)

    def features(self, pixels: Tensor) -> Tensor:
        """The last pooling layer, [B, 2048]."""
        x = self._resized(pixels)
        return self.net(x / 255)[0].flatten(1) if self.mode == "legacy_pytorch" else self.net(x)

    def spatial(self, pixels: Tensor) -> Tensor:
        """The first 7 channels of mixed_6/conv, [B, 7 * 17 * 17], for sFID as in ADM (Nash et al. 2021)."""
        x = self._resized(pixels)
        x = (_tensorflow_resize(x) if self.mode == "legacy_tensorflow" else x) / 128 - 1
        for name, layer in self.net.layers.named_children():
            if name == "mixed_6":
                return layer.conv(x)[:, :SPATIAL_CHANNELS].flatten(1)
            x = layer(x)
        raise ValueError(f"{self.file} has no layer mixed_6")

    def logits(self, features: Tensor) -> Tensor:
        """Class scores [N, 1008] of features [N, 2048], without the bias, as the original IS and ADM's."""
        return features @ self.net.base.output.weight.T.to(features)


def _torchscript(file: Path, mode: str) -> nn.Module:
    from cleanfid.inception_torchscript import InceptionV3W

    if file.name != TORCHSCRIPT:
        raise ValueError(f"clean-fid looks for {TORCHSCRIPT}: rename {file}")
    return InceptionV3W(str(file.parent), download=False, resize_inside=mode == "legacy_tensorflow")


def _pytorch(file: Path) -> nn.Module:
    """clean-fid's InceptionV3, whose own loader would fetch weights and unpickle what it finds."""
    from cleanfid import inception_pytorch

    original = inception_pytorch.load_state_dict_from_url
    inception_pytorch.load_state_dict_from_url = lambda url, progress: torch.load(file, weights_only=True)
    try:
        return inception_pytorch.InceptionV3(output_blocks=[3], resize_input=False)
    finally:
        inception_pytorch.load_state_dict_from_url = original


def _tensorflow_resize(x: Tensor) -> Tensor:
    """TensorFlow 1's bilinear resizing, as in the network: output pixel i at i * H / 299 of the input."""
    ys, xs = (torch.arange(SIZE, device=x.device) * size / SIZE for size in x.shape[2:])
    rows, columns = (2 * at / (size - 1) - 1 for at, size in zip((ys, xs), x.shape[2:]))
    grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij")[::-1], dim=-1)
    grid = grid.expand(len(x), -1, -1, -1)
    return nn.functional.grid_sample(x, grid, padding_mode="border", align_corners=True)
