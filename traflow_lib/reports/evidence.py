"""Which records count, and how this machine's compare with the committed ones.

A record counts only while its fingerprint, which budget, number of samples and seeds are part of, is that of
the recipe as it stands. What does not count is named and left out.
"""

import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from statistics import fmean

from ..evaluation import records
from ..evaluation.records import Record
from ..experiments import recipes, settings
from ..files import paths
from ..files.log import log
from . import tables

# how names of recipes begin that are none: records of the command evaluate and of benchmarks/, which say all
# they depend on
COMMANDS = ("evaluate-", "throughput", "gpu-check")
DIFFERENT = 3  # standard deviations over seeds by which a number may differ from the reference
SAME = 0.01  # by how much (relative) a number of a model that is loaded, not trained, may differ
SEEDS = "seeds"  # the profile whose records tell how much laptop's numbers vary with the seed
# recipe, method and calls of the numbers that `make reproduce` prints whatever their verdict
SHOWN_RECIPES = ("00_quickstart", "04_traflow_2d", "06_digits", "fashion_mnist")
SHOWN = [(name, "traflow", calls) for name in SHOWN_RECIPES for calls in ("1", "2")]
# what is compared with the reference
COMPARED = re.compile(r"(paired_rmse|sliced_w2|off_support)$|fi?d-")
GROUP = ["recipe", "dataset", "metric"]  # whose measurements vary alike with the seed
NAME = [*GROUP, "method", "sampler"]


def stale(record: Record) -> str | None:
    """Why a record does not count any more; None if it does."""
    if record.recipe.startswith(COMMANDS):
        return None
    imported = json.dumps(record.teacher, sort_keys=True) if record.teacher else None
    names = (record.recipe, record.profile, record.dataset, record.method)
    try:
        fingerprint, asked = _today(*names, tuple(record.seeds), imported)
    except ValueError as error:
        return str(error)
    if record.hash != fingerprint:
        return "its recipe has changed"
    if record.sampler in ("jumps", "renoised") and record.nfe not in asked:
        return f"its recipe does not ask for {record.nfe} calls"
    return None


@cache
def _today(
    recipe: str, profile: str, dataset: str, method: str, seeds: tuple, imported: str | None
) -> tuple[str, list[int]]:
    """The fingerprint of a measurement by its recipe as it stands, and the numbers of calls it asks for.

    imported: the teacher that is a file, as JSON.
    """
    teacher = json.loads(imported) if imported else None
    loaded = _recipe(recipe, profile, "imported" if imported else None)
    fingerprint = settings.identity(settings.measurement(loaded, dataset, method, list(seeds), teacher))
    return fingerprint, loaded["evaluate"].get("nfe", []) + [1] * bool(loaded.get("sweep"))


@cache
def _recipe(recipe: str, profile: str, teacher: str | None) -> dict:
    return recipes.load(recipe, profile, teacher)


def _counting(folder: Path, recipe: str | None, profile: str | None) -> list[dict]:
    found: list[dict] = []
    left_out: dict[tuple, list[str]] = {}
    for file in sorted(folder.glob(f"{profile or '*'}/{recipe or '*'}.jsonl")):
        for record in records.read(file):
            if why := stale(record):
                left_out.setdefault((f"{file.parent.name}/{file.stem}", why), []).append(record.method)
            else:
                found += records.rows(record)
    for (name, why), methods in left_out.items():
        named = ", ".join(dict.fromkeys(methods))
        log.warning(f"left out: {len(methods)} records of {name} ({named}): {why}")
    return found


def here(recipe: str | None = None, profile: str | None = None) -> list[dict]:
    """What this machine measured, as records.rows gives it, of one recipe and profile or of all."""
    return _counting(paths.results() / "records", recipe, profile)


def reference(recipe: str | None = None, profile: str | None = None) -> list[dict]:
    """What the repository's authors measured and committed."""
    return _counting(paths.committed("records"), recipe, profile)


def _named(rows: Iterable[dict]) -> dict[tuple, dict]:
    """Measurements by what two that compare have in common: NAME and the calls, if those were asked for."""
    return {
        (*(row[field] for field in NAME), row["nfe"] if tables.gridded(row) else None): row for row in rows
    }


def _beside(rows: Iterable[dict], reference_rows: Iterable[dict]) -> list[tuple[dict, dict | None]]:
    """Measurements but those of cost, each with the reference's, None where there is none."""
    known = _named(reference_rows)
    return [(row, known.get(name)) for name, row in _named(rows).items() if row["sampler"] != "training"]


def _numbers(row: dict, there: dict | None, spread: bool) -> list[str]:
    shown = [
        tables.number(one["value"], one["spread"] if spread else None) if one else tables.NOT_RUN
        for one in (row, there)
    ]
    return [*shown, f"{row['value'] / there['value']:.3f}" if there and there["value"] else "-"]


def beside(
    rows: Iterable[dict], reference_rows: Iterable[dict], metric: str
) -> tuple[list[str], list[list[str]]]:
    """Header and lines of a table: each number of this machine beside the reference's, and their ratio."""
    lines = [
        [tables.title(row), str(row["nfe"]), *_numbers(row, there, spread=True)]
        for row, there in _beside((row for row in rows if row["metric"] == metric), reference_rows)
    ]
    return ["method", "calls", "here", "reference", "here / reference"], lines


def _deviations(rows: list[dict]) -> dict[tuple, float]:
    """The standard deviation over seeds as a share of the value, by GROUP."""
    named = _named(rows).values()
    several = [row for row in named if len(row["seeds"]) > 1 and row["spread"] and row["value"]]
    return {
        group: fmean((row["spread"] / row["value"]) ** 2 * len(row["seeds"]) for row in found) ** 0.5
        for group, found in tables.grouped(several, *GROUP).items()
    }


def comparison(profile: str) -> tuple[list[str], list[list[str]]]:
    """Header and lines of what a reproduction ends in: each number, the committed one, the verdict.

    A number of a student trained here differs if it is more than DIFFERENT standard deviations over seeds
    away (of its recipe and metric, from the committed records of profile "seeds"); one of a loaded model if
    it is off by more than SAME.
    """
    own = [row for row in here(profile=profile) if COMPARED.match(row["metric"])]
    deviations, lines = _deviations(reference(profile=SEEDS)), []
    for row, there in _beside(own, reference(profile=profile)):
        deviation = deviations.get(tuple(row[field] for field in GROUP))
        verdict = _verdict(row, there, deviation) if there else "no reference"
        named = [row["recipe"], row["dataset"], tables.title(row), str(row["nfe"]), row["metric"]]
        lines.append([*named, *_numbers(row, there, spread=False), verdict])
    named = ["recipe", "data", "method", "calls", "metric"]
    return [*named, "here", "reference", "here / reference", "verdict"], lines


def _verdict(row: dict, there: dict, deviation: float | None) -> str:
    loaded = row["checkpoint_sha256"] == there["checkpoint_sha256"]
    if not loaded and deviation is None:
        return "spread not known"
    allowed = SAME if loaded else DIFFERENT * (deviation or 0)
    return "same" if abs(row["value"] - there["value"]) <= allowed * abs(there["value"]) else "DIFFERS"
