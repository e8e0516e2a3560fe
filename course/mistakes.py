"""Checks that recognise known mistakes in tensors and collections, and solutions with a mistake put in."""

from typing import Any

import torch
from torch import Tensor

from .exercise import Wrong


def tensor(found: Any, shape: tuple) -> Tensor:
    """The answer if it is a tensor of this shape; Wrong with what it is if not."""
    if not isinstance(found, Tensor):
        raise Wrong(f"A tensor of shape {list(shape)} is asked for; this is {type(found).__name__}.")
    if found.shape != torch.Size(shape):
        raise Wrong(f"A tensor of shape {list(shape)} is asked for; this one has {list(found.shape)}.")
    return found.detach()


def tensor_is(
    found: Any, right: Tensor, known: dict[str, Tensor], otherwise: str, within: float = 1e-4
) -> None:
    """Check a tensor: Wrong with the reason if it is what a known mistake gives, or else with `otherwise`."""

    def same(other: Tensor) -> bool:
        return torch.allclose(tensor(found, right.shape).double(), other.double(), within, within)

    if same(right):
        return
    for why, value in known.items():
        if same(value):
            raise Wrong(why)
    if not tensor(found, right.shape).isfinite().all():
        raise Wrong("Some of its numbers are not finite: somewhere it divides by zero, or leaves its range.")
    raise Wrong(otherwise)


def is_one_of(found: Any, right: Any, known: dict[str, Any], otherwise: str) -> None:
    """Check what == compares (tuples, sets, lists): the same, with a known mistake's answer as the reason."""
    if found == right:
        return
    for why, value in known.items():
        if found == value:
            raise Wrong(why)
    raise Wrong(otherwise)


def changed(code: str, *edits: tuple[str, str]) -> str:
    """A solution with a mistake: each (old, new) put in; ValueError where the old text is not there."""
    for old, new in edits:
        if old not in code:
            raise ValueError(f"'{old}' is not in this solution")
        code = code.replace(old, new)
    return code
