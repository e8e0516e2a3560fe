"""The jump map: its boundary, its birth as the teacher's Euler step, its derivative, and sampling by
composition.
"""

import pytest
import torch
from helpers import NETS, ExactAverage, gaussian, random_student, randomise

from traflow_lib import nets
from traflow_lib.jump import JumpMap
from traflow_lib.solvers import solve

KINDS = list(NETS)


def inputs(shape, n=5, dtype=torch.float32):
    """x, t and s < t, one time a sample."""
    s, t = torch.rand(2, n, dtype=dtype).sort(dim=0).values
    return torch.randn(n, *shape, dtype=dtype), t, s


def test_exact_gaussian_jump_is_the_ode_solution():
    pytest.importorskip("torchdiffeq")
    flow, x = gaussian(), torch.randn(50, 2).double()
    for t, s in [(1.0, 0.0), (1.0, 0.4), (0.7, 0.1)]:
        assert torch.allclose(
            flow.jump(x, t, s), solve(flow, x, t, s, method="dopri5", tol=1e-8).x, atol=1e-6
        )


def test_exact_gaussian_jump_stays_put_at_equal_times():
    x, t = torch.randn(50, 2).double(), torch.linspace(0, 1, 50).double()
    assert torch.allclose(gaussian().jump(x, t, t), x, atol=1e-12)


def test_exact_gaussian_jumps_compose():
    flow = gaussian()
    x, t, s = inputs((2,), 50, torch.float64)
    u = s + 0.3 * (t - s)
    assert torch.allclose(flow.jump(flow.jump(x, t, u), u, s), flow.jump(x, t, s), atol=1e-12)


def test_jump_map_of_the_exact_average_velocity_is_the_exact_jump():
    flow = gaussian()
    x, t, s = inputs((2,), 50, torch.float64)
    assert torch.allclose(JumpMap(ExactAverage(flow))(x, t, s), flow.jump(x, t, s), atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_jump_of_no_duration_is_the_identity_to_the_last_bit(kind):
    student, shape = random_student(kind)
    x, t, _ = inputs(shape)
    for time in (t, 0.0, 1.0, 0.3):
        assert torch.equal(student(x, time, time), x)


@pytest.mark.parametrize("kind", KINDS)
def test_untrained_student_is_the_teachers_euler_step_to_the_last_bit(kind):
    config, shape = NETS[kind]
    teacher = randomise(nets.build(config))
    student = JumpMap(nets.warm_start(nets.build(config, s_input=True), teacher).eval())
    x, t, s = inputs(shape)
    duration = (s - t).reshape(-1, *[1] * len(shape))
    assert torch.equal(student(x, t, s), x + duration * teacher(x, t)) and not torch.equal(
        student(x, t, s), x
    )
    assert torch.equal(student.sample(x, 1), solve(teacher, x, method="euler", steps=1).x)


@pytest.mark.parametrize("kind", KINDS)
def test_student_with_a_trained_s_input_sees_s(kind):
    student, shape = random_student(kind)
    x, t, s = inputs(shape)
    assert not torch.allclose(student.average_velocity(x, t, s), student.average_velocity(x, t, t))


@pytest.mark.parametrize("kind", KINDS)
def test_derivative_in_s_is_the_finite_difference(kind):
    """Fourth-order central difference with h = 1e-5: the fastest input turns by 999 h = 0.01."""
    student, shape = random_student(kind, torch.float64)
    x, t, s = inputs(shape, dtype=torch.float64)
    s, h = 0.1 + 0.8 * s, 1e-5
    value, slope = student.with_derivative(x, t, s)
    with torch.no_grad():
        far, near = (student(x, t, s + k * h) - student(x, t, s - k * h) for k in (2, 1))
    difference = (8 * near - far) / (12 * h)
    assert torch.allclose(value, student(x, t, s), atol=1e-10)
    assert (slope - difference).abs().max() <= 1e-4 * slope.abs().max()


@pytest.mark.parametrize("derivative", ["with_derivative", "along"])
def test_derivatives_take_scalar_times(derivative):
    student, shape = random_student("mlp")
    x, more = torch.randn(3, *shape), (torch.randn(3, *shape),) if derivative == "along" else ()
    scalar = getattr(student, derivative)(x, 0.7, 0.2, *more)
    each = getattr(student, derivative)(x, torch.full((3,), 0.7), torch.full((3,), 0.2), *more)
    assert all(torch.equal(a, b) for a, b in zip(scalar, each))


@pytest.mark.parametrize("kind", KINDS)
def test_total_derivative_is_the_finite_difference_along_the_velocity(kind):
    student, shape = random_student(kind, torch.float64)
    x, t, s = inputs(shape, dtype=torch.float64)
    t, h, velocity = 0.1 + 0.8 * t, 1e-5, torch.randn_like(x)
    value, change = student.along(x, t, s, velocity)

    def at(k):
        return student.average_velocity(x + k * h * velocity, t + k * h, s)

    with torch.no_grad():
        far, near = (at(k) - at(-k) for k in (2, 1))
    difference = (8 * near - far) / (12 * h)
    assert torch.allclose(value, student.average_velocity(x, t, s), atol=1e-10)
    assert (change - difference).abs().max() <= 1e-4 * change.abs().max()


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_through_the_derivative_equals_double_backward(kind):
    student, shape = random_student(kind, torch.float64)
    x, t, s = inputs(shape, dtype=torch.float64)
    parameters, weight = list(student.parameters()), torch.randn_like(x)
    forward = torch.autograd.grad(
        (weight * student.with_derivative(x, t, s)[1]).sum(), parameters, allow_unused=True
    )
    s = s.requires_grad_()
    slope = torch.autograd.grad((weight * student(x, t, s)).sum(), s, create_graph=True)[0].sum()
    backward = torch.autograd.grad(slope, parameters, allow_unused=True)
    for (name, _), a, b in zip(student.named_parameters(), forward, backward):
        a, b = (torch.zeros(1) if g is None else g for g in (a, b))
        assert torch.allclose(a, b, atol=1e-8 + 1e-6 * b.abs().max().item()), name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_sampling_composes_jumps_on_an_even_grid(kind, steps):
    student, shape = random_student(kind)
    noise = torch.randn(3, *shape)
    x, path = noise, [noise]
    for k in range(steps, 0, -1):
        x = student(x, k / steps, (k - 1) / steps)
        path.append(x)
    assert torch.equal(student.sample(noise, steps), x)
    assert torch.equal(student.sample(noise, steps, keep_path=True), torch.stack(path))


@pytest.mark.parametrize("steps", [1, 3])
def test_sampling_costs_one_call_a_step(steps):
    student, shape = random_student("mlp")
    calls = []
    student.net.register_forward_hook(lambda *_: calls.append(1))
    student.sample(torch.randn(3, *shape), steps)
    assert len(calls) == steps


def renoised(student, noise, steps, seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    fresh = lambda: torch.randn(noise.shape, generator=generator)  # noqa: E731
    return student.sample(noise, steps, renoise=fresh, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_one_renoised_step_is_the_plain_jump_and_two_go_back_up_with_fresh_noise(kind):
    student, shape = random_student(kind)
    noise, fresh = torch.randn(3, *shape), torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    assert torch.equal(renoised(student, noise, 1), student(noise, 1.0, 0.0))
    assert torch.allclose(
        renoised(student, noise, 2), student((student(noise, 1.0, 0.0) + fresh) / 2, 0.5, 0.0), atol=1e-6
    )


def test_renoised_sampling_is_decided_by_its_generator_alone():
    student, noise = random_student("mlp")[0], torch.randn(3, 2)
    one, again, other = (renoised(student, noise, 3, seed) for seed in (0, 0, 1))
    assert torch.equal(one, again) and not torch.isclose(one, other).all(dim=1).any()
    path = renoised(student, noise, 3, keep_path=True)
    assert path.shape == (4, 3, 2) and torch.equal(path[0], noise) and torch.equal(path[-1], one)


@pytest.mark.parametrize("steps", [0, -1])
def test_sampling_in_less_than_one_step_is_refused(steps):
    student, shape = random_student("mlp")
    with pytest.raises(ValueError, match="steps must be at least 1"):
        student.sample(torch.randn(3, *shape), steps)
