"""Checkpoints in the releases' formats, with random weights that depend on the tensor's name alone.

EDM's two U-Nets are written out from their description: layout() names and shapes, network() values.
"""

import gzip
import json
import pickle
import sys
import zlib
from collections import OrderedDict
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def schemas() -> dict[str, dict]:
    """Names and shapes of the tensors in the releases' checkpoints, by release."""
    return json.loads(gzip.decompress(Path(__file__).with_name("schemas.json.gz").read_bytes()))


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


def layout(kind, size, width, multipliers, blocks, attention, classes=0, augment=0, channels=3):
    """[[name, shape], ...] in the order of the release."""
    song, embed, rows = kind == "SongUNet", 4 * width, []

    def add(name, *shape, bias=True):
        rows.append([f"{name}.weight", list(shape)])
        if bias:
            rows.append([f"{name}.bias", [shape[0]]])

    def block(name, inside, out, resize=False, attend=False):
        add(f"{name}.norm0", inside)
        add(f"{name}.conv0", out, inside, 3, 3)
        add(f"{name}.affine", out if song else 2 * out, embed)
        add(f"{name}.norm1", out)
        add(f"{name}.conv1", out, out, 3, 3)
        if inside != out or (resize and song):
            add(f"{name}.skip", out, inside, 1, 1)
        if attend:
            add(f"{name}.norm2", out)
            add(f"{name}.qkv", 3 * out, out, 1, 1)
            add(f"{name}.proj", out, out, 1, 1)

    if augment:
        add("map_augment", width, augment, bias=False)
    add("map_layer0", embed, width)
    add("map_layer1", embed, embed)
    if classes:
        add("map_label", embed, classes, bias=False)
    levels = [
        (f"{size >> i}x{size >> i}", width * m, (size >> i) in attention) for i, m in enumerate(multipliers)
    ]
    now = width if song else levels[0][1]
    add(f"enc.{levels[0][0]}_conv", now, channels, 3, 3)
    skips = [now]
    for i, (res, out, attend) in enumerate(levels):
        if i:
            block(f"enc.{res}_down", now, now, resize=True)
            skips.append(now)
        for j in range(blocks):
            block(f"enc.{res}_block{j}", now, out, attend=attend)
            now = out
            skips.append(now)
    for i, (res, out, attend) in reversed(list(enumerate(levels))):
        if i == len(levels) - 1:
            block(f"dec.{res}_in0", now, now, attend=True)
            block(f"dec.{res}_in1", now, now)
        else:
            block(f"dec.{res}_up", now, now, resize=True)
        for j in range(blocks + 1):
            block(f"dec.{res}_block{j}", now + skips.pop(), out, attend=attend and (j == blocks or not song))
            now = out
    last = (
        (f"dec.{levels[0][0]}_aux_norm", f"dec.{levels[0][0]}_aux_conv") if song else ("out_norm", "out_conv")
    )
    add(last[0], now)
    add(last[1], channels, now, 3, 3)
    return rows


def network(kind, tensors, x, noise_label, label=None):
    """F(x, noise_label) with each block recomputed from its own tensors."""
    song, eps = kind == "SongUNet", 1e-6 if kind == "SongUNet" else 1e-5

    def conv(h, name):
        weight = tensors[f"{name}.weight"]
        return F.conv2d(h, weight, tensors[f"{name}.bias"], padding=weight.shape[-1] // 2)

    def norm(h, name):
        return F.group_norm(
            h, min(32, h.shape[1] // 4), tensors[f"{name}.weight"], tensors[f"{name}.bias"], eps
        )

    def linear(h, name):
        return F.linear(h, tensors[f"{name}.weight"], tensors[f"{name}.bias"])

    def resize(h, name):
        if name.endswith("_down"):
            return (h[..., ::2, ::2] + h[..., 1::2, ::2] + h[..., ::2, 1::2] + h[..., 1::2, 1::2]) / 4
        return h.repeat_interleave(2, 2).repeat_interleave(2, 3) if name.endswith("_up") else h

    def attend(h, name):
        b, c, height, wide = h.shape
        heads = 1 if song else c // 64
        rows = conv(norm(h, f"{name}.norm2"), f"{name}.qkv").reshape(b, heads, c // heads * 3, height * wide)
        q, k, v = rows[:, :, 0::3], rows[:, :, 1::3], rows[:, :, 2::3]
        weights = torch.einsum("bhcq,bhck->bhqk", q, k).div((c // heads) ** 0.5).softmax(-1)
        return conv(torch.einsum("bhqk,bhck->bhcq", weights, v).reshape(h.shape), f"{name}.proj")

    def block(x, name):
        h, x = conv(resize(F.silu(norm(x, f"{name}.norm0")), name), f"{name}.conv0"), resize(x, name)
        change = linear(emb, f"{name}.affine")[:, :, None, None]
        if song:
            h = F.silu(norm(h + change, f"{name}.norm1"))
        else:
            scale, shift = change.chunk(2, 1)
            h = F.silu(shift + norm(h, f"{name}.norm1") * (1 + scale))
        x = conv(x, f"{name}.skip") if f"{name}.skip.weight" in tensors else x
        scale = 0.5**0.5 if song else 1.0
        x = (x + conv(h, f"{name}.conv1")) * scale
        return (x + attend(x, name)) * scale if f"{name}.qkv.weight" in tensors else x

    half = tensors["map_layer0.weight"].shape[1] // 2
    angles = noise_label[:, None] * torch.tensor(
        [10000 ** (-i / (half - 1 if song else half)) for i in range(half)]
    ).to(x)
    emb = torch.cat([angles.sin(), angles.cos()] if song else [angles.cos(), angles.sin()], 1)
    emb = linear(F.silu(linear(emb, "map_layer0")), "map_layer1")
    emb = F.silu(emb if label is None else emb + tensors["map_label.weight"][:, label].T)
    stem, *names = dict.fromkeys(
        ".".join(name.split(".")[:2]) for name in tensors if name[:4] in ("enc.", "dec.")
    )
    h = conv(x, stem)
    skips = [h]
    for name in (n for n in names if "aux" not in n):
        h = block(torch.cat([h, skips.pop()], 1) if name[:3] == "dec" and "_block" in name else h, name)
        if name[:3] == "enc":
            skips.append(h)
    last = [n for n in names if "aux" in n] or ["out_norm", "out_conv"]
    return conv(F.silu(norm(h, last[0])), last[1])
