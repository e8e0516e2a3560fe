"""A target time s for a network that knows only t, without touching its code: its student."""

import copy
from typing import Any

from torch import Tensor, nn

from ..flow import per_sample
from .mlp import time_features

FREQUENCIES = 4
MOST = 8  # layers that a message names
WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class _Shift:
    """Adds a vector a sample to a layer's output; no closure, so that the network can be copied."""

    def __init__(self, name: str, channels_last: bool):
        self.name, self.channels_last = name, channels_last
        self.value: Tensor | None = None
        self.inside, self.runs = False, 0

    def __call__(self, layer: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        if not self.inside:
            # as in activation checkpointing, which would silently compute it again without s
            raise RuntimeError(f"layer '{self.name}' takes s, but ran outside the call that gives s")
        self.runs += 1
        if self.value is None:
            return output
        batch, width = self.value.shape
        ones = [1] * (output.ndim - 2)
        shape = (batch, *ones, width) if self.channels_last else (batch, width, *ones)
        if output.shape[0] != batch or output.shape[-1 if self.channels_last else 1] != width:
            raise ValueError(
                f"layer '{self.name}' gives {tuple(output.shape)}, to which s, {(batch, width)}, cannot be "
                "added: name another layer"
            )
        return output + self.value.reshape(shape)


class TargetTime(nn.Module):
    """F(x, t, s), the average velocity over [s, t], from a network v(x, t); made by with_target_time."""

    net: Any

    def __init__(self, net: nn.Module, layer: str, outlet: str | None = None):
        super().__init__()
        self.net, self.outlet = net, outlet
        self.classes = getattr(net, "classes", 0)  # how many a label may name
        place = self.net.get_submodule(layer)
        weighted = [one for one in place.modules() if isinstance(one, WEIGHTED)]
        if not weighted:
            raise ValueError(
                f"layer '{layer}' has no linear layer or convolution that says how wide its output is; "
                f"{_others(net)}"
            )
        weight = weighted[-1].weight
        width = len(weight)
        self.s_embed = nn.Sequential(
            nn.Linear(2 * FREQUENCIES + 1, width), nn.SiLU(), nn.Linear(width, width, bias=False)
        ).to(weight)
        nn.init.zeros_([*self.s_embed.parameters()][-1])
        self.shift = _Shift(layer, channels_last=isinstance(weighted[-1], nn.Linear))
        place.register_forward_hook(self.shift)

    def extra_repr(self) -> str:
        """The layers that were named: they decide the student, so what knows it by its repr must see them."""
        return f"layer='{self.shift.name}', last_layer={self.outlet!r}"

    @property
    def last_layer(self) -> nn.Parameter:
        """The weight at which adaptive loss weights compare gradients; ValueError where none was named."""
        if self.outlet is not None:
            return self.net.get_submodule(self.outlet).weight
        if hasattr(self.net, "last_layer"):
            return self.net.last_layer
        raise ValueError(
            "this method weighs its losses by gradients at the network's last layer, and none is named: call "
            "with_target_time(net, ..., last_layer='...'), or --last-layer NAME on the command line"
        )

    def forward(
        self, x: Tensor, t: float | Tensor, s: float | Tensor | None = None, label: Tensor | None = None
    ) -> Tensor:
        """x [B, ...]; t and s scalars or [B]; label int64 [B] -> [B, ...]; v(x, t) without s."""
        shift, classes = self.shift, {} if label is None else {"label": label}
        if s is not None:
            features = time_features(per_sample(s, x), FREQUENCIES)
            shift.value = self.s_embed(features.to(next(self.s_embed.parameters()).dtype))
        shift.inside, shift.runs = True, 0
        try:
            out = self.net(x, per_sample(t, x), **classes)
        finally:
            shift.inside, shift.value = False, None
        if shift.runs != 1:
            raise ValueError(
                f"layer '{shift.name}' ran {shift.runs} times in one call, but s must enter once; "
                f"{_others(self.net)}"
            )
        if not isinstance(out, Tensor):
            raise ValueError(
                f"{type(self.net).__name__} gives {type(out).__name__}, no tensor: wrap it by as_velocity"
            )
        return out


def with_target_time(
    net: nn.Module, time_embedding: str = "time_embed", last_layer: str | None = None
) -> TargetTime:
    """A copy of the network v(x, t) that takes a target time s as well: the student F(x, t, s) of a teacher.

    An embedding of s, zero at the start, is added to what the named layer gives, so that the student begins
    as its teacher for every s. A network without a layer for its time takes s where it takes x: name its
    first linear layer or convolution, whose output is then shifted channel by channel.

    >>> import torch
    >>> from traflow_lib.jump import JumpMap
    >>> class Theirs(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.time_embed, self.out = torch.nn.Linear(1, 8), torch.nn.Linear(10, 2)
    ...     def forward(self, x, t):
    ...         return self.out(torch.cat([x, self.time_embed(t[:, None]).tanh()], dim=1))
    >>> teacher, x = Theirs(), torch.randn(4, 2)
    >>> student = with_target_time(teacher, "time_embed", last_layer="out")
    >>> torch.equal(student(x, 0.9, 0.3), teacher(x, torch.full((4,), 0.9)))
    True
    >>> images = JumpMap(student).sample(x, steps=2)

    Args:
        net: called as net(x [B, ...], t [B]), with label= if it has classes; others by as_velocity first.
        time_embedding: name of a layer that runs once a call, as in named_modules(), or the end of a name
            that no other layer has.
        last_layer: name of the last layer with a weight, for methods that weigh losses by gradients there
            (CTM, clipped weights).

    Raises:
        ValueError: no layer has this name, or more than one; or it cannot take s, or has no weight.
    """
    if not isinstance(net, nn.Module):
        raise ValueError(f"with_target_time needs a torch module, got {type(net).__name__}")
    outlet = None if last_layer is None else _layer(net, last_layer, last=True)
    if outlet and getattr(net.get_submodule(outlet), "weight", None) is None:
        raise ValueError(f"last_layer must be a layer with a weight; '{last_layer}' has none of its own")
    student = TargetTime(copy.deepcopy(net), _layer(net, time_embedding), outlet)
    if not any(parameter.requires_grad for parameter in net.parameters()):
        student.requires_grad_(True)  # the teacher was frozen as a whole; its student is to learn
    return student


def _layer(net: nn.Module, name: str, last: bool = False) -> str:
    """The full name of the layer called `name`, or of the only one whose name ends so."""
    names = [full for full, _ in net.named_modules() if full]
    found = [name] if name in names else [full for full in names if full.endswith(f".{name}")]
    if len(found) != 1:
        what = f"the layers {', '.join(found)}" if found else "no layer"
        how, others = "with_target_time(teacher, NAME), --layer NAME", _others(net)
        if last:
            how = "with_target_time(..., last_layer=NAME), --last-layer NAME"
            weighted = [full for full, one in net.named_modules() if isinstance(one, WEIGHTED)]
            others = f"the last with weights are {', '.join(weighted[-MOST:]) or 'none'}"
        raise ValueError(f"{type(net).__name__} has {what} named '{name}'; give another ({how}): {others}")
    return found[0]


def _others(net: nn.Module) -> str:
    """Layers that may take s: those named after time or an embedding, else the first with weights."""
    layers = [(name, layer) for name, layer in net.named_modules() if name]
    weighted = [name for name, layer in layers if any(isinstance(one, WEIGHTED) for one in layer.modules())]
    timed = [name for name in weighted if any(part in name.lower() for part in ("time", "emb"))]
    named = "named after time or an embedding are" if timed else "the first with weights are"
    return f"{named} {', '.join((timed or weighted)[:MOST]) or 'none'}"
