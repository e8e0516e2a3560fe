"""Random draws of a training step, the same however its batch is split over processes and passes."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor


def to_device(x: Tensor, device: torch.device | str) -> Tensor:
    """x there; a copy to a GPU goes by pinned memory, so that the host queues more work meanwhile."""
    if torch.device(device).type == "cuda" and x.device.type == "cpu":
        return x.pin_memory().to(device, non_blocking=True)
    return x.to(device)


def to_like(x: Tensor, like: Tensor) -> Tensor:
    """x in the dtype and on the device of `like`."""
    return to_device(x, like.device).to(like.dtype)


class Draws:
    """One part's share of every draw; nothing else (dropout, say) takes numbers from the generator.

    Every part draws for the whole batch from the same state of the generator and keeps every `of`-th sample,
    so that one process and many see the same samples, and the first share of every part is the first share of
    the whole. generator: of the CPU, torch's own if None; index, of: this part of so many.
    """

    def __init__(self, generator: Generator | None = None, index: int = 0, of: int = 1):
        self.generator, self.index, self.of = generator or torch.default_generator, index, of

    @classmethod
    def seeded(cls, seed: int) -> "Draws":
        """Draws of a whole batch from a generator of their own."""
        return cls(Generator().manual_seed(seed))

    def local(self, n: int) -> int:
        """Samples of this part of a batch of n."""
        return n // self.of

    def take(self, make: Callable[[int, Generator], Tensor], n: int, dim: int = 0) -> Tensor:
        """This part's n samples, counted by dimension dim, of make(samples in the whole batch, generator)."""
        whole = make(n * self.of, self.generator)
        return whole if self.of == 1 else whole.movedim(dim, 0)[self.index :: self.of].movedim(0, dim)

    def uniform(self, n: int) -> Tensor:
        """n numbers from [0, 1)."""
        return self.take(lambda n, generator: torch.rand(n, generator=generator), n)

    def integers(self, low: int, high: int, n: int) -> Tensor:
        """n integers from low to high - 1."""
        return self.take(lambda n, generator: torch.randint(low, high, (n,), generator=generator), n)

    def normal(self, n: int, shape: tuple, like: Tensor | None = None) -> Tensor:
        """Standard normal [n, *shape], in the dtype and on the device of `like`."""
        dtype = torch.float32 if like is None else like.dtype
        noise = self.take(lambda n, generator: torch.randn(n, *shape, dtype=dtype, generator=generator), n)
        return noise if like is None else to_device(noise, like.device)

    def normal_like(self, x: Tensor) -> Tensor:
        """Standard normal in the shape, in the dtype and on the device of x [B, ...]."""
        return self.normal(len(x), x.shape[1:], x)
