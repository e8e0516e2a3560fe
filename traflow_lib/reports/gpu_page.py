"""docs/gpu.md: what the GPU recipes cost, written from the records of benchmarks/gpu_check.py."""

from pathlib import Path

from ..evaluation.records import Record, read
from ..files import paths
from .published import published
from .rendering import template
from .tables import number

PROFILES = ("gpu", "paper")
LOSSES = ("velocity", "consistency")  # whose speed the paper gives
RECIPES = ("cifar10", "fashion_mnist", "celeba64", "imagenet64", "ffhq64")


def page() -> str:
    """docs/gpu.md as the committed records have it."""
    gpu, paper = (read(_file(profile)) for profile in PROFILES)
    calls = [record for record in gpu + paper if record.sampler == "jumps"]
    missing = [name for name in RECIPES if not any(record.dataset == name for record in gpu + paper)]
    for name in RECIPES:
        if name not in missing and not _of(gpu, name, "jumps"):
            missing.append(f"{name} in part")
    told = published("cifar10", metric="throughput")
    beside = [record for loss in LOSSES for record in paper if record.method == loss]
    return template("gpu.md.j2").render(
        provenance=gpu[0].provenance,
        # of a training that took smaller passes than its recipe asks for without having tried larger ones
        carried=any(record.training.get("micro_batch") and not record.training["refused"] for record in gpu),
        missing=missing,
        beside=beside,
        told={loss: next(row.value for row in told if f"{loss} loss" in row.method) for loss in LOSSES},
        training={name: _of(gpu, name, "training") for name in RECIPES},
        calls=sorted(calls, key=lambda record: (record.profile, record.dataset, record.method)),
        cost=_cost,
        number=number,
    )


def measured() -> bool:
    """Whether there are records to write the page from."""
    return all(_file(profile).exists() for profile in PROFILES)


def _file(profile: str) -> Path:
    return paths.committed("records", profile, "gpu-check.jsonl")


def _of(found: list[Record], dataset: str, sampler: str) -> list[Record]:
    """The records of one data set and sampler, the teacher's first."""
    chosen = [record for record in found if (record.dataset, record.sampler) == (dataset, sampler)]
    return sorted(chosen, key=lambda record: (record.method != "teacher", record.method))


def _cost(record: Record) -> str:
    metrics = [record.metrics.get(name) for name in ("images_per_second", "peak_memory_gib")]
    return " | ".join(number(values[0]) if values else "" for values in metrics)
