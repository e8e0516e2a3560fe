"""Draws of a step: parts of the batch are what the whole batch is, in order, and leave the generator in the
same state.
"""

import pytest
import torch

from traflow_lib import randomness
from traflow_lib.files.processes import mean_over_processes, processes


def parts_of(make, of):
    """The parts that `of` processes would draw, each from the same state, and the state they leave."""
    found, states = [], []
    for index in range(of):
        torch.manual_seed(3)
        with randomness.part(index, of):
            found.append(make())
        states.append(torch.get_rng_state())
    assert all(torch.equal(states[0], state) for state in states)
    return found, states[0]


@pytest.mark.parametrize("of", [2, 3, 4])
@pytest.mark.parametrize(
    "make, dim",
    [
        (lambda n: randomness.uniform(n), 0),
        (lambda n: randomness.integers(2, 9, n), 0),
        (lambda n: randomness.normal(n, (2, 3)), 0),
        (lambda n: randomness.normal_like(torch.zeros(n, 4, dtype=torch.float64)), 0),
        (lambda n: randomness.draw(lambda m: torch.rand(3, m), n, dim=1), 1),
    ],
    ids=["uniform", "integers", "normal", "normal_like", "columns"],
)
def test_parts_interleave_to_the_whole(make, dim, of):
    torch.manual_seed(3)
    whole = make(12)
    after = torch.get_rng_state()
    parts, state = parts_of(lambda: make(12 // of), of)
    assert torch.equal(torch.stack(parts, dim + 1).flatten(dim, dim + 1), whole) and torch.equal(state, after)


def test_first_share_of_every_part_is_the_first_share_of_the_whole():
    """So a method that treats the first quarter of its batch differently treats the same samples so, however
    the batch is split.
    """
    torch.manual_seed(3)
    whole = randomness.uniform(16)
    parts, _ = parts_of(lambda: randomness.uniform(4)[:1], 4)
    assert torch.equal(torch.cat(parts), whole[:4])


def test_parts_end_with_their_block():
    with pytest.raises(RuntimeError), randomness.part(1, 2):
        assert randomness.local(10) == 5
        raise RuntimeError
    assert randomness.local(10) == 10


def test_numbers_follow_the_dtype_of_what_they_are_like():
    assert randomness.normal_like(torch.zeros(2, 3, dtype=torch.float64)).dtype == torch.float64


def test_one_process_is_the_mean_of_all():
    assert processes().num_processes == 1
    assert torch.equal(mean_over_processes(torch.ones(2)), torch.ones(2))
