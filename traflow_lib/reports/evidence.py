"""Which records count, and how this machine's compare with the committed ones.

A record counts only while its recipe says so: its fingerprint, which budget, number of samples and seeds are
part of, must be that of the recipe as it stands. What does not count is named and left out.
"""

import json
import re
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pandas as pd

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
# what is compared with the reference
COMPARED = re.compile(r"(paired_rmse|sliced_w2|off_support)$|fi?d-")
GROUP = ["recipe", "dataset", "metric"]  # whose measurements vary alike with the seed
NAME = [*GROUP, "method", "sampler", "calls"]


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


def _named(rows: Iterable[dict]) -> pd.DataFrame:
    """Measurements with what is measured twice if two have it in common (NAME).

    An adaptive solver's calls are a result and no part of it.
    """
    rows = list(rows)
    found = tables.frame(rows)
    found["calls"] = found["nfe"].where(found["gridded"], -1)
    found["title"] = [tables.title(row) for row in rows]
    return found.drop_duplicates(NAME, keep="last")


def _beside(rows: Iterable[dict], reference_rows: Iterable[dict]) -> pd.DataFrame:
    """Measurements but those of cost, each with the reference's value and their ratio as shown."""
    kept = [*NAME, "value", "spread", "checkpoint_sha256"]
    own, known = _named(rows), _named(reference_rows)[kept]
    both = own[own["sampler"] != "training"].merge(known, how="left", on=NAME, suffixes=("", "_there"))
    both["ratio"] = [
        f"{here / there:.3f}" if there and there == there else "-"
        for here, there in zip(both["value"], both["value_there"])
    ]
    return both


def _shown(values: pd.Series, spreads: pd.Series | None = None) -> list[str]:
    """Numbers as a table shows them, with their spread where there is one."""
    spreads = [None] * len(values) if spreads is None else spreads
    known = [None if spread is None or pd.isna(spread) else spread for spread in spreads]
    pairs = zip(values, known)
    return [tables.NOT_RUN if pd.isna(value) else tables.number(value, spread) for value, spread in pairs]


def _lines(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    return list(table.columns), table.astype(str).values.tolist()


def beside(
    rows: Iterable[dict], reference_rows: Iterable[dict], metric: str
) -> tuple[list[str], list[list[str]]]:
    """Header and lines of a table: each number of this machine beside the reference's, and their ratio."""
    both = _beside((row for row in rows if row["metric"] == metric), reference_rows)
    columns = {
        "method": both["title"],
        "calls": both["nfe"],
        "here": _shown(both["value"], both["spread"]),
        "reference": _shown(both["value_there"], both["spread_there"]),
        "here / reference": both["ratio"],
    }
    return _lines(pd.DataFrame(columns))


def _spreads(rows: list[dict]) -> pd.DataFrame:
    """Column deviation: the standard deviation over seeds as a share of the value, by GROUP.

    Over methods and calls, from records of several seeds.
    """
    found = _named(rows)
    several = found[found["seeds"].map(len).gt(1) & found["spread"].gt(0) & found["value"].ne(0)]
    square = (several["spread"] / several["value"]) ** 2 * several["seeds"].map(len)
    deviation = square.groupby([several[name] for name in GROUP]).mean() ** 0.5
    return deviation.rename("deviation").reset_index()


def comparison(profile: str) -> tuple[list[str], list[list[str]]]:
    """Header and lines of the table that a reproduction ends in.

    Every number of this machine beside the committed one, and the verdict.

    A number of a student trained here differs if it is more than DIFFERENT standard deviations over seeds
    away (of its recipe and metric, from the committed records of profile "seeds"); one of a loaded model if
    it is off by more than SAME.
    """
    own = [row for row in here(profile=profile) if COMPARED.match(row["metric"])]
    both = _beside(own, reference(profile=profile))
    both = both.merge(_spreads(reference(profile=SEEDS)), how="left", on=GROUP)
    columns = {
        "recipe": both["recipe"],
        "data": both["dataset"],
        "method": both["title"],
        "calls": both["nfe"],
        "metric": both["metric"],
        "here": _shown(both["value"]),
        "reference": _shown(both["value_there"]),
        "here / reference": both["ratio"],
        "verdict": [_verdict(row) for _, row in both.iterrows()],
    }
    return _lines(pd.DataFrame(columns))


def _verdict(row: pd.Series) -> str:
    if pd.isna(row["value_there"]):
        return "no reference"
    loaded = row["checkpoint_sha256"] == row["checkpoint_sha256_there"]
    if not loaded and pd.isna(row["deviation"]):
        return "spread not known"
    allowed = SAME if loaded else DIFFERENT * row["deviation"]
    off = abs(row["value"] - row["value_there"])
    return "same" if off <= allowed * abs(row["value_there"]) else "DIFFERS"
