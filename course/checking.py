"""How the answers to exercises are checked.

A check passes a right answer. It is Wrong with the reason if the answer is what a known mistake gives
(`known`: reason -> what it gives), and otherwise says what can be said.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .exercise import Unanswered, Wrong


def asked(function: Callable, *args: Any) -> Any:
    """What a student's function returns; Unanswered if its body is still `...`, Wrong if it gives nothing."""
    if not callable(function):
        raise Wrong(f"A function is asked for; this is {type(function).__name__}.")
    found = function(*args)
    if found is ...:
        raise Unanswered
    if found is None:
        raise Wrong("The function returns nothing; does it end in `return`?")
    return found


def number(answer: Any) -> float:
    """The answer as a float; Wrong if it is no single, finite number."""
    try:
        found = float(answer)
    except (TypeError, ValueError, RuntimeError) as error:
        shape = f" of shape {list(answer.shape)}" if isinstance(answer, Tensor) else ""
        raise Wrong(f"One number is asked for; this is {type(answer).__name__}{shape}.") from error
    if not math.isfinite(found):
        raise Wrong(f"A number is asked for; this is {found}.")
    return found


def numbers(answer: Any, n: int) -> list[float]:
    """The answer as n numbers; Wrong if they are not so many."""
    many = isinstance(answer, (tuple, list)) or (isinstance(answer, Tensor) and answer.ndim > 0)
    if not many or len(answer) != n:
        raise Wrong(f"{n} numbers are asked for, with commas between them.")
    return [number(part) for part in answer]


def tensor(answer: Any, shape: Sequence[int]) -> Tensor:
    """The answer as a tensor of this shape, with finite values; Wrong if it is none. (): one number."""
    if not shape and isinstance(answer, (int, float)):
        answer = torch.tensor(answer, dtype=torch.float64)
    wanted = f"A tensor of shape {list(shape)}" if shape else "One number, a tensor without dimensions,"
    if not isinstance(answer, Tensor):
        raise Wrong(f"{wanted} is asked for; this is {type(answer).__name__}.")
    if answer.shape != torch.Size(shape):
        raise Wrong(f"{wanted} is asked for; this one has the shape {list(answer.shape)}.")
    if not answer.isfinite().all():
        raise Wrong("Some of its numbers are not finite: somewhere it divides by zero, or leaves its range.")
    return answer.detach()


def close(found: float, right: float, within: float = 1e-3) -> bool:
    """Whether two numbers agree to a share `within` of the right one (or absolutely, if that is zero)."""
    return abs(found - right) <= within * (abs(right) or 1.0)


def check_number(answer: Any, right: float, known: dict[str, float], within: float = 1e-3) -> None:
    """Check one number; if no mistake is known for it, it is too large or too small."""
    found = number(answer)
    if close(found, right, within):
        return
    for why, value in known.items():
        if close(found, value, within):
            raise Wrong(why)
    raise Wrong(f"{found:g} is {'too large' if found > right else 'too small'}.")


def check_tensor(
    answer: Any, right: Tensor, known: dict[str, Tensor], otherwise: str = "", within: float = 1e-4
) -> None:
    """Check a tensor: its type, its shape, and its values to `within` of the largest right one."""
    found, scale = tensor(answer, right.shape).double(), max(right.abs().max().item(), 1e-6)

    def off(other: Tensor) -> float:
        return (found - other.double()).abs().max().item() / scale

    if off(right) <= within:
        return
    for why, value in known.items():
        if off(value) <= within:
            raise Wrong(why)
    values = f"The shape is right, the values are not: they are off by up to {off(right) * scale:.3g}."
    raise Wrong(otherwise or values)


def check_equal(found: Any, right: Any, known: dict[str, Any], otherwise: str) -> None:
    """Check what == compares: tuples, sets, lists of verdicts."""
    if found == right:
        return
    for why, value in known.items():
        if found == value:
            raise Wrong(why)
    raise Wrong(otherwise)
