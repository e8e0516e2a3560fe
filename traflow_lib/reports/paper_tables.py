"""The paper's Tables 2 to 6 and the data sets of its first version: printed, by their source, and ours.

Tables 8 and 11 are in cost_tables. Table 1 compares the losses of methods; 7, 9 and 10 were not at hand.
"""

from dataclasses import replace
from pathlib import Path

import yaml

from ..evaluation.inception import MODES
from ..experiments import recipes
from ..experiments.evaluate import fid_settings
from . import tables
from .cells import NOT_RUN, Cell, Table, one, quoted, recorded
from .published import Published, published

TEXTS = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
SCOT = "SCoT (TraFlow v4)"
METRICS = ("fid", "is", "recall")  # of the tables of quality, in this order
PLACE = ("method", "sampler", "nfe", "kind")  # where a measurement stands in a table


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
            value, n = tables.number(row["value"], row["spread"]), f"{row['n_generated']:,}"
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


def _order(row: Published) -> tuple:
    return METRICS.index(row.metric), int(row.nfe), float(row.value or row.printed), row.id


def quality(measured: list[dict], text: dict) -> Table:
    """Methods by metric and calls: published ones, then this kit's own, also those not yet measured."""
    dataset = text["dataset"]
    here = found(measured, dataset)
    quoting = [row for row in published(dataset) if row.metric in METRICS and not row.iterations]
    rows, counterparts = [], set()
    for row in sorted(quoting, key=_order):
        cells = quotation(row) | {"metric": title_of(row.metric), "method": row.method, "note": row.note}
        cells |= {"params (M)": quoted(row, "params_m"), "calls": quoted(row, "nfe")}
        if row.method == SCOT:
            place = ("traflow_v4", "jumps", int(row.nfe), row.metric)
            cells |= ours(here, **dict(zip(PLACE, place)))
            counterparts.add(place)
        rows.append(cells)
    rows += _own_rows(here, dataset, counterparts)
    header = ["metric", "method", "params (M)", "calls", *QUOTED, *OURS.values(), "note"]
    brackets = [TEXTS["in brackets"]] if any(row.reading == "inferred" for row in quoting) else []
    commands = [
        f"Not run at profile {profile}; to run it: `python -m traflow_lib notebook {NOTEBOOKS[dataset]} "
        f"--profile {profile}`"
        for profile in unfilled(rows)
    ]
    notes = [*text["notes"], *brackets, *TEXTS["of every data set"], *commands]
    return Table(text["name"], "paper", text["title"], header, rows, notes)


def _own_rows(here: dict[str, list[dict]], dataset: str, shown: set[tuple]) -> list[dict]:
    """A row a PLACE that the recipe asks for or that was measured, but for those in `shown`."""
    calls: dict[tuple, Cell] = {}
    for profile, measured in here.items():
        recipe = recipes.load(dataset, profile)
        for i, nfe in enumerate(recipe["evaluate"]["nfe"]):
            asked = one(str(nfe), "recipe", f"{dataset} {profile}", f"evaluate.nfe.{i}")
            for method in recipe["methods"]:
                calls.setdefault((method, "jumps", nfe, "fid"), asked)
        for row in measured:
            nfe = str(row["nfe"])
            calls.setdefault(tuple(row[name] for name in PLACE), recorded(row, nfe, {"nfe": nfe}, link=False))
    rows = []
    for key in sorted(calls.keys() - shown, key=lambda key: (key[3] != "fid", key[3], key)):
        place = dict(zip(PLACE, key))
        cells = ours(here, **place) | {"metric": title_of(place["kind"]), "calls": calls[key], "note": ""}
        cells |= {"method": f"this kit: {tables.title(place)}", "source": "this kit", "evidence": "records"}
        mine = [row for measured in here.values() for row in matching(measured, **place)]
        if sized := [row for row in mine if row["parameters"]]:
            size = f"{sized[0]['parameters'] / 1e6:.1f}"
            cells["params (M)"] = recorded(sized[0], size, {"parameters (M)": size})
        rows.append(cells)
    return rows


def ablation(measured: list[dict], text: dict) -> Table:
    """One of Tables 4 to 6: a row a (metric, calls, iterations); ours only with as many samples."""
    quoting = published("imagenet64", text["ablation"])
    here, rows, students = found(measured, "imagenet64"), [], set()
    for row in quoting:
        student = f"{TEXTS['ablations'][row.method]}-{row.iterations}"
        students.add(student)
        # Table 6 does not tell its number of calls; its cells go with Table 5's at two
        place = dict(zip(PLACE, (student, "jumps", int(row.nfe or 2), row.metric)))
        cells = ours(here, **place, n_generated=int(row.n_samples))
        cells |= {"metric": title_of(row.metric), "method": row.method, "note": row.note}
        cells |= {"calls": quoted(row, "nfe"), "iterations": quoted(row, "iterations")}
        rows.append(cells | {"n": quoted(row, "n_samples"), "as printed": quotation(row)["as printed"]})
    header = ["metric", "method", "calls", "iterations", "n", "as printed", *OURS.values(), "note"]
    source = f"Printed numbers: {quoting[0].source}, {quoting[0].evidence}; no spread is known."
    commands = [_ablation_command(profile, sorted(students), quoting) for profile in unfilled(rows)]
    notes = [*text["notes"], source, *commands]
    return Table(text["name"], "paper", text["title"], header, rows, notes)


def _ablation_command(profile: str, students: list[str], quoting: list[Published]) -> str:
    """The command that measures a table's students, and which cells the recipe's settings cannot fill."""
    asked = fid_settings(recipes.load("imagenet64", profile), students[0])
    methods = " ".join(f"--method {student}" for student in students)
    command = f"`python -m traflow_lib bench --recipe imagenet64 --profile {profile} {methods}`"
    measured = {*asked["metrics"], *(("precision", "recall") if "pr" in asked["metrics"] else ())}
    wanted = dict.fromkeys(row.metric for row in quoting)
    missing = [title_of(metric) for metric in wanted if metric not in measured]
    without = f", without {' and '.join(missing)}" if missing else ""
    if {row.n_samples for row in quoting} != {str(asked["n"])}:
        return (
            f"Not run at profile {profile}, and no command fills these cells yet: {command} measures "
            f"{asked['n']:,} images{without}."
        )
    return f"Not run at profile {profile}; to run it{without}: {command}"


def build(measured: list[dict]) -> list[Table]:
    """Tables 2 to 6, and CelebA-64 and FFHQ-64. measured: from evidence.here or evidence.reference."""
    return [(quality if "dataset" in text else ablation)(measured, text) for text in TEXTS["tables"]]
