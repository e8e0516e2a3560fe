"""Features of many images, kept under runs/features with their checksum.

Computed batch by batch: a killed run loses at most the batch it was at, several processes share the batches,
and the same question again is answered from the file. The folder may be deleted at any time.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..files import paths
from ..files.checksums import file_sha256, fingerprint
from ..files.locks import exclusively
from ..files.log import log
from ..files.parts import in_parts
from ..files.processes import processes
from ..files.tensors import load_tensors, save_tensors
from .features import Extractor
from .frechet import mean_and_cov

BATCH, EMPTY = 500, torch.empty(0)


@dataclass(frozen=True)
class Features:
    """features [N, D] of N images; mean [D] and cov [D, D] of them in float64.

    nfe: network calls a sample, 0 for data. facts: what decides them.
    spatial [N, S], spatial_mean and spatial_cov: the same for sFID, empty unless it was asked for.
    """

    features: Tensor
    mean: Tensor
    cov: Tensor
    nfe: int
    facts: dict
    spatial: Tensor = EMPTY
    spatial_mean: Tensor = EMPTY
    spatial_cov: Tensor = EMPTY

    def __len__(self) -> int:
        return len(self.features)


def collect(
    images: Callable[[int, int], tuple[Tensor, int]],
    n: int,
    facts: dict,
    extractor: Extractor,
    *,
    spatial: bool = False,
    batch: int = BATCH,
) -> Features:
    """Features of images 0..n-1.

    images(start, stop) -> (pixels [stop - start, C, H, W] as the extractor takes them, calls an image).
    facts: JSON-able, everything that decides the pixels; with n and the extractor they name the file.
    spatial: also what sFID needs.
    """
    facts = facts | {"n": n, "extractor": extractor.name, "mode": extractor.mode}
    facts |= {"extractor_sha256": extractor.sha256, "spatial": spatial}
    everyone = processes()
    source = paths.in_a_name(facts.get("source", "images"))
    file = paths.runs() / "features" / f"{source}-{extractor.name}-{fingerprint(facts)}.safetensors"
    with exclusively(file.stem, f"features of {facts['what']}"):
        if everyone.is_main_process and (file.exists() and not _is_whole(file)):
            log.info(f"{file.name} is damaged and made again")
            file.unlink()
        everyone.wait_for_everyone()
        if file.exists():
            if everyone.is_main_process:
                log.info(f"{n:,} features of {facts['what']} from the cache, {file.name}")
            return _read(file, facts)

        def extracted(start: int, stop: int) -> dict[str, Tensor]:
            pixels, nfe = images(start, stop)
            return extractor(pixels, spatial) | {"nfe": torch.tensor(nfe)}

        folder = file.with_suffix(".parts")
        found = in_parts(folder, n, batch, extracted, lambda parts: _join(parts, file, facts))
        if found:
            log.info(f"{found:,} features of {facts['what']} were there from an interrupted run")
        return _read(file, facts)


def _join(loaded: list[dict[str, Tensor]], file: Path, facts: dict) -> None:
    """One file of all parts and their moments, and then a file of its checksum and what it holds."""
    tensors = {"nfe": torch.stack([part["nfe"] for part in loaded]).max()}
    for name, prefix in (("features", ""), ("spatial", "spatial_")):
        if name in loaded[0]:
            tensors[name] = torch.cat([part[name] for part in loaded])
            tensors[prefix + "mean"], tensors[prefix + "cov"] = mean_and_cov(tensors[name])
    save_tensors(file, tensors)
    content = json.dumps({"sha256": file_sha256(file), "facts": facts}, indent=1)
    file.with_suffix(".json").write_text(content + "\n", encoding="utf-8")


def _is_whole(file: Path) -> bool:
    try:
        content = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        return content["sha256"] == file_sha256(file)
    except (OSError, ValueError, KeyError):
        return False


def _read(file: Path, facts: dict) -> Features:
    tensors = load_tensors(file)
    return Features(nfe=int(tensors.pop("nfe")), facts=facts, **tensors)
