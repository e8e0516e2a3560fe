"""Which records count, and how this machine's compare with the committed ones.

A record counts only while its recipe says so: its fingerprint, which budget, number of samples and seeds are
part of, must be that of the recipe as it stands. What does not count is named and left out.
"""

import json
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from ..evaluation import records
from ..evaluation.records import Record
from ..experiments import recipes, settings
from ..files import paths
from . import tables

# how names of recipes begin that are none: records of the command evaluate and of benchmarks/, which say all
# they depend on
COMMANDS = ("evaluate-", "throughput", "gpu-check")
DIFFERENT = 3  # standard deviations over seeds by which a number may differ from the reference
SAME = 0.01  # by how much (relative) a number of a model that is loaded, not trained, may differ
SEEDS = "seeds"  # the profile whose records tell how much laptop's numbers vary with the seed
# recipe, method and calls of the numbers that `make reproduce` prints whatever their verdict
SHOWN = [
    (name, "traflow", calls)
    for name in ("00_quickstart", "04_traflow_2d", "06_digits", "fashion_mnist")
    for calls in ("1", "2")
]
COMPARED = (
    "paired_rmse",
    "sliced_w2",
    "off_support",
)  # and Frechet distances: what is compared with the reference


def stale(record: Record) -> str | None:
    """Why a record does not count any more; None if it does."""
    if record.recipe.startswith(COMMANDS):
        return None
    try:
        imported = record.teacher and json.dumps(record.teacher, sort_keys=True)
        if record.hash != _fingerprint(
            record.recipe, record.profile, record.dataset, record.method, tuple(record.seeds), imported
        ):
            return "its recipe has changed"
        recipe = _recipe(record.recipe, record.profile)
    except ValueError as error:
        return str(error)
    asked = recipe["evaluate"].get("nfe", []) + [1] * bool(recipe.get("sweep"))
    if record.sampler in ("jumps", "renoised") and record.nfe not in asked:
        return f"its recipe does not ask for {record.nfe} calls"
    return None


@cache
def _recipe(recipe: str, profile: str, teacher: str | None = None) -> dict:
    return recipes.load(recipe, profile, teacher)


@cache
def _fingerprint(
    recipe: str, profile: str, dataset: str, method: str, seeds: tuple, imported: str | None
) -> str:
    teacher = imported and json.loads(imported)
    loaded = _recipe(recipe, profile, "imported" if teacher else None)
    return settings.identity(settings.measurement(loaded, dataset, method, list(seeds), teacher))


def _counting(folder: Path, recipe: str | None, profile: str | None) -> list[dict]:
    found, left_out = [], {}
    for file in sorted(folder.glob(f"{profile or '*'}/{recipe or '*'}.jsonl")):
        for record in records.read(file):
            if why := stale(record):
                left_out.setdefault((f"{file.parent.name}/{file.stem}", why), []).append(record.method)
            else:
                found += records.rows(record)
    for (name, why), methods in left_out.items():
        print(
            f"left out: {len(methods)} records of {name} ({', '.join(dict.fromkeys(methods))}): {why}",
            file=sys.stderr,
        )
    return found


def here(recipe: str | None = None, profile: str | None = None) -> list[dict]:
    """What this machine measured, as records.rows gives it, of one recipe and profile or of all."""
    return _counting(paths.results() / "records", recipe, profile)


def reference(recipe: str | None = None, profile: str | None = None) -> list[dict]:
    """What the repository's authors measured and committed."""
    return _counting(paths.committed("records"), recipe, profile)


def _name(row: dict) -> tuple:
    """What is measured twice if two rows have it in common; an adaptive solver's calls are a result."""
    calls = None if row["sampler"] in records.UNGRIDDED else row["nfe"]
    return row["recipe"], row["dataset"], row["method"], row["sampler"], calls, row["metric"]


def beside(
    rows: Iterable[dict], reference_rows: Iterable[dict], metric: str
) -> tuple[list[str], list[list[str]]]:
    """Header and lines of a table: each number of this machine beside the reference's, and their ratio."""
    known, lines = {_name(row): row for row in reference_rows}, []
    for row in rows:
        if row["metric"] == metric and row["sampler"] != "training":
            other = known.get(_name(row))
            shown = (
                [tables.number(other["value"], other["spread"]), _ratio(row, other)]
                if other
                else [tables.NOT_RUN, "-"]
            )
            lines.append([_title(row), str(row["nfe"]), tables.number(row["value"], row["spread"]), *shown])
    return ["method", "calls", "here", "reference", "here / reference"], lines


def _title(row: dict) -> str:
    return row["method"] if row["sampler"] == "jumps" else f"{row['method']}, {row['sampler']}"


def _ratio(row: dict, other: dict) -> str:
    return f"{row['value'] / other['value']:.3f}" if other["value"] else "-"


def _spreads(rows: list[dict]) -> dict[tuple, float]:
    """Standard deviation over seeds as a share of the value, by recipe, data set, metric.

    Over methods and calls, from records of several seeds.
    """
    squares: dict[tuple, list[float]] = {}
    for row in rows:
        if row["spread"] and len(row["seeds"]) > 1 and row["value"]:
            deviation = row["spread"] * len(row["seeds"]) ** 0.5 / row["value"]
            squares.setdefault((row["recipe"], row["dataset"], row["metric"]), []).append(deviation**2)
    return {key: (sum(values) / len(values)) ** 0.5 for key, values in squares.items()}


def comparison(profile: str, only_different: bool = False) -> tuple[list[str], list[list[str]]]:
    """Header and lines of the table that a reproduction ends in.

    Every number of this machine beside the committed one, and the verdict.

    A number of a student trained here differs if it is more than DIFFERENT standard deviations over seeds
    away (of its recipe and metric, from the committed records of profile "seeds"); one of a loaded model if
    it is off by more than SAME.
    """
    known, spreads, lines = (
        {_name(row): row for row in reference(profile=profile)},
        _spreads(reference(profile=SEEDS)),
        [],
    )
    for row in here(profile=profile):
        other = known.get(_name(row))
        if row["sampler"] == "training" or not (
            row["metric"] in COMPARED or row["metric"].startswith(("fd-", "fid-"))
        ):
            continue
        verdict = _verdict(row, other, spreads.get((row["recipe"], row["dataset"], row["metric"])))
        if not only_different or verdict != "same":
            shown = [tables.number(other["value"]), _ratio(row, other)] if other else [tables.NOT_RUN, "-"]
            lines.append(
                [
                    row["recipe"],
                    row["dataset"],
                    _title(row),
                    str(row["nfe"]),
                    row["metric"],
                    tables.number(row["value"]),
                    *shown,
                    verdict,
                ]
            )
    return [
        "recipe",
        "data",
        "method",
        "calls",
        "metric",
        "here",
        "reference",
        "here / reference",
        "verdict",
    ], lines


def _verdict(row: dict, other: dict | None, spread: float | None) -> str:
    if other is None:
        return "no reference"
    loaded = row["checkpoint_sha256"] == other["checkpoint_sha256"]
    if not loaded and spread is None:
        return "spread not known"
    allowed = SAME if loaded else DIFFERENT * spread
    return "same" if abs(row["value"] - other["value"]) <= allowed * abs(other["value"]) else "DIFFERS"
