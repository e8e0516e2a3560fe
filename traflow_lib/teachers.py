"""Trained networks on disk: safetensors with the network's configuration and origin in the header, and teachers made from them."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from . import nets
from .flow import per_sample


class VelocityField:
    """A network as v(x, t): evaluation mode, no gradients, t a scalar or [B]; autocast to bf16 if asked. x [B, ...] -> [B, ...].

    A student's velocity is its average velocity over no time, F(x, t, t).
    """

    def __init__(self, net: nn.Module, precision: str = "fp32"):
        self.net, self.precision = net.eval(), precision

    @torch.no_grad()
    def __call__(self, x: Tensor, t: float | Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            t = per_sample(t, x)
            return self.net(x, t, t).to(x.dtype)


def save_network(file: Path, net: nn.Module, config: dict, **header) -> None:
    """Write weights with the `net` block that builds them; header: JSON-able facts such as statistics of the training."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    save_file(net.state_dict(), part, metadata={"network": json.dumps(config), **{key: json.dumps(value) for key, value in header.items()}})
    part.replace(file)


def read_header(file: Path) -> dict:
    """The facts stored beside the weights; a file that is not a checkpoint of this kit raises ValueError."""
    if not file.is_file():
        raise FileNotFoundError(f"there is no checkpoint {file}")
    try:
        with safe_open(file, "pt") as content:
            header = content.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{file.name} is not a whole safetensors file: {error}") from None
    if "network" not in header:
        raise ValueError(f"{file.name} was not written by this kit: its header names no network")
    return {key: json.loads(value) for key, value in header.items()}


def load_network(file: Path) -> tuple[nn.Module, dict]:
    """The network in a checkpoint, every tensor checked by name and shape, and the header."""
    header = read_header(file)
    net = nets.build(header["network"], s_input=header.get("s_input", False))
    nets.load_exactly(net, load_file(file), file.name)
    return net.eval(), header


def load_teacher(path: str | Path, precision: str = "fp32") -> VelocityField:
    """The velocity field in a checkpoint trained by this kit (a student's is its F(x, t, t))."""
    return VelocityField(load_network(Path(path))[0], precision)
