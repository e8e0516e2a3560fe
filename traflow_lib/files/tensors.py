"""Tensors in a safetensors file that is there whole or not at all, and is known to be what was written."""

import json
from hashlib import sha256
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from .whole import whole

CHECKSUM = "checksum"  # its key in the header


def save_tensors(
    file: str | Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write beside the place and rename; folders are made. The header gets a checksum of all.

    ValueError where a folder has that name, OSError where it cannot be written.
    """
    if (file := Path(file)).is_dir():
        raise ValueError(f"{file} is a folder; name a file")
    # the tensors of a channels-last network are not contiguous
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    facts = {key: value for key, value in (metadata or {}).items() if key != CHECKSUM}
    with whole(file) as part:
        save_file(tensors, part, metadata=facts | {CHECKSUM: json.dumps(_checksum(tensors, facts))})


def load_tensors(file: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file; ValueError names one that is not whole or was changed.

    Files of others have no checksum; of them only the layout is checked.
    """
    facts, _ = _head(file)
    tensors = load_file(file)
    told = facts.pop(CHECKSUM, None)
    if told is not None and told != json.dumps(_checksum(tensors, facts)):
        raise ValueError(f"{file} was damaged after it was written (another checksum); delete or replace it")
    return tensors


def read_facts(file: Path) -> dict[str, str]:
    """What the header says besides the tensors; errors as load_tensors()."""
    return {key: value for key, value in _head(file)[0].items() if key != CHECKSUM}


def read_shapes(file: Path) -> dict[str, torch.Size]:
    """The shapes of the tensors, which are not read; errors as load_tensors()."""
    return _head(file)[1]


def _head(file: Path) -> tuple[dict[str, str], dict[str, torch.Size]]:
    try:
        with safe_open(file, "pt") as content:
            shapes = {name: torch.Size(content.get_slice(name).get_shape()) for name in content.keys()}
            return content.metadata() or {}, shapes
    except FileNotFoundError:
        raise
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{file} is not a whole safetensors file ({error}); delete or replace it") from None


def _checksum(tensors: dict[str, Tensor], facts: dict[str, str]) -> str:
    """Of names, types, shapes and numbers, and of what else the header says."""
    layout = [[name, str(tensors[name].dtype), list(tensors[name].shape)] for name in sorted(tensors)]
    digest = sha256(json.dumps([facts, layout], sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
