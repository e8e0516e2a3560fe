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


def _named(row: dict) -> str:
    return row["method"] if row["sampler"] == "jumps" else f"{row['method']}, {row['sampler']}"


def _metrics(rows: list[dict]) -> list[str]:
    """The metrics a table shows: the Fréchet distances and the paired error, as far as they were measured."""
    return sorted(
        {row["metric"] for row in rows if row["metric"] == "paired_rmse" or re.match(r"fi?d-", row["metric"])}
    )


def compare(rows: list[dict], name: str, title: str) -> Table:
    """A row a (method, sampler), a column a (metric, calls); then what it costs and how it was trained.

    rows: of one data set and profile.
    """
    if len({(row["dataset"], row["profile"], row["recipe"]) for row in rows}) > 1:
        raise ValueError("a table holds one recipe and data set at one profile; filter the records first")
    rows = [row for row in rows if row["sampler"] != "training"]
    first = rows[0]
    calls = sorted({row["nfe"] for row in rows if row["sampler"] not in records.UNGRIDDED})
    columns = [(metric, nfe) for metric in _metrics(rows) for nfe in calls]
    stand_in = f"{first['dataset']}, stand-in" if first["stand_in"] else first["dataset"]
    lines = []
    for key in sorted(
        {(row["method"], row["sampler"]) for row in rows},
        key=lambda key: (key[0] != "real data", key[0] != "teacher", key),
    ):
        mine = [row for row in rows if (row["method"], row["sampler"]) == key]
        cells = {
            (row["metric"], row["nfe"]): one(
                tables.number(row["value"], row["spread"]), "record", source(row), row["metric"]
            )
            for row in mine
        }
        if (
            key[1] in records.UNGRIDDED
        ):  # one number, whatever the column: it stands in the first of its metric
            cells = {(metric, calls[0]): cell for (metric, _), cell in cells.items()}
        empty = Cell("-" if key[1] in records.UNGRIDDED else tables.NOT_RUN)
        lines.append(
            [
                Cell(_named(mine[0])),
                Cell(stand_in),
                *(cells.get(column, empty) for column in columns),
                *_facts(mine[0]),
            ]
        )
    titles = [f"{metric}, {nfe} call{'s' * (nfe != 1)}" for metric, nfe in columns]
    header = [
        "method",
        "data",
        *titles,
        "calls if adaptive",
        "parameters",
        "MACs a call",
        "steps",
        "batch",
        "seeds",
        "n",
    ]
    notes = [
        f"Data set {first['dataset']}, recipe {first['recipe']}, profile {first['profile']}; mean ± standard "
        "error over seeds; n generated samples.",
        "A dash: one number whatever the calls (it stands in the first column), or not applicable.",
    ]
    if first["stand_in"]:
        notes.insert(
            0,
            f"Stand-in data: {first['dataset']} in place of the data set that recipe {first['recipe']} is "
            "made for.",
        )
    folder = f"own/{first['profile']}"
    return Table(
        name,
        folder,
        f"{title}{', stand-in data' * first['stand_in']}, profile {first['profile']}",
        header,
        lines,
        PROSE,
        notes,
    )


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
        first = next(iter(mine.values()))
        cells = [
            one(tables.number(mine[m]["value"], mine[m]["spread"]), "record", source(mine[m]), m)
            for m in metrics
        ]
        lines.append([Cell(method), *_facts(first)[3:5], *cells, *_facts(first)[5:]])
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
    made, groups = [], {}
    for row in measured:
        if not row["method"].endswith(EQUAL_TIME):
            groups.setdefault((row["profile"], row["recipe"], row["dataset"]), []).append(row)
    for profile in PROFILES:
        for recipe in RECIPES:
            for (_, _, dataset), rows in sorted(
                (key, rows) for key, rows in groups.items() if key[:2] == (profile, recipe)
            ):
                made.append(_of_recipe(rows, recipe, dataset))
        for (_, _, dataset), rows in sorted(
            (key, rows) for key, rows in groups.items() if key[:2] == (profile, "05_ablations")
        ):
            for name, (title, methods) in LOSSES.items():
                if chosen := [row for row in rows if re.match(methods, row["method"])]:
                    made.append(compare(chosen, f"05_ablations__{dataset}__{name}", f"{dataset}: {title}"))
        for (_, recipe, dataset), rows in sorted(
            (key, rows) for key, rows in groups.items() if key[0] == profile
        ):
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
