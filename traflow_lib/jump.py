"""The jump map G(x_t, t, s): one network call carries a state from time t to any earlier time s.

CTM's form (Kim et al. 2024, arXiv 2310.02279) is G = (s/t) x_t + (1 - s/t) g(x_t, t, s). With F = (x_t - g)/t
it reads G = x_t + (s - t) F(x_t, t, s): F is the average velocity over [s, t]. G(x, t, t) = x by
construction, and a network F that starts as the teacher's v(x, t), blind to s, starts life as the teacher's
Euler step.
"""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from .flow import chord, expand, per_sample


class JumpMap(nn.Module):
    """G for a network net(x, t, s) -> F, the average velocity; x [B, ...], t and s scalars or [B].

    label [B]: the classes of the batch, for a class-conditional network.
    """

    def __init__(self, net: nn.Module, label: Tensor | None = None):
        super().__init__()
        self.net, self.label = net, label

    def _average(self, x: Tensor, t: Tensor, s: Tensor) -> Tensor:
        return self.net(x, t, s) if self.label is None else self.net(x, t, s, label=self.label)

    def average_velocity(self, x: Tensor, t: float | Tensor, s: float | Tensor) -> Tensor:
        """F(x_t, t, s), same shape as x."""
        return self._average(x, per_sample(t, x), per_sample(s, x))

    def forward(self, x: Tensor, t: float | Tensor, s: float | Tensor) -> Tensor:
        """G(x_t, t, s) = x_t + (s - t) F(x_t, t, s)."""
        t, s = _ordered(t, s, x)
        return x + expand(s - t, x) * self._average(x, t, s)

    def with_derivative(self, x: Tensor, t: float | Tensor, s: float | Tensor) -> tuple[Tensor, Tensor]:
        """G(x_t, t, s) and dG/ds, exact by forward-mode differentiation (one extra tangent pass)."""
        t, s = per_sample(t, x), per_sample(s, x)
        return _jvp(lambda s: self(x, t, s), (s,), (torch.ones_like(s),))

    def along(
        self, x: Tensor, t: float | Tensor, s: float | Tensor, velocity: Tensor
    ) -> tuple[Tensor, Tensor]:
        """F(x_t, t, s) and its total derivative dF/dt: x_t moves with `velocity` [B, ...], s stands still."""
        t, s = per_sample(t, x), per_sample(s, x)
        return _jvp(lambda x, t: self._average(x, t, s), (x, t), (velocity, torch.ones_like(t)))

    @torch.no_grad()
    def sample(
        self,
        noise: Tensor,
        steps: int = 1,
        keep_path: bool = False,
        renoise: Callable[[], Tensor] | None = None,
    ) -> Tensor:
        """Jumps from t = 1 to 0 on an even grid, `steps` network calls: [B, ...], or [steps + 1, B, ...].

        With `renoise` it is a consistency model's sampler: jump to 0 every time and go back up to the next
        time with fresh noise [B, ...], which renoise() gives once a call.
        """
        if not isinstance(steps, int) or steps < 1:
            raise ValueError(f"steps must be at least 1, a whole number, got {steps!r}")
        times = torch.linspace(1, 0, steps + 1).tolist()
        path = [noise]
        for t, s in zip(times[:-1], times[1:]):
            if renoise is None:
                path.append(self(path[-1], t, s))
            else:
                path.append(chord(self(path[-1], t, 0.0), renoise(), s))
        return torch.stack(path) if keep_path else path[-1]


def _ordered(t: float | Tensor, s: float | Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Two times [B] of a jump; of two numbers it is known without waiting for a device whether they fit."""
    if isinstance(t, (int, float)) and isinstance(s, (int, float)) and not 0 <= s <= t <= 1:
        raise ValueError(f"t is {t} and s {s}: a jump goes to an earlier time, 0 <= s <= t <= 1")
    return per_sample(t, x), per_sample(s, x)


def _jvp(function, inputs: tuple, tangents: tuple) -> tuple[Tensor, Tensor]:
    # autocast does not see through torch.func's wrappers, so that a convolution would fail
    exact = torch.autocast(inputs[0].device.type, enabled=False)
    # fused attention, which networks of others call, has no forward-mode derivative
    with warnings.catch_warnings(), exact, sdpa_kernel(SDPBackend.MATH):
        # torch's own first use of forward mode calls a function it has deprecated
        warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", FutureWarning)
        # a scalar time is one number seen B times, which cannot carry a tangent
        whole = tuple(one.contiguous() for one in inputs)
        return torch.func.jvp(function, whole, tangents)  # type: ignore[return-value]
