"""docs/gpu.md: what the GPU recipes cost, written from the records of benchmarks/gpu_check.py."""

from pathlib import Path

from ..evaluation.records import Record, read
from ..files import paths
from .published import published
from .rendering import template
from .tables import markdown, number

PROFILES = ("gpu", "paper")
RECIPES = ("cifar10", "fashion_mnist", "celeba64", "imagenet64", "ffhq64")


def page() -> str:
    """docs/gpu.md as the committed records have it."""
    gpu, paper = (read(_file(profile)) for profile in PROFILES)
    calls = [record for record in gpu + paper if record.sampler == "jumps"]
    missing = [name for name in RECIPES if not any(record.dataset == name for record in gpu + paper)]
    for name in RECIPES:
        if name not in missing and not _of(gpu, name, "jumps"):
            missing.append(f"{name} in part")
    return template("gpu.md.j2").render(
        provenance=gpu[0].provenance,
        # of a training that took smaller passes than its recipe asks for without having tried larger ones
        carried=any(record.training.get("micro_batch") and not record.training["refused"] for record in gpu),
        missing=missing,
        beside=_beside_the_paper(paper),
        paper=next(record for record in paper if record.method == "consistency").training,
        training={name: _training(rows) for name in RECIPES if (rows := _of(gpu, name, "training"))},
        batch=calls[0].n_generated,
        rounding=_rounding(calls),
    )


def measured() -> bool:
    """Whether there are records to write the page from."""
    return all(_file(profile).exists() for profile in PROFILES)


def _file(profile: str) -> Path:
    return paths.committed("records", profile, "gpu-check.jsonl")


def _of(found: list[Record], dataset: str, sampler: str) -> list[Record]:
    return [record for record in found if (record.dataset, record.sampler) == (dataset, sampler)]


def _cost(record: Record) -> list[str]:
    """Speed and memory, as far as they were measured."""
    metrics = [record.metrics.get(name) for name in ("images_per_second", "peak_memory_gib")]
    return [number(values[0]) if values else "" for values in metrics]


def _beside_the_paper(found: list[Record]) -> str:
    told = [row for row in published("cifar10", metric="throughput")]
    rows = []
    for loss in ("velocity", "consistency"):
        printed = next(row.value for row in told if f"{loss} loss" in row.method)
        rows.append([loss, printed, *_cost(next(record for record in found if record.method == loss))])
    return markdown(["loss", "the paper's images/s", "ours", "peak memory (GiB)"], rows)


def _training(found: list[Record]) -> str:
    rows = []
    for record in sorted(found, key=lambda record: (record.method != "teacher", record.method)):
        facts = record.training
        whole = facts["micro_batch"] or facts["batch"]
        refused = f" ({', '.join(map(str, facts['refused']))} did not fit)" if facts["refused"] else ""
        rows.append([record.method, str(facts["batch"]), f"{whole}{refused}", *_cost(record)])
    speed = f"images/s ({found[0].training['precision']})"
    return markdown(["method", "batch", "in one pass", speed, "peak memory (GiB)"], rows)


def _rounding(calls: list[Record]) -> str:
    rows = []
    for record in sorted(calls, key=lambda record: (record.profile, record.dataset, record.method)):
        network = [f"{record.dataset}, profile {record.profile}", number((record.parameters or 0) / 1e6)]
        error = f"{record.metrics['relative_error'][0]:.1e}"
        if exact := record.metrics.get("relative_error_without_tf32"):
            error += f" (without TF32 {exact[0]:.1e})"
        rows.append([*network, record.training["precision"], *_cost(record), error])
    header = ["network", "parameters (M)", "precision", "images/s", "peak memory (GiB)", "relative error"]
    return markdown(header, rows)
