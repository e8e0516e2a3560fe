"""A network that knows only t learns a target time s; at the start it is its teacher."""

import copy
import doctest
import pickle

import pytest
import torch
from helpers import NETS, gaussian, randomise
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils.checkpoint import checkpoint

from traflow_lib import nets, objectives
from traflow_lib.batch import Batch
from traflow_lib.jump import JumpMap
from traflow_lib.nets import target_time, with_target_time
from traflow_lib.teachers import VelocityField, as_velocity

S = (0.0, 0.3, 0.8)


class Theirs(nn.Module):
    """A network of vectors with a layer for its time; `tokens` puts its features into a sequence."""

    def __init__(self, tokens=0):
        super().__init__()
        self.tokens = tokens
        self.time_embed = nn.Sequential(nn.Linear(1, 8), nn.SiLU(), nn.Linear(8, 8))
        self.inlet, self.out = nn.Linear(2, 8), nn.Linear(8, 2)

    def forward(self, x, t):
        h = self.inlet(x[:, None].expand(-1, self.tokens, -1) if self.tokens else x)
        time = self.time_embed(t[:, None])
        h = (h + (time[:, None] if self.tokens else time)).tanh()
        return self.out(h.mean(1) if self.tokens else h)


class OtherWay(nn.Module):
    """Theirs from noise at time 0 to data at 1, called with the time first."""

    def __init__(self):
        super().__init__()
        self.model = Theirs()

    def forward(self, t, x):
        return -self.model(x, 1 - t)


TEACHERS = {
    "a layer for time": (lambda: Theirs(), "time_embed", (2,)),
    "the first layer": (lambda: Theirs(), "inlet", (2,)),
    "tokens": (lambda: Theirs(tokens=3), "inlet", (2,)),
    "mlp": (lambda: nets.build(NETS["mlp"][0]), "inlet", (2,)),
    "a U-Net's time": (lambda: nets.build(NETS["ddpmpp"][0]), "all_modules.1", (1, 8, 8)),
    "a U-Net's first convolution": (lambda: nets.build(NETS["ddpmpp"][0]), "all_modules.2", (1, 8, 8)),
    "another convention": (lambda: as_velocity(OtherWay(), noise_at=0), "time_embed", (2,)),
}


@pytest.fixture(params=TEACHERS)
def teacher(request):
    make, layer, shape = TEACHERS[request.param]
    torch.manual_seed(0)
    return randomise(make()), layer, torch.randn(4, *shape), torch.rand(4)


def awake(student):
    """The student after its embedding of s has learned something."""
    with torch.no_grad():
        student.s_embed[2].weight.normal_()
    return student


def test_the_student_starts_as_its_teacher_for_every_s(teacher):
    net, layer, x, t = teacher
    before, student = copy.deepcopy(net.state_dict()), with_target_time(net, layer)
    for s in S:
        assert torch.equal(student(x, t, torch.full((4,), s)), net(x, t))
    assert torch.equal(VelocityField(student)(x, t), net(x, t))
    later = awake(student)(x, t, torch.rand(4))
    assert (later - net(x, t)).abs().max() > 1e-3 and later.shape == x.shape
    assert torch.equal(student(x, t), net(x, t))  # without s
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in before.items())
    assert not any(module._forward_hooks for module in net.modules())


def test_each_sample_has_its_own_s(teacher):
    net, layer, x, t = teacher
    student, s = awake(with_target_time(net, layer)), torch.rand(4)
    alone = torch.cat([student(x[i : i + 1], t[i : i + 1], s[i].item()) for i in range(4)])
    assert torch.allclose(student(x, t, s), alone, atol=1e-5)


def test_copies_pickles_and_files_are_the_same_student(teacher, tmp_path):
    net, layer, x, t = teacher
    student, s = awake(with_target_time(net, layer)), torch.rand(4)
    expected = student(x, t, s)
    save_file(student.state_dict(), tmp_path / "student.safetensors")
    empty = with_target_time(randomise(copy.deepcopy(net)), layer)
    empty.load_state_dict(load_file(tmp_path / "student.safetensors"))
    others = [copy.deepcopy(student), pickle.loads(pickle.dumps(student)), empty]
    awake(student)
    for other in others:
        assert torch.equal(other(x, t, s), expected)
    assert not torch.equal(student(x, t, s), expected)


def test_its_derivative_in_s_is_the_finite_difference(teacher):
    net, layer, x, t = teacher
    student = JumpMap(awake(with_target_time(net, layer))).double()
    x, t, s, h = x.double(), t.double(), torch.full((4,), 0.3).double(), 1e-5
    value, slope = student.with_derivative(x, t, s)
    assert torch.allclose(value, student(x, t, s))
    assert torch.allclose(slope, (student(x, t, s + h) - student(x, t, s - h)) / (2 * h), atol=1e-6)
    slope.square().mean().backward()
    assert student.net.s_embed[2].weight.grad.abs().max() > 0


def test_functional_call_sees_the_parameters_given(teacher):
    net, layer, x, t = teacher
    student, s = awake(with_target_time(net, layer)), torch.rand(4)
    other = awake(copy.deepcopy(student))
    given = torch.func.functional_call(student, dict(other.named_parameters()), (x, t, s))
    assert torch.equal(given, other(x, t, s))


def test_under_autocast_it_stays_the_teacher(teacher):
    net, layer, x, t = teacher
    student = with_target_time(net, layer)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(student(x, t, torch.rand(4)), net(x, t))
        assert awake(student)(x, t, torch.rand(4)).shape == x.shape


@pytest.mark.parametrize("method", ["traflow", "traflow_v4", "meanflow", "ctm"])
def test_methods_train_it(method):
    """A wrapped network of another convention, frozen by its owner, learns the jumps of a Gaussian flow."""
    torch.manual_seed(0)
    flow, net = gaussian(torch.float32), OtherWay().requires_grad_(False)
    student = JumpMap(with_target_time(as_velocity(net, noise_at=0), "time_embed", last_layer="model.out"))
    objective, optimiser = objectives.get(method), torch.optim.Adam(student.parameters(), 1e-2)
    losses = []
    for _ in range(60):
        x1 = torch.randn(128, 2)
        times = torch.linspace(0, 1, 9)
        path = torch.stack([flow.jump(x1, 1.0, s.item()) for s in times.clamp(min=1e-6)], dim=1)
        batch = Batch(x1, path[:, 0], path if objective.needs_path else None, data=path[:, 0])
        loss = objective(student, student, flow, batch).total
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])
    assert student.net.s_embed[2].weight.abs().max() > 1e-3


def test_frozen_parts_stay_frozen_unless_all_are():
    net = Theirs()
    net.inlet.requires_grad_(False)
    assert not with_target_time(net).net.inlet.weight.requires_grad
    net.requires_grad_(False)
    student = with_target_time(net)
    assert all(p.requires_grad for p in student.parameters())
    assert not any(p.requires_grad for p in net.parameters())


def test_classes_and_the_last_layer_come_from_the_network():
    class Labelled(Theirs):
        classes = 3

        def forward(self, x, t, label=None):
            return super().forward(x, t) + (0 if label is None else label[:, None])

    net, x, label = Labelled(), torch.randn(3, 2), torch.tensor([0, 1, 2])
    student = with_target_time(net, last_layer="out")
    assert student.classes == 3 and student.last_layer is student.net.out.weight
    assert torch.equal(JumpMap(student, label)(x, 1.0, 0.0), x - net(x, torch.ones(3), label=label))
    assert with_target_time(nets.build(NETS["mlp"][0]), "inlet").last_layer.shape == (2, 16)
    with pytest.raises(ValueError, match="last_layer must be a layer with a weight; 'time_embed' has none"):
        with_target_time(net, last_layer="time_embed")
    with pytest.raises(ValueError, match="with_target_time.*last_layer="):
        print(with_target_time(net).last_layer)


class Astray(Theirs):
    """Layers that cannot take s."""

    def __init__(self):
        super().__init__()
        self.unused, self.twice, self.narrow = (
            nn.Linear(2, 8),
            nn.Linear(8, 8),
            nn.Sequential(nn.Linear(8, 8)),
        )
        self.narrow.append(nn.GLU())
        self.deep = nn.ModuleDict({"out": nn.Linear(2, 2)})
        self.act = nn.SiLU()

    def forward(self, x, t):
        h = self.twice(self.twice(self.inlet(self.act(x))))
        return self.out(h + self.narrow(h).repeat(1, 2))


@pytest.mark.parametrize(
    "layer, fault",
    [
        ("temb", "no layer named 'temb'; give another .*: named after time .* are time_embed, time_embed.0"),
        ("", "no layer named ''"),
        ("0", "the layers time_embed.0, narrow.0 named '0'"),
        ("act", "layer 'act' has no linear layer or convolution"),
        ("unused", "layer 'unused' ran 0 times in one call"),
        ("twice", "layer 'twice' ran 2 times in one call"),
        ("narrow", r"layer 'narrow' gives \(3, 4\), to which s, \(3, 8\), cannot be added"),
    ],
)
def test_a_layer_that_cannot_take_s_is_refused_in_one_line(layer, fault):
    with pytest.raises(ValueError, match=fault) as refused:
        with_target_time(Astray(), layer)(torch.randn(3, 2), 0.5, 0.1)
    assert "\n" not in str(refused.value)


def test_without_a_layer_for_time_the_first_layers_are_listed():
    with pytest.raises(ValueError, match="the first with weights are 0, 2$"):
        with_target_time(nn.Sequential(nn.Linear(2, 4), nn.SiLU(), nn.Linear(4, 2)))
    with pytest.raises(ValueError, match="are none$"):
        with_target_time(nn.SiLU())


def test_a_network_called_otherwise_is_sent_to_the_adapter():
    class Answer(Theirs):
        def forward(self, x, t):
            return (super().forward(x, t),)

    with pytest.raises(ValueError, match="Answer gives tuple, no tensor: wrap it by as_velocity"):
        with_target_time(Answer())(torch.randn(3, 2), 0.5, 0.1)


def test_a_layer_computed_again_outside_the_call_does_not_lose_s_silently():
    class Checkpointed(Theirs):
        def forward(self, x, t):
            return checkpoint(super().forward, x, t, use_reentrant=False)

    loss = with_target_time(Checkpointed())(torch.randn(3, 2), 0.5, 0.1).sum()
    with pytest.raises(RuntimeError, match="layer 'time_embed' takes s, but ran outside the call"):
        loss.backward()


def test_examples_of_the_documentation():
    assert doctest.testmod(target_time) == (0, 7)
