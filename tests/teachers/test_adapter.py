"""Networks of other conventions as velocity fields: exact ones in each convention, and a trained one."""

import doctest
from itertools import product
from types import SimpleNamespace

import pytest
import torch
from helpers import gaussian, mixture
from torch import nn

from traflow_lib.data import images
from traflow_lib.files import paths
from traflow_lib.flow import GaussianFlow, chord, expand, velocity_loss
from traflow_lib.nets.mlp import MLP
from traflow_lib.teachers import VelocityField, adapter, as_velocity, load_teacher
from traflow_lib.teachers.convention import PREDICTS, T_MAX, T_MIN, Convention, Fit

CONVENTIONS = [Convention(*one) for one in product((1, 0), PREDICTS, (1, -1), (1, 1000))]
UNSCALED = [one for one in CONVENTIONS if one.scale == 1]


def stranger(velocity, convention):
    """net(x, time) of this convention that knows the velocity field (the definitions, not their inverses)."""

    def net(x, time):
        t = time / convention.scale
        t = t if convention.noise_at == 1 else 1 - t
        v = velocity(x, t)
        out = {
            "velocity": v if convention.noise_at == 1 else -v,  # x moves by `out` as their time grows
            "noise": x + expand(1 - t, x) * v,
            "data": x - expand(t, x) * v,
        }[convention.predicts]
        return convention.sign * out

    return net


def wrapped(net, convention, **more):
    return as_velocity(
        net, convention.noise_at, convention.predicts, convention.sign, convention.scale, **more
    )


@pytest.fixture(scope="module")
def trained():
    """A small network that has learned the mixture's velocity, some seconds of training."""
    torch.manual_seed(0)
    flow, net = mixture(torch.float32), MLP(width=48, depth=3, frequencies=2)
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(400):
        optimiser.zero_grad()
        velocity_loss(net, flow.sample(512), torch.randn(512, 2), torch.rand(512)).backward()
        optimiser.step()
    return net.requires_grad_(False)


@pytest.mark.parametrize("convention", CONVENTIONS, ids=str)
def test_exact_networks_of_each_convention_give_the_exact_velocity(convention):
    flow, x = mixture(), torch.randn(50, 2, dtype=torch.float64)
    v = wrapped(stranger(flow, convention), convention)
    for t in (0.01, 0.3, 0.7, 0.98):
        assert torch.allclose(v(x, t), flow(x, t), rtol=0, atol=1e-10)
    t = torch.linspace(0.01, 0.98, 50, dtype=torch.float64)
    assert torch.allclose(VelocityField(v)(x, t), flow(x, t), rtol=0, atol=1e-10)


@pytest.mark.parametrize("noise_at", [0, 1])
def test_a_velocity_in_their_time_carries_noise_to_data(noise_at):
    """Euler steps of their own, from their time of noise to their time of data, end where the flow ends."""
    flow, noise, steps = gaussian(), torch.randn(20, 2, dtype=torch.float64), 1000
    net, x, sign = stranger(flow, Convention(noise_at)), noise, 1 - 2 * noise_at
    for i in range(steps):
        x = x + sign / steps * net(x, torch.full((20,), noise_at + sign * i / steps).double())
    assert torch.allclose(x, flow.jump(noise, 1.0, 0.0), atol=0.01)


@pytest.mark.parametrize("convention", CONVENTIONS, ids=str)
def test_check_names_the_convention_of_an_exact_network(convention):
    flow = mixture()
    data, net = flow.sample(2000), stranger(flow, convention)
    fit = wrapped(net, convention).check(data, n=512).require()
    assert fit.best == convention and fit.tied == (convention,)
    other = next(one for one in UNSCALED if one != convention)
    with pytest.raises(ValueError, match="better") as refused:
        wrapped(net, other).check(data, n=512).require()
    assert f"call as_velocity(net, {convention})" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("convention", UNSCALED, ids=str)
def test_check_names_the_convention_of_a_trained_network(convention, trained):
    data = mixture(torch.float32).sample(2000)
    fit = as_velocity(stranger(trained, convention)).check(data, n=512, seed=1)
    assert fit.best == convention and fit.tied == (convention,)
    assert fit.ok == (convention == Convention())
    lines = str(fit).splitlines()  # a head, the best six and the claimed one, the verdict
    assert len(fit.losses) == 2 * len(UNSCALED) and len(lines) in (8, 9) and lines[-1] == fit.verdict
    assert str(convention) in lines[1] and sum("<- as wrapped" in line for line in lines) == 1


@pytest.mark.parametrize("convention", UNSCALED[::5], ids=str)
def test_check_names_the_convention_of_a_teacher_of_images(convention):
    teacher = load_teacher(paths.committed("checkpoints", "digits-teacher-91fe64c61e.safetensors"))
    digits, _ = images.load("digits", "train")
    fit = as_velocity(stranger(teacher, convention)).check(digits, n=64)
    assert fit.best == convention and fit.tied == (convention,)


def test_check_says_what_the_draws_cannot_tell():
    """Standard normal data are their own noise: v(x, 1 - t) = -v(x, t), so time and sign are one."""
    flow = GaussianFlow(torch.zeros(2), torch.eye(2))
    fit = as_velocity(stranger(flow, Convention())).check(torch.randn(50_000, 2))
    assert fit.ok and Convention(0) in fit.tied
    assert "these draws cannot tell it from (noise_at=0" in fit.verdict


@pytest.mark.parametrize(
    "gap, tied",
    [
        (0.01, True),
        (0.05, False),
        (0.05 + 3 * torch.randn(512, generator=torch.Generator().manual_seed(0)), True),
    ],
    ids=["one per cent", "five per cent", "five per cent within the noise of the draws"],
)
def test_better_is_by_more_than_two_per_cent_and_the_noise_of_the_draws(gap, tied):
    losses = {Convention(): 1 + torch.zeros(512) + gap, Convention(0): torch.ones(512)}
    fit = Fit.of(Convention(), losses, constant=5.0)
    assert (Convention() in fit.tied) == fit.ok == tied


def test_a_network_that_knows_nothing_fits_no_convention():
    data = 5 + mixture(torch.float32).sample(1000)
    fit = as_velocity(lambda x, t: torch.zeros_like(x)).check(data)
    assert not fit.ok and "fits no convention" in fit.verdict
    with pytest.raises(ValueError, match="no convention"):
        as_velocity(lambda x, t: torch.full_like(x, torch.nan)).check(data).require()
    with pytest.raises(ValueError, match="data hold NaN"):
        as_velocity(lambda x, t: x).check(torch.full((3, 2), torch.nan))


@pytest.mark.parametrize("predicts, pole, nearest", [("noise", 1.0, T_MAX), ("data", 0.0, T_MIN)])
def test_at_a_pole_the_nearest_good_time_is_read(predicts, pole, nearest):
    """Its cost: of the exact field, at most two per cent; of a network's error, 1 / the distance."""
    flow, x = mixture(), torch.randn(500, 2, dtype=torch.float64)
    convention = Convention(predicts=predicts)
    v = wrapped(stranger(flow, convention), convention)
    assert torch.allclose(v(x, pole), flow(x, nearest), atol=1e-9)
    assert (v(x, pole) - flow(x, pole)).norm() / flow(x, pole).norm() <= 0.02
    wrong = wrapped(lambda x, t: stranger(flow, convention)(x, t) + 1e-3, convention)
    assert ((wrong(x, pole) - v(x, pole)).abs() * abs(pole - nearest) - 1e-3).abs().max() < 1e-6
    slope = torch.func.jvp(
        lambda t: v(x, t), (torch.full((500,), pole).double(),), (torch.ones(500).double(),)
    )
    assert slope[1].isfinite().all()


@pytest.mark.parametrize("convention", UNSCALED, ids=str)
def test_forward_mode_derivatives_in_x_and_t_are_the_exact_field_s(convention):
    flow, x, t = mixture(), torch.randn(20, 2, dtype=torch.float64), torch.full((20,), 0.4).double()
    moves = torch.randn_like(x), torch.ones_like(t)
    mine = torch.func.jvp(wrapped(stranger(flow, convention), convention), (x, t), moves)
    exact = torch.func.jvp(flow, (x, t), moves)
    assert all(torch.allclose(a, b, atol=1e-9) for a, b in zip(mine, exact))


class TorchCfmLike(nn.Module):
    """Time first, labels called y."""

    def __init__(self):
        super().__init__()
        self.classes, self.out = nn.Embedding(3, 2), nn.Linear(3, 2)

    def forward(self, t, x, y=None, *args, **kwargs):
        out = self.out(torch.cat([x, t[:, None]], dim=1))
        return out if y is None else out + self.classes(y)


class DiffusersLike(nn.Module):
    """The tensor is the answer's `sample`."""

    def __init__(self):
        super().__init__()
        self.net = TorchCfmLike()

    def forward(self, sample, timestep, class_labels=None, return_dict=True):
        return SimpleNamespace(sample=self.net(timestep, sample, class_labels))


class FlowMatchingLike(nn.Module):
    """What a wrapper passes on by name."""

    def __init__(self):
        super().__init__()
        self.model = TorchCfmLike()

    def forward(self, x, t, **extras):
        return self.model(x=x, t=t, **extras)


@pytest.mark.parametrize("kind", [TorchCfmLike, DiffusersLike, FlowMatchingLike])
def test_the_names_of_its_arguments_say_how_a_network_is_called(kind):
    net, x, t = kind(), torch.randn(4, 2), torch.rand(4)
    label = torch.tensor([0, 1, 2, 1])
    inner = next(one for one in net.modules() if isinstance(one, TorchCfmLike))
    v = as_velocity(net, noise_at=0, scale=1000, classes=3)
    assert torch.equal(v(x, t), -inner(1000 * (1 - t), x))
    assert torch.equal(v(x, t, t), v(x, t)) and torch.equal(v(x, 0.5)[:2], v(x[:2], 0.5))
    if kind is FlowMatchingLike:
        with pytest.raises(ValueError, match="no argument named label"):
            v(x, t, label=label)
        call = lambda net, x, t, label: net(x, t, y=label)  # noqa: E731 - as the docstring says
        v = as_velocity(net, noise_at=0, scale=1000, classes=3, call=call)
    assert torch.equal(v(x, t, label=label), -inner(1000 * (1 - t), x, label))
    assert torch.equal(VelocityField(v)(x, t, label=label), v(x, t, label=label))
    assert {f"net.{name}" for name in net.state_dict()} == set(v.state_dict())


def test_check_passes_labels_on():
    means = torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 3.0]])
    label = torch.arange(3).repeat(500)

    def net(x, t, y):  # each class is one point
        return (x - means[y]) / t[:, None]

    assert as_velocity(net, classes=3).check(means[label], label, n=300).require().losses[Convention()] < 1e-9


def test_what_cannot_be_read_is_asked_for_in_one_line():
    def unnamed(z, sigma):
        return z * sigma[:, None]

    with pytest.raises(ValueError, match=r"function takes \(z, sigma\), which does not say where its time"):
        as_velocity(unnamed)
    x, t = torch.randn(3, 2), torch.rand(3)
    assert torch.equal(as_velocity(unnamed, call="x, t")(x, t), unnamed(x, t))
    for arguments, fault in (
        ({"noise_at": 2}, "noise_at .* 0 or 1; got 2"),
        ({"predicts": "score"}, "predicts must be one of velocity, noise, data; got 'score'"),
        ({"sign": 0}, "sign must be 1 or -1; got 0"),
        ({"scale": 0}, "scale must be a positive number; got 0"),
        ({"scale": "1000"}, "scale must be a positive number; got '1000'"),
        ({"classes": -1}, "classes is the number of classes, 0 for none; got -1"),
        ({"net": None}, "net must be a network or function; got None"),
        ({"call": "t;x"}, "call must be 'x, t', .*; got 't;x'"),
    ):
        with pytest.raises(ValueError, match=fault):
            as_velocity(**{"net": lambda x, t: x} | arguments)
    with pytest.raises(ValueError, match=r"function gives \(3, 4\) for x \(3, 2\)"):
        as_velocity(lambda x, t: torch.cat([x, x], 1))(x, t)
    with pytest.raises(ValueError, match="function gives tuple for x"):
        as_velocity(lambda x, t: (x,))(x, t)


@pytest.mark.parametrize("predicts", PREDICTS)
def test_under_autocast_the_velocity_keeps_the_dtype_of_x(predicts):
    net, x = MLP(), torch.randn(8, 2)
    v = as_velocity(net, predicts=predicts)
    with torch.autocast("cpu", torch.bfloat16):
        half = v(x, 0.5)
    assert half.dtype == torch.float32
    assert 0 < (half - v(x, 0.5)).abs().max() < 0.1


def test_examples_of_the_documentation():
    assert doctest.testmod(adapter) == (0, 9)


def test_chords_of_the_check_do_not_depend_on_the_wrapping(trained):
    data = mixture(torch.float32).sample(500)
    one = as_velocity(trained).train().check(data)
    assert not trained.training
    two = as_velocity(trained, 0, "data").check(data)
    assert one.losses == two.losses and one.best == two.best == Convention()
    x0, x1, t = data[:5], torch.randn(5, 2), torch.rand(5)
    assert torch.equal(as_velocity(trained)(chord(x0, x1, t), t), trained(chord(x0, x1, t), t))
