"""Networks on disk (safetensors with configuration and origin in the header), and velocity fields of them."""

import json
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from .. import nets
from ..batch import class_labels
from ..files.checksums import file_sha256
from ..files.tensors import load_tensors, read_facts, read_shapes, save_tensors
from ..flow import per_sample
from ..nets.precision import DTYPES
from . import releases

LARGEST = 65_536  # side of a sample


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
        known = getattr(self.net, "classes", 0)
        classes = {} if label is None else {"label": class_labels(label, known, len(x)).to(x.device)}
        with torch.autocast(x.device.type, DTYPES[self.precision], enabled=self.precision != "fp32"):
            t = per_sample(t, x)
            return self.net(x, t, t, **classes).to(x.dtype)


def save_network(file: str | Path, net: nn.Module, config: dict, **header) -> None:
    """Write weights with the `net` block that builds them and other facts, which are JSON-able."""
    facts = {"network": config, **header}
    save_tensors(Path(file), net.state_dict(), {key: json.dumps(value) for key, value in facts.items()})


def read_header(file: str | Path) -> dict:
    """The facts stored beside the weights; a file that is not a checkpoint of this kit raises ValueError."""
    file = Path(file)
    if file.is_dir():
        raise ValueError(f"{file} is a folder; name the file in it, such as student.safetensors")
    try:
        facts = read_facts(file)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no checkpoint {file}") from None
    if "network" not in facts:
        raise ValueError(f"{file.name} was not written by this kit: its header names no network")
    try:
        header = {key: json.loads(value) for key, value in facts.items()}
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{file.name} has a damaged header ({error}); replace it") from None
    for key in ("network", "settings", "training", "source"):
        if not isinstance(header.get(key, {}), dict):
            raise ValueError(f"{file.name} has a damaged header: its {key} is {str(header[key])[:40]!r}")
    return header


def load_network(file: str | Path) -> tuple[nn.Module, dict]:
    """The network in a checkpoint of the kit or a release (RectifiedFlow .pth, EDM .pkl), and its header.

    A release's header holds the configuration found and the source. ValueError, in one line, where a file
    does not fit or is not whole.
    """
    file = Path(file)
    if not file.exists():
        raise FileNotFoundError(f"there is no checkpoint {file}")
    if file.suffix in releases.READERS:
        config, tensors, source = releases.READERS[file.suffix](file)
        header: dict = {"network": config, "source": source}
    else:
        header = read_header(file)
        if header["network"].get("kind") == "yours":
            raise ValueError(
                f"{file.name} holds the weights of a network of your own: in Python, "
                "traflow_lib.load(file, network=...) makes a student of them"
            )
        _require_fit(header, read_shapes(file), file.name)
        tensors = load_tensors(file)
    net = nets.build(header["network"], s_input=header.get("s_input", False))
    nets.load_exactly(net, tensors, file.name)
    return net.eval(), header


def _require_fit(header: dict, shapes: dict[str, torch.Size], source: str) -> None:
    """ValueError unless the header's network has tensors of these shapes, before memory is taken for any."""
    count = 0

    def counted(*_) -> None:
        nonlocal count
        count += 1
        if count > len(shapes) + 1000:  # one of a thousand million layers would never be built
            raise ValueError(f"it has far more than the {len(shapes)} tensors of the file")

    hook = register_module_parameter_registration_hook(counted)
    try:
        with torch.device("meta"):
            net = nets.build(header["network"], s_input=header.get("s_input", False))
        is_classifier = header["network"].get("kind") == "classifier"
        sample = () if is_classifier else nets.sample_shape(header["network"])
    except Exception as error:  # whatever a network makes of sizes that cannot be
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{source} does not fit the network that its header names: {reason}") from None
    finally:
        hook.remove()
    if not all(isinstance(side, int) and 0 < side <= LARGEST for side in sample):
        raise ValueError(f"{source} says that a sample has the shape {sample}; sides are 1 to {LARGEST}")
    nets.check_exactly({name: value.shape for name, value in net.state_dict().items()}, shapes, source)


def load_teacher(path: str | Path, precision: str = "fp32") -> VelocityField:
    """The velocity field in a checkpoint of the kit or a release, or in a diffusers UNet2DModel's folder.

    A student's is its F(x, t, t). precision: "fp32", "bf16" or "fp16". Errors as load_network().
    """
    path = Path(path)
    if path.is_dir():
        from .diffusers_unet import load_unet  # needs the optional diffusers

        return VelocityField(load_unet(path), precision)
    net, header = load_network(path)
    nets.sample_shape(header["network"])  # a classifier is none
    return VelocityField(net, precision)


def import_teacher(file: str | Path, out: str | Path | None = None) -> Path:
    """Rewrite a release's checkpoint in this kit's format, with its SHA-256 in the header; the new file."""
    file = Path(file)
    if file.suffix not in releases.READERS:
        raise ValueError(
            f"{file.name} is no checkpoint of a release: their files end in {', '.join(releases.READERS)}"
        )
    net, header = load_network(file)
    out = Path(out or file.with_suffix(".safetensors"))
    save_network(out, net, header["network"], source=header["source"] | {"sha256": file_sha256(file)})
    return out
