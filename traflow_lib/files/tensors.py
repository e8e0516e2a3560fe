"""Tensors in a safetensors file that is there whole or not at all, also when several processes write it."""

import os
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor


def save_tensors(file: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write beside the place and rename; folders are made. ValueError where a folder has that name."""
    if file.is_dir():
        raise ValueError(f"{file} is a folder; name a file")
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(f".part{os.getpid()}")
    # the tensors of a channels-last network are not contiguous
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, part, metadata=metadata)
    part.replace(file)
