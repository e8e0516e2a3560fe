"""Checkpoints of the releases, turned into networks of this kit: RectifiedFlow's .pth and EDM's .pkl.

A reader gives (config, tensors, source): the `net` block, the weights under our names, and where they come
from. Formats: the releases of Liu et al. 2023 (arXiv 2209.03003) and Karras et al. 2022 (arXiv 2206.00364).
"""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from .. import nets
from ..files import inert_pickle
from ..nets.ddpmpp import Attention, DDPMpp

# a SongUNet block's parts under DDPM++'s names; attention is a module of its own there
RESIDUAL = {
    "GroupNorm_0": "norm0", "Conv_0": "conv0", "Dense_0": "affine",
    "GroupNorm_1": "norm1", "Conv_1": "conv1", "Conv_2": "skip",
}  # fmt: skip
ATTENTION = {"GroupNorm_0": "norm2", "NIN_0": "qkv", "NIN_1": "qkv", "NIN_2": "qkv", "NIN_3": "proj"}


def rectified_flow(path: Path) -> tuple[dict, dict[str, Tensor], dict]:
    """RectifiedFlow's {"model", "ema", "step", ...}: a DDPM++ with the EMA weights.

    Their time is 1 - t and their velocity -v: the network reads its time backwards, and its last layer has
    the other sign.
    """
    content = inert_pickle.read_torch(path)
    if isinstance(content, dict) and "net_model" in content:
        raise ValueError(
            f"{path.name} is a TorchCFM checkpoint: its network (guided-diffusion's UNetModel) is not one of "
            "this kit"
        )
    try:
        model = {name.removeprefix("module."): tensor for name, tensor in content["model"].items()}
        shadow = [tensor.float() for tensor in content["ema"]["shadow_params"]]
        decay, step = content["ema"].get("decay"), int(content["step"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path.name} is not a RectifiedFlow checkpoint with model, EMA and step "
            f"({type(error).__name__}: {error})"
        ) from None
    model.pop("sigmas", None)  # noise levels, for the network's other uses
    config, net = _blueprint(_ddpmpp_config, model, path.name)
    shapes = {name: value.shape for name, value in net.named_parameters()}
    nets.check_exactly(shapes, model, path.name)
    if len(shadow) != len(shapes):
        raise ValueError(
            f"{path.name} does not fit the network: its EMA list (shadow_params) has {len(shadow)} tensors "
            f"instead of {len(shapes)}"
        )
    tensors = dict(zip(shapes, shadow))
    nets.check_exactly(shapes, tensors, f"{path.name}, EMA list,")
    for name in list(shapes)[-2:]:  # weight and bias of the last layer
        tensors[name] = -tensors[name]
    source = {"format": "RectifiedFlow", "file": path.name, "weights": "EMA", "ema_decay": decay}
    return config, tensors, source | {"step": step}


def edm(path: Path) -> tuple[dict, dict[str, Tensor], dict]:
    """EDM's {"ema": network, ...}: a SongUNet (as a DDPM++) or DhariwalUNet (ADM) in its preconditioning."""
    content = inert_pickle.read(path)
    try:
        denoiser = content["ema"]
        inner, sigma_data = denoiser.state["_modules"]["model"], float(denoiser.state.get("sigma_data", 0.5))
        dropout = float(denoiser.state.get("_init_kwargs", {}).get("dropout", 0.1))
        kinds = (denoiser.name, inner.name)
        tensors = _tensors(inner)
    except (KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise ValueError(
            f"{path.name} is not an EDM checkpoint: no network under 'ema' ({type(error).__name__}: {error})"
        ) from None
    filters = [tensors.pop(name) for name in list(tensors) if name.endswith("resample_filter")]
    if kinds not in UNETS or any(f.shape != (1, 1, 2, 2) or not (f == 0.25).all() for f in filters):
        raise ValueError(
            f"{path.name} holds a {kinds[1]} in {kinds[0]}: only EDMPrecond around SongUNet (DDPM++) or "
            "DhariwalUNet, 2x2 resampling, is read"
        )
    tensors.pop("map_augment.weight", None)  # reads augmentation labels, which are zero when sampling
    config, tensors = UNETS[kinds](tensors, path.name)
    config = {"kind": "edm", "net": config | {"dropout": dropout}, "sigma_data": sigma_data}
    source = {"format": "EDM", "file": path.name, "weights": "EMA", "network": inner.name}
    return config, {f"net.{name}": tensor for name, tensor in tensors.items()}, source


def _ddpmpp_config(tensors: dict[str, Tensor]) -> dict:
    """The DDPM++ with these tensors; it attends where maps are 16 wide, which tells the images' size."""
    parts: dict[int, set] = {}
    for name in tensors:
        if found := re.fullmatch(r"all_modules\.(\d+)\.(\w+)\.\w+", name):
            parts.setdefault(int(found[1]), set()).add(found[2])
    residual = [i for i in sorted(parts) if "NIN_0" not in parts[i]]
    shapes = {i: tensors[f"all_modules.{i}.Conv_0.weight"].shape for i in residual}
    # only a block that resizes has a third convolution although it keeps its channels
    resizing = [i for i, shape in shapes.items() if shape[0] == shape[1] and "Conv_2" in parts[i]]
    levels, width = len(resizing) // 2 + 1, tensors["all_modules.0.weight"].shape[1]
    firsts = [3, *(i + 1 for i in resizing[: levels - 1])]
    attended = [level for level, i in enumerate(firsts) if "NIN_0" in parts.get(i + 1, ())]
    size = 16 << attended[0] if attended else 32
    return {
        "kind": "ddpmpp", "size": size, "channels": tensors["all_modules.2.weight"].shape[1], "width": width,
        "multipliers": [shapes[i][0] // width for i in firsts],
        "blocks": (len(shapes) - 3 * levels) // (2 * levels),
        "attention": [size >> level for level in attended], "clock": "1-t",
    }  # fmt: skip


def _song(tensors: dict[str, Tensor], source: str) -> tuple[dict, dict[str, Tensor]]:
    """SongUNet's tensors as DDPM++'s, where q, k and v are apart and matrices [in, out]."""
    if "map_label.weight" in tensors:
        raise ValueError(
            f"{source} holds a class-conditional SongUNet; of EDM's networks with classes only the "
            "DhariwalUNet is read"
        )
    config, net = _blueprint(partial(_edm_config, {"kind": "ddpmpp", "clock": "label"}), tensors, source)
    assert isinstance(net, DDPMpp)
    ours: dict[str, list[str]] = {}
    for i, (name, module) in enumerate(zip(net.names, net.all_modules)):
        called = ATTENTION if isinstance(module, Attention) else RESIDUAL
        for key in module.state_dict():
            *part, leaf = key.split(".")
            theirs = ".".join(
                [name, *(called[p] for p in part), {"W": "weight", "b": "bias"}.get(leaf, leaf)]
            )
            ours.setdefault(theirs, []).append(f"all_modules.{i}.{key}")
    own, shapes = net.state_dict(), {}
    for theirs, names in ours.items():
        first, *rest = own[names[0]].T.shape + (1, 1) if names[0].endswith(".W") else own[names[0]].shape
        shapes[theirs] = torch.Size([len(names) * first, *rest])
    nets.check_exactly(shapes, tensors, source)
    converted = {}
    for theirs, names in ours.items():
        rows = tensors[theirs].unflatten(0, (-1, len(names)))  # q, k, v, q, k, v, ...
        for name, tensor in zip(names, rows.unbind(1)):
            converted[name] = tensor[:, :, 0, 0].T if name.endswith(".W") else tensor
    return config, converted


def _dhariwal(tensors: dict[str, Tensor], source: str) -> tuple[dict, dict[str, Tensor]]:
    """DhariwalUNet's tensors, whose names ADM shares."""
    config, net = _blueprint(partial(_edm_config, {"kind": "adm", "classes": 0}), tensors, source)
    nets.check_exactly({name: value.shape for name, value in net.state_dict().items()}, tensors, source)
    return config, tensors


UNETS = {("EDMPrecond", "SongUNet"): _song, ("EDMPrecond", "DhariwalUNet"): _dhariwal}


def _edm_config(kind: dict, tensors: dict[str, Tensor]) -> dict:
    """The `net` block of this kind, its sizes read off the names enc.{R}x{R}_block{i} and the shapes."""
    levels = {name: int(found[1]) for name in tensors if (found := re.match(r"enc\.(\d+)x", name))}
    sizes = sorted(set(levels.values()), reverse=True)
    if "map_label.weight" in tensors:
        kind = kind | {"classes": tensors["map_label.weight"].shape[1]}
    size, width = sizes[0], tensors["map_layer0.weight"].shape[1]
    return kind | {
        "size": size, "channels": tensors[f"enc.{size}x{size}_conv.weight"].shape[1], "width": width,
        "multipliers": [tensors[f"enc.{r}x{r}_block0.conv0.weight"].shape[0] // width for r in sizes],
        "blocks": len({name.split(".")[1] for name in levels if name.startswith(f"enc.{size}x{size}_block")}),
        "attention": [r for r in sizes if f"enc.{r}x{r}_block0.qkv.weight" in tensors],
    }  # fmt: skip


def _tensors(module, prefix: str = "") -> dict[str, Tensor]:
    """Parameters and buffers of a module that was read as a record, in float32, by their full names."""
    found: dict[str, Tensor] = {}
    own = module.state["_parameters"] | module.state["_buffers"]
    found |= {prefix + name: tensor.float() for name, tensor in own.items() if tensor is not None}
    for name, child in module.state["_modules"].items():
        found |= _tensors(child, f"{prefix}{name}.") if child is not None else {}
    return found


def _blueprint(config_of: Callable, tensors: dict[str, Tensor], source: str) -> tuple[dict, nn.Module]:
    """The configuration that config_of reads off the tensors, and its network: names and shapes only."""
    try:
        config = config_of(tensors)
        with torch.device("meta"):
            return config, nets.build(config)
    except KeyError as error:
        raise ValueError(f"{source} does not fit the network: {error.args[0]} is missing") from None
    except (AttributeError, IndexError, RuntimeError, ValueError, ZeroDivisionError):
        raise ValueError(
            f"{source} does not fit the network: its tensors are not laid out as those of the release"
        ) from None


READERS = {".pth": rectified_flow, ".pt": rectified_flow, ".pkl": edm}
