"""Checks of what comes in: settings, pydantic's complaints, archives, samples that are no numbers."""

import reprlib
from typing import Any
from zipfile import ZipFile

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor


class Block(BaseModel):
    """A block of settings: unknown keys, other types and numbers that are not finite are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def first_fault(error: ValidationError, block: Any) -> tuple[list, Any, str]:
    """The first fault of `block`: the keys that lead to it, the value there, and what is wrong with it.

    pydantic's own path also names the types of a union that it tried; those are no keys.
    """
    fault = error.errors()[0]
    keys, value = [], block
    for key in fault["loc"]:
        in_block = isinstance(value, dict) and key in value
        in_list = isinstance(value, list) and isinstance(key, int)
        if in_block or in_list:
            keys.append(key)
            value = value[key]
        elif fault["type"] == "missing":
            keys.append(key)
            value = None
    message = fault["msg"].removeprefix("Value error, ")
    return keys, value, message[0].lower() + message[1:]


class _Brief(reprlib.Repr):
    def __init__(self):
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = 100
        self.maxlist = self.maxtuple = self.maxdict = 10
        self.maxlevel = 3


brief = _Brief().repr  # of a value in a message: YAML's references can make one of any size

UNPACKED, RATIO = 2**26, 100  # bytes that any archive may unpack to, and how many times its own size


def require_ratio(unpacked: int, packed: int) -> None:
    """ValueError where something packed holds so much that it was made to fill memory or disk."""
    if unpacked > max(UNPACKED, RATIO * packed):
        raise ValueError(f"it unpacks to {unpacked:,} bytes, more than {RATIO} times its own {packed:,}")


def require_unpacked(archive: ZipFile) -> None:
    """The same of a zip."""
    assert archive.fp
    packed = archive.fp.seek(0, 2)
    require_ratio(sum(info.file_size for info in archive.infolist()), packed)


class NotFinite(ValueError):
    """Some samples are NaN or infinite."""


def finite(samples: Tensor) -> Tensor:
    """The samples [N, ...] themselves; NotFinite where some would be measured, or shown, as black."""
    bad = ~samples.reshape(len(samples), -1).isfinite().all(dim=1)
    if bad.any():
        number = int(torch.count_nonzero(bad))
        raise NotFinite(
            f"{number:,} of {len(samples):,} samples are NaN or infinite, so nothing is measured or written; "
            "the network's weights or its training have gone wrong"
        )
    return samples
