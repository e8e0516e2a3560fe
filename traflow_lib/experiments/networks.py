"""Trained networks by role: found by the fingerprint of their settings, else trained by fit() and kept.

Looked for in results/checkpoints (committed), then in runs/ (this machine's own). With several processes all
train and the first writes. Two notebooks or commands that want the same network at once train it once: the
second waits and loads it.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from ..files import paths
from ..files.checksums import file_sha256
from ..files.locks import exclusively
from ..files.processes import processes
from ..teachers import load_network, save_network
from ..training import fit
from ..training.config import TrainConfig
from . import settings


class Networks:
    """The networks of one data set on one device.

    headers, files: what was stored with the network of each role, and where.

    say: called with one line before a training. resume: go on with a training that was interrupted; otherwise
    finding one is a ValueError.
    """

    def __init__(self, dataset: str, device: torch.device, say: Callable = print, resume: bool = True):
        self.process = processes()
        self.dataset, self.device, self.resume = dataset, device, resume
        self.say = say if self.process.is_main_process else lambda line: None
        self.headers: dict[str, dict] = {}
        self.files: dict[str, Path] = {}
        self._nets: dict[str, nn.Module] = {}

    def imported(self, role: str, file: Path) -> tuple[nn.Module, dict]:
        """The network of a release's checkpoint, as it is or imported, and its header.

        The header's source has the checksum of the release's file.
        """
        if role not in self._nets:
            net, header = load_network(file)
            source = header.get("source", {})
            header["source"] = source | {"sha256": source.get("sha256") or file_sha256(file)}
            self._nets[role], self.headers[role], self.files[role] = (
                net.to(self.device).requires_grad_(False),
                header,
                file,
            )
        return self._nets[role], self.headers[role]

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
    ) -> nn.Module:
        """The network that complete settings `own` decide, with `net`, `train` and `seed` among them.

        start() gives its first state, make_loss(train) what fit() minimises, finish(net) more facts for the
        header, watch(folder) what fit() calls now and then.
        """
        fingerprint = settings.identity(own)
        name = f"{self.dataset}-{role}-{fingerprint}"
        if name in self._nets:
            return self._nets[name]
        folder = paths.runs() / name
        with exclusively(name, f"{self.dataset} {role}", self.say):
            file = self.found(role, fingerprint)
            if file is None:
                if not self.resume and any(folder.glob("checkpoint-*.pt")):
                    raise ValueError(
                        f"{folder} holds an interrupted training of {role}; add --resume to go on with it, "
                        "or delete the folder"
                    )
                train, seed = TrainConfig.of(own["train"]), own["seed"]
                self.say(f"{self.dataset}: training {role} for {train.steps:,} steps")
                loss, watch = make_loss(train), watch(folder) if watch and train.watch_every else None
                torch.manual_seed(seed)
                net, title = start().to(self.device), f"{self.dataset} {role}"
                trained = fit(
                    net, loss, train, folder, seed=seed, title=title, recipe=fingerprint, watch=watch
                )
                file = folder / "model.safetensors"
                if self.process.is_main_process:
                    facts = {
                        "s_input": s_input,
                        "training": trained.statistics,
                        "settings": own,
                        **(finish(trained.net) if finish else {}),
                    }
                    for decay, net in list(trained.averages.items())[1:]:
                        save_network(folder / f"model-ema{decay}.safetensors", net, own["net"], **facts)
                    save_network(file, trained.net, own["net"], **facts)
                self.process.wait_for_everyone()
        net, self.headers[role] = load_network(file)
        self.files[role], self._nets[name] = file, net.to(self.device).requires_grad_(False)
        return self._nets[name]

    def found(self, role: str, fingerprint: str) -> Path | None:
        """The network's file if it was trained before.

        A committed one, or this machine's own, also one from before fingerprints changed.
        """
        for name in (
            f"{self.dataset}-{role}-{known}" for known in (fingerprint, *settings.earlier(fingerprint))
        ):
            for file in (
                paths.committed("checkpoints", f"{name}.safetensors"),
                paths.runs() / name / "model.safetensors",
            ):
                if file.exists():
                    return file
        return None
