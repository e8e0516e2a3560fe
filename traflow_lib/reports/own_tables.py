"""This kit's own tables: the counterpart of the paper's Tables 2 to 6 on the data that were run.

Each is of one recipe, data set and profile.
"""

import re

from ..evaluation import records
from ..experiments.recipes import EQUAL_TIME
from . import tables
from .cells import Cell, Number, Table, one, source

PROFILES = ("laptop", "hour", "gpu")
RECIPES = (
    "04_traflow_2d",
    "bench_2d",
    "06_digits",
    "bench_digits",
    "fashion_mnist",
    "cifar10",
    "celeba64",
    "ffhq64",
    "imagenet64",
)
LENGTHS = re.compile(r"steps-\d+$")  # a sweep's students, shorter trained
LOSSES = {  # of recipe 05_ablations: what was dropped, and how the velocity loss was weighted
    "losses": (
        "losses dropped one at a time (counterpart of Tables 4 and 5)",
        r"(chord|path)\.\w+$|v4\.(clipped|no_velocity|no_denoising)$",
    ),
    "weighting": (
        "weighting of the losses (counterpart of Table 6)",
        r"v4\.(clipped|adaptive|fixed)$|weights\.|path\.all$",
    ),
}
PROSE = frozenset({"method", "data"})


def _metrics(rows: list[dict]) -> list[str]:
    """The metrics a table shows: the Fréchet distances and the paired error, as far as they were measured."""
    return sorted(
        {row["metric"] for row in rows if row["metric"] == "paired_rmse" or re.match(r"fi?d-", row["metric"])}
    )


def compare(rows: list[dict], name: str, title: str) -> Table:
    """A row a (method, sampler), a column a (metric, calls); then what it costs and how it was trained.

    rows: of one recipe, data set and profile.
    """
    rows = [row for row in rows if row["sampler"] != "training"]
    found = tables.frame(rows)
    tables.one_kind(found, "recipe", "dataset")
    calls = tables.calls_of(found)
    columns = [(metric, nfe) for metric in _metrics(rows) for nfe in calls]
    shown = tables.grid(found, [_measured(row) for row in rows], calls).reindex(columns=columns)
    mine = {(row["method"], row["sampler"]): row for row in reversed(rows)}
    first, lines = rows[0], []
    data = Cell(f"{first['dataset']}{', stand-in' * first['stand_in']}")
    for model, cells in zip(shown.index, shown.itertuples(index=False)):
        empty = Cell("-" if model[1] in records.UNGRIDDED else tables.NOT_RUN)
        filled = [cell if isinstance(cell, Cell) else empty for cell in cells]
        lines.append([Cell(tables.title(mine[model])), data, *filled, *_facts(mine[model])])
    titles = [f"{metric}, {tables.calls_title(nfe)}" for metric, nfe in columns]
    costs = ["calls if adaptive", "parameters", "MACs a call", "steps", "batch", "seeds", "n"]
    notes = [
        f"Data set {first['dataset']}, recipe {first['recipe']}, profile {first['profile']}; mean ± standard "
        "error over seeds; n generated samples.",
        "A dash: one number whatever the calls (it stands in the first column), or not applicable.",
    ]
    if first["stand_in"]:
        made_for = f"the data set that recipe {first['recipe']} is made for"
        notes.insert(0, f"Stand-in data: {first['dataset']} in place of {made_for}.")
    title = f"{title}{', stand-in data' * first['stand_in']}, profile {first['profile']}"
    header = ["method", "data", *titles, *costs]
    return Table(name, f"own/{first['profile']}", title, header, lines, PROSE, notes)


def _measured(row: dict) -> Cell:
    return one(tables.number(row["value"], row["spread"]), "record", source(row), row["metric"])


def _facts(row: dict) -> list[Cell]:
    """What one sampler's model takes.

    Calls of an adaptive solver, parameters, multiply-accumulates, training steps, batch, seeds, samples.
    """
    values = {
        "nfe": row["nfe"] if row["sampler"] == "dopri5" else None,
        "parameters": row["parameters"],
        "macs": row["macs"],
    }
    values |= {f"training.{key}": row["training"].get(key) for key in ("steps", "batch")}
    values |= {"seeds": len(row["seeds"]), "n_generated": row["n_generated"]}
    return [
        Cell("-") if v is None else Cell(f"{v:,}", (Number(f"{v:,}", "record", source(row), field),))
        for field, v in values.items()
    ]


def lengths(rows: list[dict], name: str) -> Table:
    """Quality at one call against the number of training steps (counterpart of Tables 4 and 5).

    Of the sweep and its full-length student.
    """
    chosen = [
        row
        for row in rows
        if row["nfe"] == 1
        and row["sampler"] == "jumps"
        and (LENGTHS.match(row["method"]) or row["method"] == "traflow")
    ]
    chosen.sort(key=lambda row: row["training"]["steps"])
    metrics, lines = _metrics(chosen), []
    for method in dict.fromkeys(row["method"] for row in chosen):
        mine = {row["metric"]: row for row in chosen if row["method"] == method}
        facts = _facts(next(iter(mine.values())))
        lines.append(
            [Cell(method), *facts[3:5], *(_measured(mine[metric]) for metric in metrics), *facts[5:]]
        )
    profile = chosen[0]["profile"]
    notes = [
        f"Data set {chosen[0]['dataset']}, profile {profile}; one call; the longest is the mean over its "
        "seeds, the sweep has one."
    ]
    header = ["method", "steps", "batch", *metrics, "seeds", "n"]
    title = f"{chosen[0]['dataset']}: length of training (counterpart of Tables 4 and 5), profile {profile}"
    return Table(name, f"own/{profile}", title, header, lines, PROSE, notes)


def build(measured: list[dict]) -> list[Table]:
    """All own tables that the records allow. measured: from evidence.here or evidence.reference."""
    measured = [row for row in measured if not row["method"].endswith(EQUAL_TIME)]
    groups = {
        key: [measured[index] for index in group.index]
        for key, group in tables.frame(measured).groupby(["profile", "recipe", "dataset"])
    }
    made = []
    for profile in PROFILES:
        mine = {key[1:]: rows for key, rows in groups.items() if key[0] == profile}
        for name in RECIPES:
            made += [_of_recipe(rows, name, data) for (recipe, data), rows in mine.items() if recipe == name]
        for (recipe, dataset), rows in mine.items():
            for name, (title, methods) in LOSSES.items() if recipe == "05_ablations" else ():
                if chosen := [row for row in rows if re.match(methods, row["method"])]:
                    made.append(compare(chosen, f"05_ablations__{dataset}__{name}", f"{dataset}: {title}"))
        for (recipe, dataset), rows in mine.items():
            if any(LENGTHS.match(row["method"]) for row in rows):
                made.append(lengths(rows, f"{recipe}__{dataset}__steps"))
    return made


def _of_recipe(rows: list[dict], recipe: str, dataset: str) -> Table:
    """Methods at equal budget, without a sweep's students (counterpart of Tables 2 and 3)."""
    chosen = [row for row in rows if not re.match(r"(steps|pairs)-\d+$", row["method"])]
    conditional = ", class-conditional" if recipe == "imagenet64" else ""
    return compare(
        chosen,
        f"{recipe}__{dataset}",
        f"{dataset}, recipe {recipe}{conditional} (counterpart of Tables 2 and 3)",
    )
