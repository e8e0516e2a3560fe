"""Compact students (SlimFlow, Zhu et al. 2024, arXiv 2407.12718) start from a bigger teacher's channels."""

import re

import torch
from torch import Tensor, nn

from .ddpmpp import DDPMpp, ResBlock
from .edm import EDM

# the dimension of a residual block's tensors that counts its input channels
INPUT_DIM = {"GroupNorm_0.weight": 0, "GroupNorm_0.bias": 0, "Conv_0.weight": 1, "Conv_2.weight": 1}


def truncate(student: nn.Module, teacher: nn.Module) -> nn.Module:
    """Give a smaller DDPM++, and return it, the leading channels of a bigger one's blocks; s stays silent.

    Blocks correspond by resolution and position: encoder blocks from the first on; in the decoder the first
    with the first, the others from the last (so that both read the same skip); the middle ones whatever their
    resolution. A decoder block reads [h, skip], and each is cut by itself; a skip connection that the teacher
    passes unchanged is cut from the identity. Of the time embedding the nearest frequencies are taken. A
    student of the teacher's own size gets all of it, as from warm_start(). ValueError, with the student
    unchanged, names the first tensor for which the teacher has too little.
    """
    if isinstance(student, EDM) and isinstance(teacher, EDM):
        truncate(student.net, teacher.net)
        return student
    if not isinstance(student, DDPMpp) or not isinstance(teacher, DDPMpp):
        raise ValueError(
            "a student is cut out of a DDPM++ as a DDPM++, both or none inside an EDM; got "
            f"{type(student).__name__}, {type(teacher).__name__}"
        )
    if student.clock != teacher.clock:
        raise ValueError(
            f'the teacher reads its time as "{teacher.clock}" and the student as "{student.clock}"; give the '
            "student the same clock"
        )
    sources, cut = dict(_layout(teacher)), {}
    for i, (place, (module, carried)) in enumerate(_layout(student)):
        source, source_carried = sources.get(place, (nn.Module(), 0))
        tensors = source.state_dict()
        if isinstance(source, ResBlock) and "Conv_2.weight" not in tensors:  # its skip is the identity
            weight = source.Conv_1.weight
            tensors["Conv_2.weight"] = torch.eye(len(weight)).to(weight)[:, :, None, None]
            tensors["Conv_2.bias"] = torch.zeros(len(weight)).to(weight)
        for key, value in module.state_dict().items():
            kept = [torch.arange(n, device=value.device) for n in value.shape]
            if isinstance(module, ResBlock) and key in INPUT_DIM:
                kept[INPUT_DIM[key]][carried:] += source_carried - carried
            elif (i, key) == (0, "weight"):
                kept[1] = _nearest_frequencies(value.shape[1], teacher.width).to(value.device)
            found = tensors.get(key)
            too_small = found is None or any(k[-1] >= n for k, n in zip(kept, found.shape))
            if too_small or carried > source_carried:
                raise ValueError(
                    f"the student is no part of the teacher, which has too little for all_modules.{i}.{key} "
                    f"{[*value.shape]}"
                )
            for dim, indices in enumerate(kept):
                found = found.index_select(dim, indices.to(found.device))
            cut[f"all_modules.{i}.{key}"] = found
    student.load_state_dict(cut, strict=False)
    return student


def _layout(net: DDPMpp) -> list[tuple]:
    """((kind, place), (module, channels that come from the module before it)) in order of execution."""
    rows, carried = [], 0
    for name, module in zip(net.names, net.all_modules):
        place = re.sub(r"dec\.\d+x\d+_in", "middle", name)
        if found := re.fullmatch(r"(dec.*_block)([1-9]\d*)", place):
            place = f"{found[1]}-{net.blocks - int(found[2])}"
        rows.append(((type(module), place), (module, carried)))
        if isinstance(module, (nn.Conv2d, ResBlock)):
            carried = (module if isinstance(module, nn.Conv2d) else module.Conv_1).out_channels
    return rows


def _nearest_frequencies(width: int, bigger: int) -> Tensor:
    """Columns of an embedding of `bigger` nearest to those of one of `width`: sines, then cosines."""
    sines = torch.linspace(0, bigger // 2 - 1, width // 2).round().long()
    return torch.cat([sines, bigger // 2 + sines])
