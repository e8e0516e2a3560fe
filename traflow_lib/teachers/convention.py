"""What the time, the sign and the output of someone's network mean, and which meaning its outputs fit.

Everyone's path is the straight x_t = t x_1 + (1 - t) x_0 from data x_0 to noise x_1 (Liu et al. 2023, arXiv
2209.03003; Lipman et al. 2023, arXiv 2210.02747). With v = E[x_1 - x_0 | x_t] on it, the noise expected is
E[x_1 | x_t] = x_t + (1 - t) v and the data expected are E[x_0 | x_t] = x_t - t v.
"""

from dataclasses import dataclass

from torch import Tensor

from ..flow import expand

PREDICTS = ("velocity", "noise", "data")
# nearer to the pole of their formula, predictions are read at these times: sigma = .002 and 100, as EDM's
T_MIN, T_MAX = 0.002, 0.99
# one convention fits better than another if its loss is lower by two per cent and by three standard errors
MARGIN, ERRORS = 0.02, 3.0
BEST = 6  # conventions that are shown, and the claimed one


@dataclass(frozen=True)
class Convention:
    """A network's convention, with the arguments of as_velocity; ValueError names one that is not allowed."""

    noise_at: int = 1
    predicts: str = "velocity"
    sign: int = 1
    scale: float = 1

    def __post_init__(self):
        if self.noise_at not in (0, 1):
            raise ValueError(f"noise_at is the network's time at pure noise, 0 or 1; got {self.noise_at!r}")
        if self.predicts not in PREDICTS:
            raise ValueError(f"predicts must be one of {', '.join(PREDICTS)}; got {self.predicts!r}")
        if self.sign not in (1, -1):
            raise ValueError(f"sign must be 1 or -1; got {self.sign!r}")
        if not isinstance(self.scale, int | float) or not 0 < self.scale < float("inf"):
            raise ValueError(f"scale must be a positive number; got {self.scale!r}")

    def __str__(self) -> str:
        more = (", sign=-1" if self.sign < 0 else "") + (f", scale={self.scale:g}" if self.scale != 1 else "")
        return f"noise_at={self.noise_at}, predicts='{self.predicts}'{more}"

    def bounded(self, t: Tensor) -> Tensor:
        """t [B], kept off the prediction's pole: at most T_MAX for noise, at least T_MIN for data."""
        if self.predicts == "velocity":
            return t
        return t.clamp(max=T_MAX) if self.predicts == "noise" else t.clamp(min=T_MIN)

    def their_time(self, t: Tensor) -> Tensor:
        """The network's time input [B] at our time t [B]."""
        return self.scale * (t if self.noise_at == 1 else 1 - t)

    def velocity(self, out: Tensor, x: Tensor, t: Tensor) -> Tensor:
        """v at x_t = x from the network's output there; out and x [B, ...], t [B]."""
        out, t = self.sign * out, expand(t, x)
        if self.predicts == "velocity":  # a derivative by their time
            return out if self.noise_at == 1 else -out
        return (out - x) / (1 - t) if self.predicts == "noise" else (x - out) / t


@dataclass(frozen=True)
class Fit:
    """How well a network fits each convention: str() is the table of the best, require() refuses a wrong one.

    claimed: as the network was wrapped. losses: velocity loss of each convention, best first. constant: that
    of the best constant field. tied: those which the draws cannot tell from the best, itself included.
    """

    claimed: Convention
    losses: dict[Convention, float]
    constant: float
    tied: tuple[Convention, ...]

    @classmethod
    def of(cls, claimed: Convention, draws: dict[Convention, Tensor], constant: float) -> "Fit":
        """The report on each convention's losses [n], which belong together draw by draw."""
        losses = {one: each.mean().item() for one, each in draws.items()}
        order = sorted(losses, key=lambda one: losses[one])
        best = draws[order[0]]

        def is_tied(one: Convention) -> bool:
            # a few exploding outputs would give a mean that says nothing
            gap = (draws[one] - best).clamp(max=10 * best.mean())
            return bool(gap.mean() <= max(MARGIN * best.mean(), ERRORS * gap.std() / len(gap) ** 0.5))

        return cls(claimed, {one: losses[one] for one in order}, constant, tuple(filter(is_tied, order)))

    @property
    def best(self) -> Convention:
        """The convention that fits: the claimed one if none is better, else with sign 1 if it can be."""
        return self.claimed if self.claimed in self.tied else max(self.tied, key=lambda one: one.sign)

    @property
    def ok(self) -> bool:
        """Whether the claimed convention is the network's."""
        return self.best == self.claimed and self.losses[self.best] < self.constant

    @property
    def verdict(self) -> str:
        """One line: whether the claimed convention fits, and if not, the call that does."""
        best, loss = self.best, self.losses[self.best]
        if not loss < self.constant:
            return (
                f"your network fits no convention: the best, {best}, has loss {loss:.3g}, a constant "
                f"{self.constant:.3g}; is it trained, on data in this range, and on the straight path?"
            )
        if self.ok:
            text = f"your network fits {best} (loss {loss:.3g}; a constant {self.constant:.3g})"
        else:
            text = (
                f"your network fits {best} better (loss {loss:.3g} against "
                f"{self.losses[self.claimed]:.3g}): call as_velocity(net, {best})"
            )
        others = " or ".join(f"({one})" for one in self.tied if one != best)
        return text + (f"; these draws cannot tell it from {others}" if others else "")

    def __str__(self) -> str:
        rows = [
            f"{loss:10.4g}  {one}{'  <- as wrapped' if one == self.claimed else ''}"
            for rank, (one, loss) in enumerate(self.losses.items())
            if rank < BEST or one == self.claimed
        ]
        return "\n".join(["      loss  convention", *rows, self.verdict])

    def require(self) -> "Fit":
        """The report itself; ValueError with the verdict if the network does not fit as it was wrapped."""
        if not self.ok:
            raise ValueError(self.verdict)
        return self
