"""A network as the velocity field of a flow."""

import torch
from torch import Tensor, nn

from ..flow import per_sample
from ..nets.precision import DTYPES


class VelocityField:
    """A network as v(x, t): evaluation mode, no gradients, autocast to bf16 or fp16 if asked.

    A student's velocity is its average velocity over no time, F(x, t, t). Without a label a class-conditional
    network gives the velocity of no class. ValueError where the network has no such class.
    """

    def __init__(self, net: nn.Module, precision: str = "fp32"):
        if precision not in DTYPES:
            raise ValueError(f"precision is {precision!r}: one of {', '.join(DTYPES)}")
        self.net, self.precision = net.eval(), precision

    @torch.no_grad()
    def __call__(self, x: Tensor, t: float | Tensor, label: int | Tensor | None = None) -> Tensor:
        """v(x, t): x [B, ...], t a scalar or [B], label a class or int64 [B] -> [B, ...]."""
        classes = {} if label is None else {"label": self._checked(label, x)}
        with torch.autocast(x.device.type, DTYPES[self.precision], enabled=self.precision != "fp32"):
            t = per_sample(t, x)
            return self.net(x, t, t, **classes).to(x.dtype)

    def _checked(self, label: int | Tensor, x: Tensor) -> Tensor:
        """The label as integers [B]."""
        label, classes = torch.as_tensor(label, device=x.device), getattr(self.net, "classes", 0)
        if not classes:
            raise ValueError("this network is not class-conditional: leave label out")
        of_x = not label.is_floating_point() and label.shape in ((), (len(x),))
        if not of_x or label.min() < 0 or label.max() >= classes:
            raise ValueError(
                f"label must be an integer from 0 to {classes - 1} or one for each of the {len(x)} samples"
            )
        return label.long().expand(len(x))
