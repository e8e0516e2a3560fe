"""Each method against its published formula, written out anew: value and gradient on a tiny network.

The random numbers are drawn again in the order in which the method draws them; everything else is spelled
out: derivatives by reverse mode, solvers sample by sample, norms by sums. What departs from the papers is
said in each method's own file.
"""

from dataclasses import replace

import pytest
import torch
from torch import nn

from traflow_lib import objectives
from traflow_lib.batch import Batch, sample_times
from traflow_lib.jump import JumpMap
from traflow_lib.randomness import Draws

B, K = 24, 8


class Tiny(nn.Module):
    """F(x, t, s) with one hidden layer."""

    def __init__(self, seed):
        super().__init__()
        of = torch.Generator().manual_seed(seed)
        self.inner, self.last_layer = (
            nn.Parameter(0.7 * torch.randn(*shape, generator=of, dtype=torch.float64))
            for shape in ((4, 6), (6, 2))
        )

    def forward(self, x, t, s):
        return torch.tanh(torch.cat([x, t[:, None], s[:, None]], dim=1) @ self.inner) @ self.last_layer


F, F_SG, TEACHER = Tiny(0), Tiny(1).requires_grad_(False), Tiny(2).requires_grad_(False)
ONE = torch.ones(B, dtype=torch.float64)


def v(x, t):
    return TEACHER(x, t, t)


def jump(net, x, t, s):
    """G = s / t x + (1 - s / t) g, CTM's form, with g = x - t F; from t = 0 it stays."""
    g = x - t[:, None] * net(x, t, s)
    t, s = t[:, None].clamp(min=1e-12), s[:, None]
    return s / t * x + (1 - s / t) * g


def line(x0, x1, t):
    return t[:, None] * x1 + (1 - t[:, None]) * x0


def square(a, b):
    return ((a - b) ** 2).sum() / (2 * B)


def huber(a, b, c=0.03):
    return ((((a - b) ** 2).sum(dim=1) / 2 + c**2) ** 0.5 - c).sum() / B


def derivative(function, at):
    """d function(tau) / d tau at `at` [B], sample by sample."""
    tau = at.clone().requires_grad_()
    out = function(tau)
    columns = [torch.autograd.grad(out[:, i].sum(), tau, create_graph=True)[0] for i in (0, 1)]
    return torch.stack(columns, dim=1)


def along(x, t, s, velocity):
    """dF/dt where x moves with this velocity."""
    return derivative(lambda tau: F(x + tau[:, None] * velocity, t + tau, s), 0 * t)


def heun(x, t, u, steps):
    """One sample [1, 2] from time t to u [1]."""
    h = (t - u) / steps
    for k in range(steps):
        first = v(x, t - k * h)
        second = v(x - h * first, t - (k + 1) * h)
        x = x - h * (first + second) / 2
    return x


def on_the_grid(x, t, u, n=18):
    """Heun's steps of at most 1 / n."""
    counts = [-int(-(n * gap - 1e-6) // 1) for gap in (t - u).tolist()]
    each = zip(x.split(1), t.split(1), u.split(1), counts)
    return torch.cat([heun(*one, max(count, 1)) for *one, count in each])


def drawn(batch, draws, law, ends=0.0):
    """Noised data and the times of a jump."""
    noise = draws.normal_like(batch.data)
    s, u, t = (time.double() for time in sample_times(B, ends, law=law, draws=draws))
    return noise, s, u, t


def distill(batch, draws):
    return square(jump(F, batch.x1, ONE, 0 * ONE), batch.x0)


def reflow(batch, draws):
    t = draws.uniform(B).double()
    return square(F(line(batch.x0, batch.x1, t), t, t), batch.x1 - batch.x0)


def annealed(batch, draws):
    """SlimFlow: beta from 1 to 0 over the annealing, here at 2/3 of it."""
    beta = 1 - 2 / 3
    x1 = (1 - beta**2) ** 0.5 * batch.x1 + beta * draws.normal_like(batch.x1)
    return reflow(replace(batch, x1=x1), draws)


def reflow_pp(batch, draws):
    """2-RF++: p(t) is proportional to e^(4t) + e^(-4t) about the middle."""
    t, mirror = draws.uniform(B).double(), draws.uniform(B) < 0.5
    t = (1 + t * (torch.e**4 - 1)).log() / 4
    t = torch.where(mirror, t, 1 - t)
    return huber(F(line(batch.x0, batch.x1, t), t, t), batch.x1 - batch.x0)


def flow_guided(batch, draws, own=True):
    noise = draws.normal_like(batch.x1)
    t = 0.2 + 0.6 * draws.uniform(B).double()
    landed = jump(F, noise, ONE, 0 * ONE)
    first = (noise - landed).detach() if own else v(noise, ONE)
    middle = noise - (1 - t)[:, None] * first
    end = middle - t[:, None] * v(middle, t)
    return distill(batch, draws) + square(landed, end)


def progressive(batch, draws):
    """N = 4: the end of two DDIM steps, which on a flow are Euler's."""
    noise = draws.normal_like(batch.data)
    t = draws.integers(1, 5, B).double() / 4
    z_t = line(batch.data, noise, t)
    z_half = z_t - v(z_t, t) / 8
    z = z_half - v(z_half, t - 1 / 8) / 8
    return square(F(z_t, t, t), (z_t - z) * 4)


def cd(batch, draws):
    noise = draws.normal_like(batch.data)
    index = draws.integers(1, 19, B).double()
    t, u = index / 18, (index - 1) / 18
    x_t = line(batch.data, noise, t)
    x_u = torch.cat([heun(*one, 1) for one in zip(x_t.split(1), t.split(1), u.split(1))])
    return square(jump(F, x_t, t, 0 * t), jump(F_SG, x_u, u, 0 * u))


def ct(batch, draws):
    """N at half of the training: N^2 half way from 2^2 to 150^2."""
    n = -int(-(((2**2 + 150**2) / 2) ** 0.5) // 1)
    noise = draws.normal_like(batch.data)
    index = draws.integers(1, n + 1, B).double()
    t, u = index / n, (index - 1) / n
    x_u = line(batch.data, noise, u)
    return square(jump(F, line(batch.data, noise, t), t, 0 * t), jump(F_SG, x_u, u, 0 * u))


def soft(x_t, x_u, t, u, s):
    """Both jumps decoded by the stop-gradient network to time 0."""
    target = jump(F_SG, jump(F_SG, x_u, u, s), s, 0 * s)
    return square(jump(F_SG, jump(F, x_t, t, s), s, 0 * s), target)


def balanced(reference, others, clip=(0.0, float("inf"))):
    """CTM's lambda: the ratio of the gradient norms at the last layer."""
    norms = [
        torch.autograd.grad(loss, F.last_layer, retain_graph=True)[0].norm() for loss in (reference, *others)
    ]
    weights = [min(max((norms[0] / norm).item(), clip[0]), clip[1]) for norm in norms[1:]]
    return reference + sum(weight * loss for weight, loss in zip(weights, others))


def ctm(batch, draws):
    noise, s, u, t = drawn(batch, draws, "nested")
    x_t = line(batch.data, noise, t)
    consistency = soft(x_t, on_the_grid(x_t, t, u), t, u, s)
    z_t = line(batch.data, draws.normal_like(batch.data), t)
    return balanced(consistency, [square(z_t - t[:, None] * F(z_t, t, t), batch.data)])


def shortcut(batch, draws, share=0.25):
    """Algorithm 1 with d from 1 to 2 / 128 on a share of the batch, and d = 0 as the velocity."""
    noise = draws.normal_like(batch.data)
    d = 2.0 ** -draws.integers(0, 7, B).double()
    t, own = draws.uniform(B).double(), int(share * B)
    losses = []
    for i in range(B):
        at = ((t[i] // d[i] + 1) * d[i] if i < own else t[i])[None]
        x_t = line(batch.data, noise, at.expand(B))[i : i + 1]
        if i < own:
            half = d[i] / 2
            asked = 0.0 if d[i] == 2 / 128 else half  # the shortest are velocities
            s_t = F_SG(x_t, at, at - asked)
            x_next = x_t - half * s_t
            s_next = F_SG(x_next, at - half, at - half - asked)
            losses.append(((F(x_t, at, at - d[i]) - (s_t + s_next) / 2) ** 2).sum() / 2)
        else:
            losses.append(((F(x_t, at, at) - v(x_t, at)) ** 2).sum() / 2)
    return sum(losses) / B


def lmd(batch, draws):
    noise, s, _, t = drawn(batch, draws, "two")
    x_t = line(batch.data, noise, t)
    slope = derivative(lambda s: jump(F, x_t, t, s), s)
    return square(slope, v(jump(F, x_t, t, s).detach(), s))


def emd(batch, draws):
    """E |d_t X + (v . grad) X|^2, the change of G along the teacher's velocity."""
    noise, s, _, t = drawn(batch, draws, "two")
    x_t = line(batch.data, noise, t)
    velocity = v(x_t, t)
    change = derivative(lambda tau: jump(F, x_t + tau[:, None] * velocity, t + tau, s), 0 * t)
    return square(change, 0 * change)


def meanflow(batch, draws, share=0.75, power=0.75, c=1e-3, law="logit_normal_wide", ramp=1.0):
    noise, r, _, t = drawn(batch, draws, law)
    r = torch.where(draws.uniform(B).double() < share, r, t)
    z = line(batch.data, noise, t)
    velocity = v(z, t)
    target = (velocity - ramp * (t - r)[:, None] * along(z, t, r, velocity)).detach()
    error = ((F(z, t, r) - target) ** 2).sum(dim=1)
    return (error / (error.detach() + c) ** power).sum() / B


def alphaflow(batch, draws, progress=0.5, share=0.5, c=1e-3):
    """The release's sigmoid from 1 to 0 with gamma 25, clamped at .005; squares summed."""
    alpha = 1 - 1 / (1 + torch.e ** (-25 * (progress - 0.5)))
    alpha = 0 if alpha < 0.005 else 1 if alpha > 0.995 else alpha
    noise, r, _, t = drawn(batch, draws, "logit_normal")
    r = torch.where(draws.uniform(B).double() < share, r, t)
    z = line(batch.data, noise, t)
    losses = []
    for i in range(B):
        x, t_i, r_i = z[i : i + 1], t[i : i + 1], r[i : i + 1]
        velocity, weight = v(x, t_i), 1.0
        target = velocity
        if alpha > 0 and r_i < t_i:
            dt, weight = alpha * (t_i - r_i), alpha
            after = F(x - dt * velocity, t_i - dt, r_i)
            target = (dt * velocity + (t_i - dt - r_i) * after) / (t_i - r_i)
        elif alpha == 0:
            target = velocity - (t_i - r_i) * along(x, t_i, r_i, velocity)
        error = ((F(x, t_i, r_i) - target.detach()) ** 2).sum()
        losses.append(weight * error / (error.detach() + c))
    return sum(losses) / B


def splitmeanflow(batch, draws, share=0.5):
    """Algorithm 1: s = (1 - lambda) t + lambda r, target (1 - lambda) u_1 + lambda u_2."""
    noise, r, s, t = drawn(batch, draws, "nested")
    jumps = draws.uniform(B) < share
    losses = []
    for i in range(B):
        x, t_i = line(batch.data, noise, t)[i : i + 1], t[i : i + 1]
        if jumps[i]:
            r_i, s_i = r[i : i + 1], s[i : i + 1]
            weight = (t_i - s_i) / (t_i - r_i)
            u_2 = F_SG(x, t_i, s_i)
            u_1 = F_SG(x - (t_i - s_i) * u_2, s_i, r_i)
            losses.append(F(x, t_i, r_i) - (1 - weight) * u_1 - weight * u_2)
        else:
            losses.append(F(x, t_i, t_i) - v(x, t_i))
    return sum((loss**2).sum() / 2 for loss in losses) / B


def ect(batch, draws, stage=4, q=2, k=8, b=1, mean=-1.1, deviation=2.0, c=0.03):
    """ECMLoss: r = t (1 - (1 + k sigmoid(-b sigma)) / q^(stage + 1)), Huber over t - r."""
    noise = draws.normal_like(batch.data)
    sigma = (mean + deviation * draws.normal(B, ()).double()).exp()
    draws.uniform(B)
    t = sigma / (1 + sigma)
    r = t * (1 - (1 + k / (1 + (b * sigma).exp())) / q ** (stage + 1)).clamp(min=0)
    goal = torch.where(r[:, None] > 0, jump(F_SG, line(batch.data, noise, r), r, 0 * r), batch.data)
    error = ((jump(F, line(batch.data, noise, t), t, 0 * t) - goal) ** 2).sum(dim=1) / 2
    return (((error + c**2) ** 0.5 - c) / (t - r)).sum() / B


def scm(batch, draws, ramp=1.0, mean=-1.0, deviation=1.4, c=0.1):
    """The tangent is what a consistency function changes along the teacher's trajectory."""
    noise = draws.normal_like(batch.data)
    t = torch.sigmoid(mean + deviation * draws.normal(B, ()).double())
    draws.uniform(B)
    x = line(batch.data, noise, t)
    velocity = v(x, t)
    g = (velocity - F(x, t, 0 * t) - ramp * t[:, None] * along(x, t, 0 * t, velocity)).detach()
    g = g / ((g**2).sum(dim=1, keepdim=True) ** 0.5 + c)
    return square(F(x, t, 0 * t), F(x, t, 0 * t).detach() + g)


def traflow_v4(batch, draws, path=False):
    """Eqs. 2 (with the sign mended) and 4, denoising, and weights clipped to [0.01, 10]."""
    s, u, t = (time.double() for time in sample_times(B, 0.25, K if path else None, law="two", draws=draws))

    def state(at):
        return batch.path[torch.arange(B), (at * K).round().long()] if path else line(batch.x0, batch.x1, at)

    x_u = state(u) if path else on_the_grid(state(t), t, u)
    slope = v(state(s), s) if path else batch.x1 - batch.x0
    velocity = square(derivative(lambda s: jump(F, state(t), t, s), s), slope)
    consistency = soft(state(t), x_u, t, u, s)
    z_t = line(batch.data, draws.normal_like(batch.data), t)
    gap = t.clamp(min=0.05)[:, None]
    denoising = square((z_t - t[:, None] * F(z_t, t, t)) / gap, batch.data / gap)
    return balanced(consistency, [velocity, denoising], (0.01, 10.0))


def traflow_v1(batch, draws):
    """The three targets in units of velocity."""
    s, u, t = (time.double() for time in sample_times(B, 0.25, draws=draws))
    x_t, x_s, x_u = (line(batch.x0, batch.x1, time) for time in (t, s, u))
    gap, whole = (t - s).clamp(min=0.05)[:, None], t.clamp(min=0.05)[:, None]
    landed = jump(F, x_t, t, s)
    output = square(jump(F, x_t, t, 0 * t) / whole, batch.x0 / whole)
    return output + square(landed / gap, x_s / gap) + square(landed / gap, jump(F_SG, x_u, u, s) / gap)


def traflow(batch, draws, anchored=False):
    s, _, t = (time.double() for time in sample_times(B, 0.25 if anchored else 0.6, K, draws=draws))
    at = torch.arange(B)
    x_t, x_s = (batch.path[at, (time * K).round().long()].clone() for time in (t, s))
    own = B // 4
    x_t[:own] = jump(F_SG, batch.x1, ONE, t)[:own]
    gap = (t - s).clamp(min=0.05)[:, None]
    loss = huber(jump(F, x_t, t, s) / gap, x_s / gap)
    output = huber(jump(F, batch.x1, ONE, 0 * ONE), batch.x0)
    return loss + 5.5 * output if anchored else loss  # its weight goes from 1 to 10


def with_options(function, **options):
    return lambda batch, draws: function(batch, draws, **options)


PUBLISHED = {
    "distill": [({}, distill)],
    "reflow": [({}, reflow), ({"anneal": 0.75}, annealed)],
    "reflow_pp": [({}, reflow_pp)],
    "flow_guided": [({}, flow_guided), ({"middle": "teacher"}, with_options(flow_guided, own=False))],
    "progressive": [({"steps": 4}, progressive)],
    "cd": [({}, cd)],
    "ct": [({}, ct)],
    "ctm": [({}, ctm)],
    "shortcut": [({}, shortcut), ({"bootstrap": 0.75}, with_options(shortcut, share=0.75))],
    "lmd": [({}, lmd)],
    "emd": [({}, emd)],
    "meanflow": [
        ({}, meanflow),
        (
            {"share": 0.25, "power": 1.0, "constant": 0.01, "times": "logit_normal"},
            with_options(meanflow, share=0.25, power=1.0, c=0.01, law="logit_normal"),
        ),
        ({"share": 1.0, "tangent_warmup": 0.8}, with_options(meanflow, share=1.0, ramp=0.625)),
    ],
    "alphaflow": [
        ({}, alphaflow),
        ({"begin": 0.5}, with_options(alphaflow, progress=0.0)),
        ({"end": 0.5}, with_options(alphaflow, progress=1.0)),
        ({"share": 0.75, "end": 0.9}, with_options(alphaflow, progress=0.5 / 0.9, share=0.75)),
    ],
    "splitmeanflow": [({}, splitmeanflow), ({"share": 0.75}, with_options(splitmeanflow, share=0.75))],
    "ect": [
        ({}, ect),
        ({"q": 256.0, "stages": 1, "mean": -0.4}, with_options(ect, stage=0, q=256, mean=-0.4)),
    ],
    "scm": [({}, scm), ({"tangent_warmup": 0.8}, with_options(scm, ramp=0.625))],
    "traflow_v4": [({}, traflow_v4), ({"states": "path"}, with_options(traflow_v4, path=True))],
    "traflow_v1": [({}, traflow_v1)],
    "traflow": [({}, traflow)],
    "traflow_anchored": [({}, with_options(traflow, anchored=True))],
}


@pytest.mark.parametrize("name", objectives.names())
def test_every_method_has_a_formula(name):
    assert PUBLISHED.get(name)


@pytest.mark.parametrize(
    "name, options, formula", [(name, *case) for name, cases in PUBLISHED.items() for case in cases]
)
def test_loss_and_gradient_are_those_of_the_formula(name, options, formula):
    of = torch.Generator().manual_seed(5)
    x1, x0, data = torch.randn(3, B, 2, generator=of, dtype=torch.float64)
    path = torch.randn(B, K + 1, 2, generator=of, dtype=torch.float64)
    batch = Batch(x1, x0, path, data=data, progress=0.5, draws=Draws.seeded(7))
    objective = objectives.get(name, **options)
    found = objective(JumpMap(F), JumpMap(F_SG), v, batch).total
    expected = formula(batch, Draws.seeded(7))
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    for one, other in zip(*(torch.autograd.grad(loss, list(F.parameters())) for loss in (found, expected))):
        assert one.abs().max() > 1e-4 and torch.allclose(one, other, rtol=1e-5, atol=1e-7)
