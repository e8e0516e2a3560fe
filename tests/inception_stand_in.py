"""A small TorchScript network with the interface of inception-2015-12-05.pt, under its file name.

Random weights, the same layers by name.
"""

import warnings
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from traflow_lib.evaluation import inception
from traflow_lib.files.checksums import file_sha256


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(8, 16, 1), nn.ReLU())
        self.rest = nn.Conv2d(8, 2032, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.conv(x), self.rest(x).relu()], 1)


class StandIn(nn.Module):
    def __init__(self):
        super().__init__()
        stem = nn.Sequential(
            nn.Conv2d(3, 8, 17, stride=17), nn.ReLU()
        )  # 299 -> 17, as Inception's at this depth
        self.layers = nn.Sequential(OrderedDict(conv=stem, mixed_6=Mixed(), pool2=nn.AvgPool2d(17)))
        self.output = nn.Linear(2048, 1008)

    def forward(
        self, img: Tensor, return_features: bool = False, use_fp16: bool = False, no_output_bias: bool = False
    ) -> Tensor:
        x = img.float()
        rows, columns = (
            torch.arange(299) * x.size(2) / 299,
            torch.arange(299) * x.size(3) / 299,
        )  # TensorFlow 1's bilinear resizing
        top, left = rows.long(), columns.long()
        down, right = (rows - top)[:, None], columns - left
        below, beside = (top + 1).clamp(max=x.size(2) - 1), (left + 1).clamp(max=x.size(3) - 1)
        upper = x[:, :, top][:, :, :, left] * (1 - right) + x[:, :, top][:, :, :, beside] * right
        lower = x[:, :, below][:, :, :, left] * (1 - right) + x[:, :, below][:, :, :, beside] * right
        features = self.layers((upper * (1 - down) + lower * down - 128) / 128).reshape(-1, 2048)
        if return_features:
            return features
        logits = features @ self.output.weight.T
        return torch.softmax(logits if no_output_bias else logits + self.output.bias, 1)


@pytest.fixture
def stand_in(tmp_path, monkeypatch) -> Path:
    """The file of the stand-in, where TRAFLOW_INCEPTION says, with its checksum in the place of the real
    one's.
    """
    torch.manual_seed(0)
    file = tmp_path / "weights" / inception.TORCHSCRIPT
    file.parent.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch would rather have other formats than TorchScript
        torch.jit.script(StandIn().eval()).save(file)
    monkeypatch.setenv(inception.PLACE, str(file.parent))
    monkeypatch.setitem(inception.SHA256, inception.TORCHSCRIPT, file_sha256(file))
    return file
