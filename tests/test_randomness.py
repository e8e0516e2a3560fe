"""Draws of a step: parts of the batch are what the whole batch is, in order, and leave the generator in the
same state.
"""

import pytest
import torch

from traflow_lib.files.processes import mean_over_processes, processes
from traflow_lib.randomness import Draws


def seeded(index=0, of=1):
    return Draws(torch.Generator().manual_seed(3), index, of)


DRAWS = {
    "uniform": (lambda draws, n: draws.uniform(n), 0),
    "integers": (lambda draws, n: draws.integers(2, 9, n), 0),
    "normal": (lambda draws, n: draws.normal(n, (2, 3)), 0),
    "normal_like": (lambda draws, n: draws.normal_like(torch.zeros(n, 4, dtype=torch.float64)), 0),
    "columns": (lambda draws, n: draws.take(lambda m, g: torch.rand(3, m, generator=g), n, dim=1), 1),
}


@pytest.mark.parametrize("of", [2, 3, 4])
@pytest.mark.parametrize("make, dim", DRAWS.values(), ids=DRAWS)
def test_parts_interleave_to_the_whole_and_leave_one_state(make, dim, of):
    whole, *parts = (seeded(), *(seeded(index, of) for index in range(of)))
    found = [make(part, 12 // of) for part in parts]
    assert torch.equal(torch.stack(found, dim + 1).flatten(dim, dim + 1), make(whole, 12))
    after = whole.generator.get_state()
    assert all(torch.equal(part.generator.get_state(), after) for part in parts)
    assert [part.local(12) for part in parts] == [12 // of] * of


def test_first_share_of_every_part_is_the_first_share_of_the_whole():
    """So a method that treats the first quarter of its batch differently treats the same samples so, however
    the batch is split.
    """
    parts = [seeded(index, 4).uniform(4)[:1] for index in range(4)]
    assert torch.equal(torch.cat(parts), seeded().uniform(16)[:4])


def test_nothing_else_moves_a_generator_of_its_own_and_without_one_torchs_own_is_taken():
    draws = Draws.seeded(3)
    torch.nn.functional.dropout(torch.ones(100))
    assert torch.equal(draws.uniform(5), seeded().uniform(5))
    torch.manual_seed(3)
    assert torch.equal(Draws().uniform(5), seeded().uniform(5))


def test_numbers_follow_the_dtype_of_what_they_are_like():
    assert seeded().normal_like(torch.zeros(2, 3, dtype=torch.float64)).dtype == torch.float64


def test_one_process_is_the_mean_of_all():
    assert processes().num_processes == 1
    assert torch.equal(mean_over_processes(torch.ones(2)), torch.ones(2))
