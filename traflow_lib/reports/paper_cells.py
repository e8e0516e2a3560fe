"""What the paper's tables are made of: quotations as printed and as the source has them, and ours beside."""

from dataclasses import replace

from ..evaluation.inception import MODES
from .cells import NOT_RUN, Cell, quoted, recorded
from .published import Published
from .tables import number

PROFILES = ("gpu", "paper")  # of ours, never in one column
OURS = {profile: f"ours, profile {profile}" for profile in PROFILES}
QUOTED = ["as printed", "its source says", "source", "evidence"]
SAME = "same"
NOTEBOOKS = {
    "cifar10": "08_cifar10",
    "celeba64": "09_celeba64",
    "ffhq64": "10_ffhq64_imagenet64",
    "imagenet64": "10_ffhq64_imagenet64",
}


def kind_of(metric: str) -> str | None:
    """The "fid" of "fid-clean"; None of metrics without Inception, which no published one is like."""
    kind, _, mode = metric.partition("-")
    return kind if mode in MODES else None


def title_of(metric: str) -> str:
    """How the tables write a metric."""
    return {"fid": "FID", "sfid": "sFID", "is": "IS"}.get(metric, metric)


def found(measured: list[dict], dataset: str) -> dict[str, list[dict]]:
    """What was measured on the real data set and may stand beside published numbers, by profile."""
    real = matching(measured, dataset=dataset, stand_in=False)
    kinds = [row | {"kind": kind} for row in real if (kind := kind_of(row["metric"]))]
    return {profile: matching(kinds, profile=profile) for profile in PROFILES}


def matching(rows: list[dict], **wanted) -> list[dict]:
    """The rows whose fields have these values."""
    return [row for row in rows if all(row[field] == value for field, value in wanted.items())]


def ours(measured: dict[str, list[dict]], **wanted) -> dict:
    """The columns OURS: what was `found` at each profile with these values, with metric and samples."""
    cells = {}
    for profile, rows in measured.items():
        entries = []
        for row in matching(rows, **wanted):
            value, n = number(row["value"], row["spread"]), f"{row['n_generated']:,}"
            numbers = {row["metric"]: value, "n_generated": n}
            entries.append(recorded(row, f"{value} ({row['metric']}, n = {n})", numbers))
        first, *more = entries or [Cell(NOT_RUN)]
        cells[OURS[profile]] = replace(first, more=tuple(more))
    return cells


def unfilled(rows: list[dict]) -> list[str]:
    """The profiles in whose column of these rows something was not run."""
    return [p for p in PROFILES if any(row.get(OURS[p]) == Cell(NOT_RUN) for row in rows)]


def quotation(row: Published) -> dict:
    """The columns QUOTED; what is inferred is in brackets."""
    printed = quoted(row, "printed")
    if row.reading == "inferred":
        printed = replace(printed, text=f"({printed.text})")
    own = SAME if row.printed and row.printed == row.value else quoted(row, "value")
    return dict(zip(QUOTED, (printed, own, row.source, row.evidence)))
