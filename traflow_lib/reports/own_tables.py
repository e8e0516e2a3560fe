"""This kit's own tables: the counterpart of the paper's Tables 2 to 6 on the data that were run."""

import re

from ..experiments.recipes import EQUAL_TIME
from . import tables
from .cells import DASH, NOT_RUN, Cell, Table, recorded

PROFILES = ("laptop", "hour", "gpu")
RECIPES = [
    *("04_traflow_2d", "bench_2d", "06_digits", "bench_digits", "fashion_mnist"),
    *("cifar10", "celeba64", "ffhq64", "imagenet64"),
]
# of recipe 05_ablations: name, title, and a regular expression of the students that are compared
ABLATIONS = (
    (
        "losses",
        "losses dropped one at a time (counterpart of Tables 4 and 5)",
        r"(chord|path)\.\w+$|v4\.(clipped|no_velocity|no_denoising)$",
    ),
    (
        "weighting",
        "weighting of the losses (counterpart of Table 6)",
        r"v4\.(clipped|adaptive|fixed)$|weights\.|path\.all$",
    ),
)
SWEEPS = re.compile(r"(steps|pairs)-\d+$")  # students of other budgets than their recipe's


def _metrics(rows: list[dict]) -> list[str]:
    """The metrics a table shows: the Fréchet distances and the paired error, as far as they were measured."""
    return sorted({row["metric"] for row in rows if re.match(r"paired_rmse$|fi?d-", row["metric"])})


def compare(rows: list[dict], name: str, title: str) -> Table:
    """A row a (method, sampler), a column a (metric, calls); then what it costs and how it was trained.

    rows: of one recipe, data set and profile.
    """
    rows = [row for row in rows if row["sampler"] != "training"]
    calls, first, lines = tables.calls_of(rows), rows[0], []
    titles = {
        (metric, nfe): f"{metric}, {tables.calls_title(nfe)}" for metric in _metrics(rows) for nfe in calls
    }
    stand_in = first["stand_in"]
    for found in tables.grid(rows, calls, "recipe", "dataset"):
        row = next(iter(found.values()))
        empty = NOT_RUN if tables.gridded(row) else DASH
        cells = {name: _measured(found[at]) if at in found else empty for at, name in titles.items()}
        data = f"{first['dataset']}{', stand-in' * stand_in}"
        lines.append({"method": tables.title(row), "data": data, **cells, **_facts(row)})
    costs = ["calls if adaptive", "parameters", "MACs a call", "steps", "batch", "seeds", "n"]
    notes = [
        f"Data set {first['dataset']}, recipe {first['recipe']}, profile {first['profile']}; mean ± standard "
        "error over seeds; n generated samples.",
        "A dash: one number whatever the calls (it stands in the first column), or not applicable.",
    ]
    if stand_in:
        made_for = f"the data set that recipe {first['recipe']} is made for"
        notes.insert(0, f"Stand-in data: {first['dataset']} in place of {made_for}.")
    title = f"{title}{', stand-in data' * stand_in}, profile {first['profile']}"
    return Table(
        name, f"own/{first['profile']}", title, ["method", "data", *titles.values(), *costs], lines, notes
    )


def _measured(row: dict) -> Cell:
    value = tables.number(row["value"], row["spread"])
    return recorded(row, value, {row["metric"]: value})


def _facts(row: dict) -> dict[str, Cell]:
    """What one sampler's model takes, by column; what does not apply is left out."""
    values = {
        "calls if adaptive": ("nfe", row["nfe"] if row["sampler"] == "dopri5" else None),
        "parameters": ("parameters", row["parameters"]),
        "MACs a call": ("macs", row["macs"]),
        "steps": ("training.steps", row["training"].get("steps")),
        "batch": ("training.batch", row["training"].get("batch")),
        "seeds": ("seeds", len(row["seeds"])),
        "n": ("n_generated", row["n_generated"]),
    }
    return {
        column: recorded(row, f"{value:,}", {field: f"{value:,}"}, link=False)
        for column, (field, value) in values.items()
        if value is not None
    }


def lengths(rows: list[dict], name: str) -> Table:
    """Quality at one call against training steps, of the sweep and its full-length student."""
    chosen = [
        row
        for row in rows
        if (row["nfe"], row["sampler"]) == (1, "jumps") and re.match(r"steps-\d+$|traflow$", row["method"])
    ]
    chosen.sort(key=lambda row: row["training"]["steps"])
    header = ["method", "steps", "batch", *_metrics(chosen), "seeds", "n"]
    lines: dict[str, dict] = {}
    for row in chosen:
        facts = {column: cell for column, cell in _facts(row).items() if column in header}
        line = lines.setdefault(row["method"], {"method": row["method"], **facts})
        if row["metric"] in header:
            line[row["metric"]] = _measured(row)
    dataset, profile = chosen[0]["dataset"], chosen[0]["profile"]
    notes = [
        f"Data set {dataset}, profile {profile}; one call; the longest is the mean over its seeds, the sweep "
        "has one."
    ]
    title = f"{dataset}: length of training (counterpart of Tables 4 and 5), profile {profile}"
    return Table(name, f"own/{profile}", title, header, list(lines.values()), notes)


def build(measured: list[dict]) -> list[Table]:
    """All own tables that the records allow. measured: from evidence.here or evidence.reference."""
    equal_steps = [row for row in measured if not row["method"].endswith(EQUAL_TIME)]
    groups = tables.grouped(equal_steps, "profile", "recipe", "dataset")
    made = []
    for profile in PROFILES:
        mine = {key[1:]: rows for key, rows in groups.items() if key[0] == profile}
        for recipe, dataset in [key for name in RECIPES for key in mine if key[0] == name]:
            equal = [row for row in mine[recipe, dataset] if not SWEEPS.match(row["method"])]
            conditional = ", class-conditional" if recipe == "imagenet64" else ""
            title = f"{dataset}, recipe {recipe}{conditional} (counterpart of Tables 2 and 3)"
            made.append(compare(equal, f"{recipe}__{dataset}", title))
        for recipe, dataset in [key for key in mine if key[0] == "05_ablations"]:
            for name, title, methods in ABLATIONS:
                if chosen := [row for row in mine[recipe, dataset] if re.match(methods, row["method"])]:
                    made.append(compare(chosen, f"{recipe}__{dataset}__{name}", f"{dataset}: {title}"))
        for (recipe, dataset), rows in mine.items():
            if any(row["method"].startswith("steps-") for row in rows):
                made.append(lengths(rows, f"{recipe}__{dataset}__steps"))
    return made
