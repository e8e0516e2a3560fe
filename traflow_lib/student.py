"""Students of anyone's teacher: distil one, draw from it, measure it, keep it.

    student = distill(teacher, ImageFolder("pictures", size=64), method="traflow", steps=20_000, out="mine")
    images = student.sample(64, calls=1, seed=0)
    student.save("mine.safetensors")

The recipes' experiments train with the same objective, batches and loop.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from . import nets
from .files.checks import finite
from .jump import JumpMap
from .pairs import chunk, sample_start
from .teachers import load_network, save_network
from .teachers.checkpoints import read_header


@dataclass
class Student:
    """A network F(x, t, s) whose jumps G(x, t, s) = x + (s - t) F draw samples in one call or a few.

    shape: of one sample, (C, H, W) or (D,); classes: of a class-conditional one, else 0; header: what its
    file says of it (method, settings, training).
    """

    net: nn.Module
    shape: tuple[int, ...]
    classes: int = 0
    header: dict = field(default_factory=dict)

    @torch.no_grad()
    def sample(self, n: int, calls: int = 1, seed: int = 0, label: int | Tensor | None = None) -> Tensor:
        """n samples [n, *shape] on the CPU; images lie in [-1, 1], up to the network's errors.

        Sample i depends on (seed, i) alone. calls: network calls a sample. label: a class, or one for each
        sample; without it a class-conditional student draws random ones. ValueError for what is out of range,
        and where the network gives numbers that are none.
        """
        if n < 1 or calls < 1:
            raise ValueError(f"n and calls must be at least 1, got n={n} and calls={calls}")
        device, parts = next(self.net.parameters()).device, []
        asked = self._labels(label, n)
        for start in range(0, n, chunk(self.shape)):
            stop = min(start + chunk(self.shape), n)
            noise, drawn = sample_start(seed, start, stop, self.shape, self.classes, device)
            label = drawn if asked is None else asked[start:stop].to(device)
            parts.append(JumpMap(self.net.eval(), label).sample(noise, calls).float().cpu())
        return finite(torch.cat(parts))

    def _labels(self, label: int | Tensor | None, n: int) -> Tensor | None:
        if label is None:
            return None
        asked = torch.as_tensor(label)
        if not self.classes:
            raise ValueError("label: this student knows no classes; leave it out")
        whole = not asked.is_floating_point() and asked.shape in ((), (n,))
        if not whole or asked.min() < 0 or asked.max() >= self.classes:
            raise ValueError(f"label must be an integer from 0 to {self.classes - 1}, or one for each of {n}")
        return asked.long().expand(n)

    def to_images(self, n: int, calls: int = 1, seed: int = 0, label=None) -> list:
        """n samples as pictures of Pillow (arguments as in sample); ValueError where they are no images."""
        from PIL import Image

        from .evaluation.features import to_uint8

        if len(self.shape) != 3 or self.shape[0] not in (1, 3):
            raise ValueError(f"samples of shape {self.shape} are no pictures of one or three channels")
        pixels = to_uint8(self.sample(n, calls, seed, label)).permute(0, 2, 3, 1).numpy()
        return [Image.fromarray(one[:, :, 0] if self.shape[0] == 1 else one) for one in pixels]

    def grid(self, n: int = 64, calls: int = 1, seed: int = 0, columns: int = 8, label=None):
        """n samples as one picture of Pillow, `columns` beside each other (arguments as in sample)."""
        from PIL import Image

        pictures = self.to_images(n, calls, seed, label)
        width, height = pictures[0].size
        sheet = Image.new(pictures[0].mode, (width * min(columns, n), height * -(-n // columns)))
        for i, picture in enumerate(pictures):
            sheet.paste(picture, (i % columns * width, i // columns * height))
        return sheet

    def save(self, file: str | Path) -> Path:
        """Write weights and header as safetensors; load() reads them again. Returns the file."""
        file, header = Path(file), {key: value for key, value in self.header.items() if key != "network"}
        config = self.header.get("network", {"kind": "yours"})
        facts = {"shape": self.shape, "classes": self.classes, "s_input": True}
        save_network(file, self.net, config, **header | facts)
        return file


def load(file: str | Path, network: nn.Module | Callable[[], nn.Module] | None = None) -> Student:
    """The student in a file of save(), or of the kit's own trainings.

    network: of a student whose network is yours, that network with its input for the target time, as it was
    given to distill (or a function that makes it); weights are checked by name and shape. ValueError,
    FileNotFoundError.
    """
    file = Path(file)
    header = read_header(file)
    yours = header["network"].get("kind") == "yours"
    if yours and network is None:
        raise ValueError(f"{file.name} holds the weights of a network of your own: load(file, network=...)")
    if not yours:
        net, header = load_network(file)
        shape, classes = nets.sample_shape(header["network"]), getattr(net, "classes", 0)
        return Student(net, shape, classes, header)
    from safetensors.torch import load_file

    net = network if isinstance(network, nn.Module) else network()  # type: ignore[misc]
    nets.load_exactly(net, load_file(file), file.name)
    return Student(net.eval(), tuple(header["shape"]), header["classes"], header)
