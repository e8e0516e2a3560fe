"""Class-conditional flows: the label stays with its sample through pairs, objectives and sampling."""

import pytest
import torch
from torch import nn

from traflow_lib import objectives
from traflow_lib.batch import labelled, rows
from traflow_lib.jump import JumpMap
from traflow_lib.pairs import OnlinePairs, PairCache, make_pairs, sample_labels, sample_noise

RK4 = {"method": "rk4", "steps": 4}
EULER = {"method": "euler", "steps": 1}


def drift(x, t, label=None):
    """A flow that carries each class its own way: x_0 = x_1 - label."""
    return label.to(x)[:, None].expand_as(x)


class ClassNet(nn.Module):
    """F = a number of its own for every class, which is all there is to learn about `drift`."""

    def __init__(self, classes=4):
        super().__init__()
        self.value = nn.Parameter(torch.zeros(classes))

    @property
    def last_layer(self):
        return self.value

    def forward(self, x, t, s=None, label=None):
        return self.value[label][:, None].expand_as(x)


def test_labels_belong_to_the_sample():
    whole = sample_labels(3, 0, 400, 4)
    assert torch.equal(torch.cat([sample_labels(3, 0, 7, 4), sample_labels(3, 7, 400, 4)]), whole)
    assert whole.bincount().min() > 60 and not torch.equal(whole, sample_labels(4, 0, 400, 4))


@pytest.mark.parametrize(
    "source",
    [
        lambda: make_pairs(drift, 64, (2,), 0, classes=4, **RK4),
        lambda: OnlinePairs(drift, (2,), classes=4, **RK4),
    ],
)
@pytest.mark.parametrize("given", [False, True])
def test_pairs_keep_their_class(source, given):
    wanted = torch.arange(40) % 4 if given else None
    batch = source().batch(40, label=wanted)
    assert torch.allclose(batch.x0, batch.x1 - batch.label[:, None], atol=1e-5)
    assert torch.equal(batch.label, wanted) if given else len(batch.label.unique()) == 4


def test_pairs_of_a_class_that_none_has_are_refused():
    cache = PairCache(torch.zeros(3, 2), torch.zeros(3, 2), label=torch.tensor([0, 0, 2]))
    with pytest.raises(ValueError, match="there are no pairs of class 1; solve more pairs than 3"):
        cache.batch(2, label=torch.tensor([0, 1]))


def test_pairs_of_a_class_are_drawn_evenly():
    cache = PairCache(torch.arange(6.0)[:, None], torch.zeros(6, 1), label=torch.tensor([0, 1, 0, 1, 0, 1]))
    drawn = cache.batch(30_000, label=torch.ones(30_000, dtype=torch.int64)).x1[:, 0].long()
    assert torch.allclose(
        drawn.bincount(minlength=6) / 30_000, torch.tensor([0, 1, 0, 1, 0, 1]) / 3, atol=0.01
    )


SPLITTING = [("shortcut", {}), ("traflow_v1", {"separate_pairs": True})]
WHOLE = ["traflow", "traflow_v1", "traflow_anchored", "distill", "reflow", "cd", "ctm", "meanflow", "lmd"]
WHOLE += ["alphaflow", "splitmeanflow", "scm"]


@pytest.mark.parametrize("method, options", [*((name, {}) for name in WHOLE), *SPLITTING], ids=str)
def test_every_class_learns_its_own_flow(method, options):
    """With batches that mix the classes; a label of another sample would show as a mean over classes.

    Some methods call a network on a part of the batch alone.
    """
    objective, net = objectives.get(method, **options), ClassNet()
    pairs = make_pairs(drift, 256, (2,), 0, classes=4, keep_path=True, **RK4)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(150):
        batch = pairs.batch(64 * objective.draws)
        batch.data = batch.x0
        target = JumpMap(ClassNet(), batch.label).requires_grad_(False)
        target.net.load_state_dict(net.state_dict())
        loss = objective(JumpMap(net, batch.label), target, labelled(drift, batch.label), batch).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert torch.allclose(net.value, torch.arange(4.0), atol=0.1)


def test_rows_of_a_field_have_the_classes_of_those_rows():
    net, label = ClassNet(), torch.tensor([2, 0, 1])
    nn.init.normal_(net.value)
    jump, velocity, x = JumpMap(net, label), labelled(drift, label), torch.zeros(3, 2)
    for part in (slice(1), slice(1, None), slice(0, 3, 2)):
        assert torch.equal(rows(jump, part)(x[part], 1.0, 0.0), jump(x, 1.0, 0.0)[part])
        assert torch.equal(rows(velocity, part)(x[part], 0.5), velocity(x, 0.5)[part])
    assert rows(drift, slice(1)) is drift and rows(JumpMap(net), slice(1)).label is None
    assert torch.equal(jump.sample(x), -net.value[[2, 0, 1]][:, None].expand(3, 2))


def test_solving_pairs_goes_on_where_it_was_stopped(tmp_path):
    calls = []

    def stops(x, t):
        calls.append(len(x))
        if len(calls) > 2:
            raise KeyboardInterrupt
        return x

    with pytest.raises(KeyboardInterrupt):
        make_pairs(stops, 10, (2,), 0, batch=4, file=tmp_path / "pairs.safetensors", **EULER)
    calls.clear()
    pairs = make_pairs(stops, 10, (2,), 0, batch=4, file=tmp_path / "pairs.safetensors", **EULER)
    assert calls == [2] and torch.equal(pairs.x1, sample_noise(0, 0, 10, (2,)))
    assert torch.equal(pairs.x0, make_pairs(lambda x, t: x, 10, (2,), 0, **EULER).x0)
