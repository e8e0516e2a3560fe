"""A rectified flow learned from samples agrees with the closed form."""

import torch
from helpers import mixture

from traflow_lib.flow import chord, velocity_loss
from traflow_lib.nets.mlp import MLP
from traflow_lib.objectives import LossTerms
from traflow_lib.training import fit
from traflow_lib.training.config import TrainConfig


def test_learned_velocity_of_a_mixture_is_within_five_per_cent_of_the_exact_one(tmp_path):
    """Relative L2 error, weighted by the density of the path (t uniform, x_t as training sees it)."""
    flow, config = mixture(torch.float32), TrainConfig(steps=2500, batch=1024, lr=1e-2, ema=0.99)
    data = flow.sample(500_000)

    def loss_fn(net, ema_net, progress, draws):
        x0 = data[draws.integers(0, len(data), config.batch)]
        return LossTerms(velocity_loss(net, x0, draws.normal_like(x0), draws.uniform(config.batch)), {})

    learned = fit(MLP(width=48, depth=3, frequencies=2), loss_fn, config, tmp_path, seed=0).net
    t = torch.rand(50_000)
    x_t = chord(flow.sample(50_000), torch.randn(50_000, 2), t)
    exact = flow(x_t, t)
    with torch.no_grad():
        error = (learned(x_t, t) - exact).norm() / exact.norm()
    assert error <= 0.05
