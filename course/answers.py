"""For writers of exercises: checks of tensors, numbers and rulings, and cells with mistakes in them."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .exercise import Wrong, close, number


def tensor(answer: Any, shape: Sequence[int]) -> Tensor:
    """The answer as a tensor of this shape; Wrong if it is none. () asks for one number."""
    if not shape and isinstance(answer, (int, float)):
        answer = torch.tensor(answer, dtype=torch.float64)
    if not isinstance(answer, Tensor):
        raise Wrong(f"A tensor is asked for; this is {type(answer).__name__}.")
    if tuple(answer.shape) != tuple(shape):
        asked = f"A tensor of shape {list(shape)}" if shape else "One number, a tensor without dimensions,"
        raise Wrong(f"{asked} is asked for; this has the shape {list(answer.shape)}.")
    return answer.detach()


def same(found: Tensor, right: Tensor, within: float = 1e-4) -> bool:
    """Whether two tensors of one shape agree, by the largest entry of the right one."""
    gap = (found.double() - right.double()).abs().max()
    return bool(gap <= within * max(right.abs().max().item(), 1e-6))


def no_known_mistake(answer: Any, right: Tensor, known: dict[str, Tensor], otherwise: str) -> None:
    """Check a tensor: Wrong with the reason if it is a known mistake's value, else with `otherwise`."""
    found = tensor(answer, right.shape)
    if same(found, right):
        return
    for why, value in known.items():
        if same(found, value):
            raise Wrong(why)
    raise Wrong(otherwise)


def numbers(answer: Any, n: int) -> list[float]:
    """The answer as n numbers; Wrong if they are not so many."""
    many = isinstance(answer, (tuple, list)) or (isinstance(answer, Tensor) and answer.ndim > 0)
    if not many or len(answer) != n:
        raise Wrong(f"{n} numbers are asked for, with commas between them.")
    return [number(part) for part in answer]


def all_close(found: Sequence[float], right: Sequence[float], within: float = 1e-3) -> bool:
    """Whether each of several numbers is close to the right one."""
    return all(close(one, other, within) for one, other in zip(found, right, strict=True))


def by_a_known_rule(found: list, cases: list, right: Callable, known: dict[str, Callable], otherwise: str):
    """Check rulings of several cases: Wrong, with the reason if a known wrong rule gives all of them."""
    if found == [right(case) for case in cases]:
        return
    for why, rule in known.items():
        if found == [rule(case) for case in cases]:
            raise Wrong(why)
    raise Wrong(otherwise)


def completed(starter: str, wrong: dict[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Mistakes, by name: the starter with an expression in its open place, and the words of the message."""
    return {name: (starter.replace("...", expression), words) for name, (expression, words) in wrong.items()}


def edited(solution: str, wrong: dict[str, tuple[str, str, str]]) -> dict[str, tuple[str, str]]:
    """Mistakes, by name: the solution with one part replaced by another, and the words of the message."""
    return {name: (solution.replace(part, other), words) for name, (part, other, words) in wrong.items()}
