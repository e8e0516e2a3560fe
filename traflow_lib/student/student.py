"""A student of anyone's teacher: draw from it, show it, keep it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from .. import nets, objectives
from ..batch import class_labels
from ..data import sample_files
from ..evaluation.features import Extractor, to_uint8
from ..files.checks import finite
from ..files.chunks import Chunks, chunk
from ..files.tensors import load_tensors
from ..jump import JumpMap
from ..nets.target_time import TargetTime, with_target_time
from ..pairs import draw, sample_start
from ..teachers import load_network, save_network
from ..teachers.adapter import Velocity, as_velocity
from ..teachers.checkpoints import read_header
from .given import whole_number
from .measured import Evaluation, evaluation


@dataclass
class Student:
    """A network F(x, t, s) whose jumps G(x, t, s) = x + (s - t) F draw samples in one call or a few.

    shape: of one sample, (C, H, W) or (D,); classes: of a class-conditional one, else 0; header: what its
    file says of it (method, settings, training); file: where its weights are, once they are in one.
    """

    net: nn.Module
    shape: tuple[int, ...]
    classes: int = 0
    header: dict = field(default_factory=dict)
    file: Path | None = None

    @property
    def name(self) -> str:
        """That of its file; of one that training left, of the folder."""
        file = (self.file or Path("student")).absolute()
        return file.parent.name if file.stem in ("student", "model") else file.stem

    def __repr__(self) -> str:
        of = "" if not self.classes else f", {self.classes} classes"
        return f"Student of {self.shape}{of}, {sum(p.numel() for p in self.net.parameters()):,} parameters"

    @torch.no_grad()
    def sample(self, n: int, calls: int = 1, seed: int = 0, label: int | Tensor | None = None) -> Tensor:
        """n samples [n, *shape] on the CPU, each of (seed, i) alone; images lie in [-1, 1], but for errors.

        calls: network calls a sample. label: a class, or one for each sample; without it a class-conditional
        student draws random ones. ValueError for what is out of range, and for samples that are no numbers.
        """
        n, calls, seed = (
            whole_number("n", n, 1),
            whole_number("calls", calls, 1),
            whole_number("seed", seed, 0),
        )
        device = next(self.net.parameters()).device
        asked = None if label is None else class_labels(label, self.classes, n)
        how = objectives.sampler(self.header.get("settings", {}))

        def drawn(start: int, stop: int) -> Tensor:
            noise, label = sample_start(seed, start, stop, self.shape, self.classes, device)
            label = label if asked is None else asked[start:stop].to(device)
            return draw(JumpMap(self.net.eval(), label), how, seed, start, noise, calls).float().cpu()

        return finite(torch.cat([*Chunks(chunk(self.shape)).of(drawn, 0, n)]))

    def to_images(self, n: int, calls: int = 1, seed: int = 0, label=None) -> list:
        """n samples as pictures of Pillow (arguments as in sample); ValueError where they are no images."""
        if len(self.shape) != 3 or self.shape[0] not in (1, 3):
            raise ValueError(f"samples of shape {self.shape} are no pictures of one or three channels")
        return sample_files.pictures(to_uint8(self.sample(n, calls, seed, label)))

    def grid(self, n: int = 64, calls: int = 1, seed: int = 0, columns: int = 8, label=None):
        """n samples as one picture of Pillow, `columns` beside each other (arguments as in sample)."""
        columns = whole_number("columns", columns, 1)
        return sample_files.sheet(self.to_images(n, calls, seed, label), columns)

    def evaluate(
        self, data, calls: Iterable[int] = (1, 2, 4), n: int = 5_000, extractor: Extractor | None = None
    ) -> Evaluation:
        """Frechet distance of n samples to n pictures, as files hold them, by the number of calls.

        data: pictures as distill takes them. extractor: what makes the features; unless given, a network of
        random weights (features.random_network), which needs no classes and no download. Beside it the
        distance of two halves of the pictures, n / 2 each: as few samples make every distance too large, with
        some hundred pictures a student may score below it. A student in a file leaves records of both in
        runs/results/records/students. ValueError for samples of another shape, or too few pictures.
        """
        return evaluation(self, data, calls, n, extractor)

    def save(self, file: str | Path) -> Path:
        """Write weights and header as safetensors; load() reads them again. Returns the file."""
        file, header = Path(file), {key: value for key, value in self.header.items() if key != "network"}
        config = self.header.get("network", {"kind": "yours"})
        facts = {"shape": self.shape, "classes": self.classes, "s_input": True}
        save_network(file, self.net, config, **header | facts)
        self.file = file
        return file


def load(file: str | Path, network: nn.Module | Callable[[], nn.Module] | None = None) -> Student:
    """The student in a file of save(), or of the kit's own trainings.

    network: of a student whose network is yours, that network or what makes it (MyNet; lambda: MyNet(64)),
    bare or in the wrappers of as_velocity and with_target_time; the file knows those. Weights are checked by
    name and shape. ValueError, FileNotFoundError.
    """
    file = Path(file)
    header = read_header(file)
    config = header["network"]
    if config.get("kind") != "yours":
        net, header = load_network(file)
        return Student(net, nets.sample_shape(config), getattr(net, "classes", 0), header, file)
    if network is None:
        raise ValueError(f"{file.name} holds the weights of a network of your own: load(file, network=...)")
    net = network if isinstance(network, nn.Module) or not callable(network) else network()
    if not isinstance(net, nn.Module):
        raise ValueError(f"network={network!r} is, or makes, {type(net).__name__}, not a torch module")
    net = _wrapped(net, config.get("target_time"))
    nets.load_exactly(net, load_tensors(file), file.name)
    return Student(net.eval(), tuple(header["shape"]), header["classes"], header, file)


def _wrapped(net: nn.Module, target_time: dict | None) -> nn.Module:
    """A bare network of yours in the wrappers of its student; one that has them already as it is."""
    if target_time is None or isinstance(net, TargetTime):
        return net
    if "velocity" in target_time and not isinstance(net, Velocity):
        if target_time["velocity"]["call"] is None:
            raise ValueError("a function of yours calls its network: network=as_velocity(net, call=...)")
        net = as_velocity(net, **target_time["velocity"])
    return with_target_time(net, target_time["layer"], target_time["last_layer"])
