"""Trained networks by role: found by the fingerprint of their settings, else trained by fit() and kept."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from .. import nets
from ..evaluation.models import Model
from ..files import paths
from ..files.checksums import file_sha256
from ..teachers import load_network
from ..training.once import train_once
from . import settings


class Networks:
    """The networks of one data set on one device.

    resume: go on with a training that was interrupted; otherwise finding one is a ValueError.
    """

    def __init__(self, dataset: str, device: torch.device, resume: bool = True):
        self.dataset, self.device, self.resume = dataset, device, resume
        self._loaded: dict[Path, Model] = {}

    def imported(self, file: Path) -> Model:
        """The network of a release's checkpoint, with its file's checksum in the header's source."""
        if file not in self._loaded:
            source = self._load(file).header.setdefault("source", {})
            source["sha256"] = source.get("sha256") or file_sha256(file)
        return self._loaded[file]

    def trained(
        self,
        role: str,
        own: dict,
        make_loss: Callable,
        *,
        start: Callable | None = None,
        s_input: bool = False,
        **options,
    ) -> Model:
        """The network that complete settings `own` decide, with `net`, `train` and `seed` among them.

        start makes it, unless it is to be as it is built; make_loss and options: as train_once() takes them.
        """
        make, name = start or partial(nets.build, own["net"]), settings.identity(own)
        folder = paths.runs() / self._name(role, name)
        options |= {"name": name, "of": (self.dataset, role), "lock": folder.name, "resume": self.resume}
        options |= {"folder": folder, "file": folder / "model.safetensors"}
        options["header"] = {"config": own["net"], "s_input": s_input}
        return train_once(
            lambda: self.found(role, own), lambda: make().to(self.device), make_loss, own, **options
        )

    def found(self, role: str, own: dict) -> Model | None:
        """The network of these settings if it was trained before."""
        file = self.file(role, own)
        return self._load(file) if file else None

    def file(self, role: str, own: dict) -> Path | None:
        """Where it is: among the committed ones, else in runs/; also one from before fingerprints changed."""
        fingerprint = settings.identity(own)
        for name in (self._name(role, known) for known in (fingerprint, *settings.earlier(fingerprint))):
            committed = paths.committed("checkpoints", f"{name}.safetensors")
            for file in (committed, paths.runs() / name / "model.safetensors"):
                if file in self._loaded or file.exists():
                    return file
        return None

    def _name(self, role: str, fingerprint: str) -> str:
        return f"{paths.in_a_name(self.dataset)}-{role}-{fingerprint}"

    def _load(self, file: Path) -> Model:
        if file not in self._loaded:
            net, header = load_network(file)
            self._loaded[file] = Model(net.to(self.device).requires_grad_(False), header, file)
        return self._loaded[file]
