"""How many samples go through a network at once: as many as fit."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from .log import log

T = TypeVar("T")


def chunk(shape: tuple) -> int:
    """Samples to give a network at a time: of images few, as what a layer leaves must fit into caches."""
    return 2500 if len(shape) == 1 else 256


class Chunks:
    """Rows in chunks of `size`, or, once these have not fitted into a GPU's memory, of half as many."""

    def __init__(self, size: int):
        self.size = size

    def of(self, compute: Callable[[int, int], T], start: int, stop: int) -> Iterator[T]:
        """compute(a, b) of one chunk a..b-1 after the other, from row start to stop - 1.

        torch.OutOfMemoryError where not even one row fits.
        """
        while start < stop:
            end = min(start + self.size, stop)
            try:
                found = compute(start, end)
            except torch.OutOfMemoryError:
                if end - start == 1:
                    raise
            else:
                yield found
                start = end
                continue
            # outside the handler, which keeps alive what the failed call had made
            self.size = (end - start + 1) // 2
            give_back(f"{end - start} samples at a time", self.size)


def give_back(what: str, instead: int) -> None:
    """After an OutOfMemoryError: free what is cached, and say what is done instead."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    log.warning(f"{what} do not fit into the GPU's memory; going on with {instead}")
