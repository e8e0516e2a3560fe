"""Random draws of a training step, the same however its batch is split.

Neither processes nor accumulation steps change them.

Every process draws for the whole batch from the same generator state and keeps every `of`-th sample, so that
one process and many see the same samples, and the first share of every part is the first share of the whole.
Drawing numbers costs far less than a network call.
"""

from collections.abc import Callable
from contextlib import contextmanager

import torch
from torch import Tensor

_part = (0, 1)


@contextmanager
def part(index: int, of: int):
    """Inside, draw() gives part `index` of `of` parts of every draw."""
    global _part
    before, _part = _part, (index, of)
    try:
        yield
    finally:
        _part = before


def local(n: int) -> int:
    """Samples of this part of a batch of n."""
    return n // _part[1]


def draw(make: Callable[[int], Tensor], n: int, dim: int = 0) -> Tensor:
    """This part's n samples of make(number of samples in the whole batch).

    dim: the dimension that counts samples.
    """
    index, of = _part
    whole = make(n * of)
    return whole if of == 1 else whole.movedim(dim, 0)[index::of].movedim(0, dim)


def uniform(n: int) -> Tensor:
    """n numbers from [0, 1)."""
    return draw(torch.rand, n)


def integers(low: int, high: int, n: int) -> Tensor:
    """n integers from low to high - 1."""
    return draw(lambda n: torch.randint(low, high, (n,)), n)


def normal(n: int, shape: tuple, like: Tensor | None = None) -> Tensor:
    """Standard normal [n, *shape], in the dtype and on the device of `like`."""
    dtype = torch.float32 if like is None else like.dtype
    noise = draw(lambda n: torch.randn(n, *shape, dtype=dtype), n)
    return noise if like is None else noise.to(like.device)


def normal_like(x: Tensor) -> Tensor:
    """Standard normal in the shape, in the dtype and on the device of x [B, ...]."""
    return normal(len(x), x.shape[1:], x)
