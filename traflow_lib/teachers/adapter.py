"""Anyone's velocity network as one of this kit."""

import inspect
from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor, nn

from ..data.image_set import Images
from ..flow import chord, per_sample
from .convention import PREDICTS, Convention, Fit

TIMES = ("t", "time", "times", "timestep", "timesteps")
LABELS = ("label", "labels", "y", "class_labels")
CALLS = "'x, t', 't, x' or a function call(net, x, t, label)"
CHECK_BATCH = 256
HUGE = 1e30  # the loss of an output that is no number, so that it can still be compared


class Velocity(nn.Module):
    """v(x, t) of a network with another convention; made by as_velocity."""

    def __init__(self, net: Callable, convention: Convention, call: str | Callable | None, classes: int):
        super().__init__()
        self.net, self.convention, self.classes = net, convention, classes
        self.call, self.label_name = _how_called(net, call)

    def extra_repr(self) -> str:
        """What repr() says besides the network."""
        return f"{self.convention}, call={self.call!r}, classes={self.classes}"

    def forward(
        self, x: Tensor, t: float | Tensor, s: float | Tensor | None = None, label: Tensor | None = None
    ) -> Tensor:
        """x [B, ...], t a scalar or [B], label int64 [B] -> [B, ...]; s is ignored (see with_target_time)."""
        t = self.convention.bounded(per_sample(t, x))
        return self.convention.velocity(self._output(x, self.convention.their_time(t), label), x, t)

    def _output(self, x: Tensor, time: Tensor, label: Tensor | None) -> Tensor:
        """What the network says at its own time [B], in the dtype of x: autocast gives half precision."""
        name = type(self.net).__name__
        if callable(self.call):
            out = self.call(self.net, x, time, label)
        elif label is not None and self.label_name is None:
            raise ValueError(
                f"{name} has no argument named {', '.join(LABELS)}; for label, call must be {CALLS}"
            )
        else:
            classes = {self.label_name: label} if self.label_name and label is not None else {}
            out = self.net(*((x, time) if self.call == "x, t" else (time, x)), **classes)
        out = out if isinstance(out, Tensor) else getattr(out, "sample", out)  # diffusers' answer
        shape = tuple(out.shape) if isinstance(out, Tensor) else None
        if shape != x.shape:
            raise ValueError(
                f"{name} gives {type(out).__name__ if shape is None else shape} for x {tuple(x.shape)}: "
                f"call must be {CALLS} that gives a tensor shaped like x"
            )
        return out.to(x.dtype)

    @torch.no_grad()
    def check(self, data: Tensor | Images, label: Tensor | None = None, n: int = 1024, seed: int = 0) -> Fit:
        """Which convention fits: the velocity loss on n chords of data and noise, as wrapped and otherwise.

        Otherwise: every time direction, prediction and sign, with the scale given, 1 and 1000, on the same
        draws, whose times are uniform in [.1, .9], off the poles. Four or six network calls a chord.

        data: [N, ...] as the network was trained on; label: int64 [N] for a class-conditional network. Leaves
        the network in evaluation mode. ValueError for data that are no numbers.
        """
        if not hasattr(data, "shape") or min(len(data), n - 1) < 1:
            raise ValueError(
                "check needs data [N, ...] (ImageFolder, ImageArray, a tensor), and n of at least 2"
            )
        draws = torch.Generator().manual_seed(seed)
        rows = torch.randint(len(data), (n,), generator=draws)
        drawn = torch.as_tensor(data[rows])
        if not drawn.is_floating_point():
            raise ValueError(f"data are {drawn.dtype}, not what the network was trained on; take ImageArray")
        if not drawn.isfinite().all():
            raise ValueError("data hold NaN or infinite values")
        self.eval()
        like = next(self.parameters(), drawn)
        losses: dict[Convention, list[Tensor]] = {}
        for part in torch.arange(n).split(CHECK_BATCH):
            x0, of = drawn[part].to(like), None if label is None else label[rows[part]].to(like.device)
            x1 = torch.randn(x0.shape, generator=draws).to(like)
            t = (0.1 + 0.8 * torch.rand(len(x0), generator=draws)).to(like)
            x_t = chord(x0, x1, t)
            for noise_at, scale in product((1, 0), dict.fromkeys((self.convention.scale, 1, 1000))):
                out = self._output(x_t, Convention(noise_at, scale=scale).their_time(t), of)
                for predicts, sign in product(PREDICTS, (1, -1)):
                    one = Convention(noise_at, predicts, sign, scale)
                    error = (one.velocity(out, x_t, t) - (x1 - x0)).double().square().flatten(1).mean(dim=1)
                    losses.setdefault(one, []).append(error.nan_to_num(nan=HUGE, posinf=HUGE).cpu())
        constant = 1 + drawn.double().var(dim=0).mean().item()  # the variance of x_1 - x_0
        return Fit.of(self.convention, {one: torch.cat(each) for one, each in losses.items()}, constant)


def _how_called(net: Callable, call: str | Callable | None) -> tuple[str | Callable, str | None]:
    """How the network is called, and what it calls its label; read from the names of its arguments."""
    signature = inspect.signature(net.forward if isinstance(net, nn.Module) else net)
    names = list(signature.parameters)
    if call is None:
        is_time = [name in TIMES for name in names[:2]]
        if sum(is_time) != 1:
            raise ValueError(
                f"{type(net).__name__} takes {signature}, which does not say where its time goes: "
                f"call must be {CALLS}"
            )
        call = "t, x" if is_time[0] else "x, t"
    if not callable(call) and call not in ("x, t", "t, x"):
        raise ValueError(f"call must be {CALLS}; got {call!r}")
    return call, next((name for name in names if name in LABELS), None)


def as_velocity(
    net: Callable,
    noise_at: int = 1,
    predicts: str = "velocity",
    sign: int = 1,
    scale: float = 1,
    call: str | Callable | None = None,
    classes: int = 0,
) -> Velocity:
    """Someone else's network, sharing its weights, as v(x, t) of this kit, in evaluation mode.

    Here t = 0 is data, t = 1 is noise and v is the mean of x_1 - x_0. The result has gradients: from it
    with_target_time makes a student, VelocityField a teacher. Whether the arguments are right says
    `.check(data)`. Only for networks of the straight path: DDPM's are read by load_teacher.

    >>> import torch
    >>> from traflow_lib.flow import GaussianFlow
    >>> exact = GaussianFlow(torch.tensor([2.0, 0.0]), 0.1 * torch.eye(2))
    >>> def theirs(t, x):  # noise at time 0, and the velocity points at the data
    ...     return -exact(x, 1 - t)
    >>> v = as_velocity(theirs, noise_at=0)
    >>> x = torch.randn(4, 2)
    >>> torch.equal(v(x, 0.25), exact(x, 0.25))
    True
    >>> print(v.check(exact.sample(1000)).verdict)  # doctest: +ELLIPSIS
    your network fits noise_at=0, predicts='velocity' (loss ...; a constant ...)
    >>> as_velocity(theirs).check(exact.sample(1000)).require()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: your network fits noise_at=0, predicts='velocity' better ...

    Near the pole of its formula a prediction is read at the last good time: noise, v = (x_1 - x) / (1 - t),
    at t = .99; data, v = (x - x_0) / t, at t = .002. An error of the network counts up to 100 and 500 times
    there: one that predicts noise makes a poor student, whose jumps start at t = 1.

    Args:
        net: module or function of x [B, ...] and time [B] -> [B, ...], or an object whose `sample` that is.
        noise_at: the network's time at pure noise, 1 or 0; its time at data is the other.
        predicts: "velocity" (dx/dtime by the network's own time), "noise" or "data".
        sign: what its output is multiplied by, 1 or -1.
        scale: what its time, from 0 to 1, is multiplied by (1000 for many of diffusers' networks).
        call: "x, t", "t, x" or a function call(net, x, t, label); by default the names of its first two
            arguments say which is the time.
        classes: how many classes a label may name; it is passed on by the network's own name for it.

    Raises:
        ValueError: an argument is not one of these, or the names do not say how the network is called.
    """
    if not callable(net):
        raise ValueError(f"net must be a network or function; got {net!r}")
    if not isinstance(classes, int) or classes < 0:
        raise ValueError(f"classes is the number of classes, 0 for none; got {classes!r}")
    return Velocity(net, Convention(noise_at, predicts, sign, scale), call, classes).eval()
