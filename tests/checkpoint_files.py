"""Writers of checkpoints in the releases' formats, with random weights that depend on the tensor's name
alone.
"""

import pickle
import sys
import zlib
from collections import OrderedDict
from types import ModuleType, SimpleNamespace
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn


def fill(rows) -> dict[str, Tensor]:
    """{name: tensor} for [[name, shape], ...]: unit gain for weights, near 1 for scales of norms."""
    tensors = {}
    for name, shape in rows:
        values = torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))
        norm = len(shape) == 1 and name.endswith("weight")
        tensors[name] = (
            1 + 0.2 * values if norm else values * (0.1 if len(shape) == 1 else values[0].numel() ** -0.5)
        )
    return tensors


def rectified_flow_content(tensors: dict[str, Tensor]) -> dict:
    """What RectifiedFlow saves: the wrapped model (other weights than the EMA's), the EMA list, Adam's state
    and the step.
    """
    model = OrderedDict(
        {"module.sigmas": torch.linspace(50, 0.01, 1000)}
        | {f"module.{name}": value + 1 for name, value in tensors.items()}
    )
    states = {
        i: {"step": 5, "exp_avg": torch.zeros(1), "exp_avg_sq": torch.zeros(1)} for i in range(len(tensors))
    }
    optimizer = {
        "state": states,
        "param_groups": [{"lr": 2e-4, "betas": (0.9, 0.999), "params": list(range(len(tensors)))}],
    }
    return {
        "optimizer": optimizer,
        "model": model,
        "ema": {"decay": 0.999999, "num_updates": 9, "shadow_params": list(tensors.values())},
        "step": 600_000,
    }


def _reconstruct_persistent_obj(meta):
    raise AssertionError("an EDM pickle was unpickled by running its code")


_reconstruct_persistent_obj.__module__ = "torch_utils.persistence"


class Stored(nn.Module):
    """A module that pickles as EDM's do.

    A call to _reconstruct_persistent_obj with its class name, its source and its __dict__.
    """

    def __init__(self, class_name: str, **attributes):
        super().__init__()
        self.class_name = class_name
        vars(self).update(attributes)

    def __reduce__(self):
        state = {name: value for name, value in vars(self).items() if name != "class_name"}
        meta = {
            "type": "class",
            "version": 6,
            "module_src": "raise SystemExit",
            "class_name": self.class_name,
            "state": state,
        }
        return _reconstruct_persistent_obj, (meta,), None


def edm_network(kind: str, tensors: dict[str, Tensor], buffers=(), **init_kwargs) -> Stored:
    """EDMPrecond around the U-Net with these tensors (names without "model."), its modules nested by name."""
    unet = Stored(kind, label_dropout=0, _init_args=(), _init_kwargs={"skip_scale": np.sqrt(0.5)})
    for full, tensor in tensors.items():
        *parents, leaf = full.split(".")
        module = unet
        for depth, name in enumerate(parents):
            if name not in module._modules:
                plain = name in ("enc", "dec")
                module.add_module(
                    name,
                    nn.ModuleDict()
                    if plain
                    else Stored(
                        "UNetBlock" if depth < len(parents) - 1 else "Conv2d", skip_scale=np.sqrt(0.5)
                    ),
                )
            module = module._modules[name]
        module.register_parameter(leaf, nn.Parameter(tensor))
        module.register_buffer("resample_filter", None)
    for full, shape in buffers:
        *parents, leaf = full.split(".")
        module = unet
        for name in parents:
            if name not in module._modules:  # a resampled skip without weights of its own
                module.add_module(name, Stored("Conv2d", weight=None, bias=None))
            module = module._modules[name]
        module.register_buffer(leaf, torch.full(shape, 0.25))
    top = Stored(
        "EDMPrecond",
        label_dim=0,
        use_fp16=True,
        sigma_min=0,
        sigma_max=float("inf"),
        sigma_data=0.5,
        _init_args=(),
        _init_kwargs=init_kwargs,
    )
    top.add_module("model", unet)
    return top


def write_pickle(path, content, protocol: int = 4):
    """Pickle with EDM's module present under its name while writing only."""
    persistence = ModuleType("torch_utils.persistence")
    persistence._reconstruct_persistent_obj = _reconstruct_persistent_obj
    with mock.patch.dict(
        sys.modules,
        {"torch_utils": SimpleNamespace(persistence=persistence), "torch_utils.persistence": persistence},
    ):
        path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


class RunsCode:
    """Pickles as a call to a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call
