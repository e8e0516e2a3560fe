"""EDM's change of variables: exact denoisers give the closed-form velocity, the form without poles agrees,
both ends are finite.
"""

import pytest
import torch
from helpers import gaussian, mixture, randomise
from torch import nn

from traflow_lib import nets
from traflow_lib.flow import expand
from traflow_lib.jump import JumpMap
from traflow_lib.nets.edm import EDM, SIGMA_MAX, noise_label, velocity_of_denoiser

FLOWS = {"gaussian": gaussian, "mixture": mixture}
TIMES = [0.01, 0.05, 0.3, 0.5, 0.77, 0.95, 0.99]
ADM = {
    "kind": "adm",
    "size": 8,
    "width": 16,
    "multipliers": [1, 2],
    "blocks": 1,
    "attention": [4],
    "head_channels": 8,
    "classes": 3,
}
DDPMPP = {
    "kind": "ddpmpp",
    "size": 8,
    "width": 8,
    "multipliers": [1, 2],
    "blocks": 1,
    "attention": [4],
    "clock": "label",
}


def denoiser_of(flow):
    """E[data | y = data + sigma noise] of a Gaussian mixture.

    Each component's posterior mean, weighted by its density of y.
    """

    def denoise(y, sigma):
        covs = torch.einsum("kde,ke,kfe->kdf", flow.eigvecs, flow.eigvals, flow.eigvecs)
        noisy = covs + sigma[:, None, None, None] ** 2 * torch.eye(2).to(y)
        centred = y[:, None] - flow.means
        solved = torch.linalg.solve(noisy, centred[..., None])[..., 0]
        log_density = flow.log_weights - 0.5 * ((centred * solved).sum(-1) + torch.logdet(noisy))
        means = flow.means + torch.einsum("kde,bke->bkd", covs, solved)
        return (torch.softmax(log_density, dim=1)[..., None] * means).sum(1)

    return denoise


class NetworkOf(nn.Module):
    """The F(z, ln(sigma) / 4) that makes EDM's D a given denoiser.

    (D(y) - c_skip y) / c_out with y = z / c_in.
    """

    def __init__(self, denoiser, sigma_data=0.5):
        super().__init__()
        self.denoiser, self.sigma_data = denoiser, sigma_data

    def forward(self, z, label, s=None):
        sigma, data = (4 * label).exp(), self.sigma_data
        level = expand(sigma, z)
        root = (level**2 + data**2).sqrt()
        return (self.denoiser(z * root, sigma) - data**2 / root * z) * root / (level * data)


@pytest.mark.parametrize("t", TIMES)
@pytest.mark.parametrize("name", FLOWS)
def test_velocity_of_an_exact_denoiser_is_the_closed_form(name, t):
    flow = FLOWS[name]()
    x = torch.randn(200, 2, dtype=torch.float64)
    assert torch.allclose(velocity_of_denoiser(denoiser_of(flow))(x, t), flow(x, t), atol=1e-5, rtol=0)


@pytest.mark.parametrize("sigma_data", [0.5, 1.3])
@pytest.mark.parametrize("t", TIMES)
@pytest.mark.parametrize("name", FLOWS)
def test_preconditioned_network_is_the_closed_form_too(name, t, sigma_data):
    flow = FLOWS[name]()
    net = EDM(NetworkOf(denoiser_of(flow), sigma_data), sigma_data)
    x = torch.randn(200, 2, dtype=torch.float64)
    assert torch.allclose(net(x, torch.full((200,), t).double()), flow(x, t), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", FLOWS)
def test_at_noise_time_the_velocity_is_x_minus_the_mean(name):
    flow = FLOWS[name]()
    x, mean = torch.randn(200, 2, dtype=torch.float64), (flow.log_weights.exp()[:, None] * flow.means).sum(0)
    net = EDM(NetworkOf(denoiser_of(flow)))
    assert torch.allclose(flow(x, 1.0), x - mean)
    assert torch.allclose(velocity_of_denoiser(denoiser_of(flow), sigma_max=1e6)(x, 1.0), x - mean, atol=1e-4)
    assert torch.allclose(velocity_of_denoiser(denoiser_of(flow))(x, 1.0), x - mean, atol=10 / SIGMA_MAX)
    assert torch.allclose(net(x, torch.ones(200).double()), x - mean, atol=10 / SIGMA_MAX)


@pytest.mark.parametrize("name", FLOWS)
def test_at_data_time_the_velocity_is_finite_and_near_the_limit(name):
    """On the data, where x is at time 0, v is E[noise] - x = -x - sigma score(x) -> -x."""
    flow = FLOWS[name]()
    x = flow.sample(200)
    for v in (
        velocity_of_denoiser(denoiser_of(flow))(x, 0.0),
        EDM(NetworkOf(denoiser_of(flow)))(x, torch.zeros(200).double()),
    ):
        assert torch.allclose(v, -x, atol=0.1)


def test_label_is_a_quarter_of_log_sigma_and_bounded():
    t = torch.tensor([0.0, 0.002, 0.5, 0.99, 1.0], dtype=torch.float64)
    sigma = torch.tensor([0.002, 0.002 / 0.998, 1.0, 99.0, 100.0], dtype=torch.float64)
    assert torch.allclose(noise_label(t), sigma.log() / 4)


@pytest.mark.parametrize("inner", [DDPMPP, ADM], ids=lambda c: c["kind"])
def test_student_and_its_derivatives_are_finite_at_both_ends(inner):
    net = randomise(nets.build({"kind": "edm", "net": inner}, s_input=True))
    x = torch.randn(3, 3, 8, 8)
    t, s = torch.tensor([1.0, 1.0, 0.4]), torch.tensor([0.0, 1.0, 0.0])
    jump = JumpMap(net)
    parts = (*jump.with_derivative(x, t, s), *jump.along(x, t, s, x))
    sum(part.square().sum() for part in parts).backward()
    assert all(
        part.isfinite().all() for part in (*parts, *(p.grad for p in net.parameters() if p.grad is not None))
    )


@pytest.mark.parametrize("inner", [DDPMPP, ADM], ids=lambda c: c["kind"])
def test_derivative_in_s_and_t_is_the_difference_quotient(inner):
    net = randomise(nets.build({"kind": "edm", "net": inner}, s_input=True)).double()
    x, t, s, step = (
        torch.randn(2, 3, 8, 8).double(),
        torch.tensor([0.5, 0.8]).double(),
        torch.tensor([0.1, 0.3]).double(),
        1e-5,
    )
    for function, at in ((lambda s: net(x, t, s), s), (lambda t: net(x, t, s), t)):
        exact = torch.func.jvp(function, (at,), (torch.ones(2).double(),))[1]
        assert exact.abs().max() > 1e-4 and torch.allclose(
            exact, (function(at + step) - function(at - step)) / (2 * step), atol=1e-6
        )


@pytest.mark.parametrize("inner", [DDPMPP, ADM], ids=lambda c: c["kind"])
def test_warm_start_ignores_s(inner):
    config = {"kind": "edm", "net": inner}
    teacher = randomise(nets.build(config))
    student = nets.warm_start(nets.build(config, s_input=True), teacher).eval()
    x, t = torch.randn(3, 3, 8, 8), torch.rand(3)
    assert (
        torch.equal(student(x, t, torch.rand(3)), teacher(x, t))
        and student.last_layer is student.net.last_layer
    )
    assert nets.sample_shape(config) == (3, 8, 8)
