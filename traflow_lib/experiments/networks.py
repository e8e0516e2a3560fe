"""Trained networks by role: found by the fingerprint of their settings, else trained by fit() and kept.

Looked for in results/checkpoints (committed), then in runs/ (this machine's own). With several processes all
train and the first writes. Two notebooks or commands that want the same network at once train it once: the
second waits and loads it.
"""

from collections.abc import Callable
from pathlib import Path

import torch

from ..evaluation.models import Model
from ..files import paths
from ..files.checksums import file_sha256
from ..files.locks import exclusively
from ..files.log import log
from ..files.processes import processes
from ..teachers import load_network, save_network
from ..training import fit
from ..training.config import TrainConfig
from . import settings


class Networks:
    """The networks of one data set on one device.

    resume: go on with a training that was interrupted; otherwise
    finding one is a ValueError.
    """

    def __init__(self, dataset: str, device: torch.device, resume: bool = True):
        self.process = processes()
        self.dataset, self.device, self.resume = dataset, device, resume
        self._loaded: dict[Path, Model] = {}

    def imported(self, file: Path) -> Model:
        """The network of a release's checkpoint, as it is or imported.

        The header's source has the checksum of the release's file.
        """
        if file not in self._loaded:
            source = self._load(file).header.setdefault("source", {})
            source["sha256"] = source.get("sha256") or file_sha256(file)
        return self._loaded[file]

    def trained(
        self,
        role: str,
        own: dict,
        start: Callable,
        make_loss: Callable,
        *,
        finish=None,
        watch=None,
        s_input: bool = False,
    ) -> Model:
        """The network that complete settings `own` decide, with `net`, `train` and `seed` among them.

        start() gives its first state, make_loss(train) what fit() minimises, finish(net) more facts for the
        header, watch(folder) what fit() calls now and then.
        """
        if known := self.found(role, own):
            return known
        name = self._name(role, settings.identity(own))
        with exclusively(name, f"{self.dataset} {role}"):
            if known := self.found(role, own):  # another process was at it
                return known
            file, train = paths.runs() / name / "model.safetensors", TrainConfig.of(own["train"])
            if not self.resume and any(file.parent.glob("checkpoint-*.pt")):
                raise ValueError(
                    f"{file.parent} holds an interrupted training of {role}; add --resume to go on with it, "
                    "or delete the folder"
                )
            log.info(f"{self.dataset}: training {role} for {train.steps:,} steps")
            loss = make_loss(train)
            torch.manual_seed(own["seed"])
            trained = fit(
                start().to(self.device),
                loss,
                train,
                file.parent,
                seed=own["seed"],
                title=f"{self.dataset} {role}",
                recipe=settings.identity(own),
                watch=watch(file.parent) if watch and train.watch_every else None,
            )
            if self.process.is_main_process:
                facts = {"s_input": s_input, "training": trained.statistics, "settings": own}
                facts |= finish(trained.net) if finish else {}
                for decay, net in list(trained.averages.items())[1:]:
                    save_network(file.with_name(f"model-ema{decay}.safetensors"), net, own["net"], **facts)
                save_network(file, trained.net, own["net"], **facts)
            self.process.wait_for_everyone()
        return self._load(file)

    def found(self, role: str, own: dict) -> Model | None:
        """The network of these settings if it was trained before."""
        file = self.file(role, own)
        return self._load(file) if file else None

    def file(self, role: str, own: dict) -> Path | None:
        """Where the network of these settings is, if it was trained before.

        A committed one, or this machine's own, also one from before fingerprints changed.
        """
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
