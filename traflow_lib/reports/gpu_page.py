"""docs/gpu.md: what the GPU recipes cost, written from the records of benchmarks/gpu_check.py."""

from pathlib import Path

from ..evaluation.records import Record, read
from ..files import paths
from .published import published
from .tables import markdown, number

TITLE = """# What the GPU recipes cost

Measured by `make gpu-check` on {device} with torch {torch}: every method of a
recipe at full size, by the kit's own code (pairs, `fit`, checkpoint), for three steps of which the last two
are timed. Images are random and teachers hardly trained: neither speed nor memory depends on them. **In one
pass** is the number of samples that goes through the networks at once; what was tried first and did not fit
into the GPU's memory is in brackets.{carried}
The minutes did not suffice for: {missing}. This page is written by
`python -m traflow_lib store` from `results/records/*/gpu-check.jsonl`.
"""
CARRIED = " In this run the methods after one that did not fit kept its smaller pass."
PROFILES = ("gpu", "paper")
RECIPES = ("cifar10", "fashion_mnist", "celeba64", "imagenet64", "ffhq64")
PAPER = """## Beside the paper

The paper gives the speed of two of its losses, each alone, on one H100 (CIFAR-10, 55.7M parameters). Ours are
of profile `paper`: batch {batch}, {pass_} in one pass, {precision}.
"""
ROUNDING = """## One call of the network, and its rounding

{batch} images at a time. The error is that of the output against float64, relative, of four images. torch
lets the GPU round the factors of convolutions to TF32 where float32 is asked for; a tolerance below that
error asks an adaptive solver for what it cannot see.
"""


def page() -> str:
    """docs/gpu.md as the committed records have it."""
    found = {profile: read(_file(profile)) for profile in PROFILES}
    everything = [record for records in found.values() for record in records]
    provenance = everything[0].provenance
    absent = [name for name in RECIPES if not any(record.dataset == name for record in everything)]
    cut_short = [
        f"{name} in part"
        for name in RECIPES
        if name not in absent and not _of(found["gpu"], name, "jumps")
    ]  # fmt: skip
    parts = [
        TITLE.format(
            device=provenance["device"],
            torch=provenance["packages"]["torch"],
            carried=CARRIED if any(map(_kept_smaller, found["gpu"])) else "",
            missing=", ".join([*absent, *cut_short]) or "nothing",
        )
    ]
    parts.append(_beside_the_paper(found["paper"]))
    parts.append("## Training\n")
    for name in RECIPES:
        if rows := _of(found["gpu"], name, "training"):
            parts += [f"### {name}, profile gpu\n", _training(rows)]
    calls = [record for record in everything if record.sampler == "jumps"]
    parts += [ROUNDING.format(batch=calls[0].n_generated), _rounding(calls)]
    return "\n".join(parts)


def measured() -> bool:
    """Whether there are records to write the page from."""
    return all(_file(profile).exists() for profile in PROFILES)


def _file(profile: str) -> Path:
    return paths.committed("records", profile, "gpu-check.jsonl")


def _of(found: list[Record], dataset: str, sampler: str) -> list[Record]:
    return [record for record in found if (record.dataset, record.sampler) == (dataset, sampler)]


def _kept_smaller(record: Record) -> bool:
    """Whether a training took smaller passes than its recipe asks for, without having tried larger ones."""
    return bool(record.training.get("micro_batch") and not record.training["refused"])


def _value(record: Record, metric: str) -> str:
    return number(record.metrics[metric][0]) if metric in record.metrics else ""


def _beside_the_paper(found: list[Record]) -> str:
    rows = []
    for loss in ("velocity", "consistency"):
        told = next(
            row
            for row in published(metric="throughput")
            if row.dataset == "cifar10" and f"{loss} loss" in row.method
        )
        ours = next(record for record in found if record.method == loss)
        speed, memory = _value(ours, "images_per_second"), _value(ours, "peak_memory_gib")
        rows.append([loss, told.value, speed, memory])
    size = {"batch": ours.training["batch"], "pass_": ours.training["micro_batch"]}
    header = ["loss", "the paper's images/s", "ours", "peak memory (GiB)"]
    return PAPER.format(**size, precision=ours.training["precision"]) + "\n" + markdown(header, rows)


def _training(found: list[Record]) -> str:
    rows = []
    for record in sorted(found, key=lambda record: (record.method != "teacher", record.method)):
        facts = record.training
        whole = facts["micro_batch"] or facts["batch"]
        refused = f" ({', '.join(map(str, facts['refused']))} did not fit)" if facts["refused"] else ""
        speed, memory = _value(record, "images_per_second"), _value(record, "peak_memory_gib")
        rows.append([record.method, str(facts["batch"]), f"{whole}{refused}", speed, memory])
    kind = found[0].training
    header = ["method", "batch", "in one pass", f"images/s ({kind['precision']})", "peak memory (GiB)"]
    return markdown(header, rows)


def _rounding(calls: list[Record]) -> str:
    header = ["network", "parameters (M)", "precision", "images/s", "peak memory (GiB)", "relative error"]
    rows = []
    for record in sorted(calls, key=lambda record: (record.profile, record.dataset, record.method)):
        network = [f"{record.dataset}, profile {record.profile}", number((record.parameters or 0) / 1e6)]
        measured = [_value(record, metric) for metric in ("images_per_second", "peak_memory_gib")]
        error = f"{record.metrics['relative_error'][0]:.1e}"
        if exact := record.metrics.get("relative_error_without_tf32"):
            error += f" (without TF32 {exact[0]:.1e})"
        rows.append([*network, record.training["precision"], *measured, error])
    return markdown(header, rows)
