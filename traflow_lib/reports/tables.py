"""Tables from records and from published numbers, and from nothing else. What was not run says so."""

from dataclasses import fields
from math import floor, log10
from pathlib import Path

import pandas as pd

from ..evaluation import records
from ..experiments.recipes import EQUAL_TIME
from .cells import NOT_RUN

TIE = 2  # standard errors of a difference below which two means count as level, everywhere in this kit

COLUMNS = [field.name for field in fields(records.Record) if field.name != "metrics"]
COLUMNS += ["metric", "value", "spread", "values", "file", "key"]


def number(value: float, spread: float | None = None) -> str:
    """Three significant digits, with the standard error to the same decimals if there is one."""
    if value == 0:
        return "0"
    decimals = max(0, 2 - floor(log10(abs(value))))
    return f"{value:.{decimals}f}" + (f" ± {spread:.{decimals}f}" if spread is not None else "")


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return (
        "\n".join("| " + " | ".join(cells) + " |" for cells in [header, ["---"] * len(header), *rows]) + "\n"
    )


def title(row: dict) -> str:
    """How tables and figures call a model: its method, and its sampler unless that goes without saying."""
    return row["method"] if row["sampler"] in ("jumps", "training") else f"{row['method']}, {row['sampler']}"


def calls_title(calls: int) -> str:
    """The heading of a column."""
    return f"{calls} call{'s' * (calls != 1)}"


def frame(measured: list[dict]) -> pd.DataFrame:
    """Measurements (evidence.here, evidence.reference, records.rows) as a DataFrame, a row each.

    Columns: the fields of a record (evaluation.records.Record: recipe, profile, dataset, method, sampler,
    nfe, seeds ...), and metric, value (mean over seeds), spread (its standard error, NaN where it is not
    known), values (one a seed), file and key (of the record). Added: model, the pair (method, sampler);
    gridded, whether its sampler has a number of calls; and place, the rank of its method in a table: real
    data, the teacher, then the others.
    """
    made = pd.DataFrame(measured, columns=COLUMNS)
    made["model"] = list(zip(made["method"], made["sampler"]))
    made["gridded"] = ~made["sampler"].isin(records.UNGRIDDED)
    made["place"] = made["method"].map({"real data": 0, "teacher": 1}).fillna(2)
    return made


def grouped(measured: list[dict], *fields: str) -> dict[tuple, list[dict]]:
    """Measurements by what they have in these fields, in the order of the keys."""
    found: dict[tuple, list[dict]] = {}
    for row in measured:
        found.setdefault(tuple(row[field] for field in fields), []).append(row)
    return dict(sorted(found.items()))


def calls_of(measured: pd.DataFrame) -> list[int]:
    """The numbers of calls that were measured."""
    return sorted(measured["nfe"][measured["gridded"]].unique().tolist())


def one_kind(measured: pd.DataFrame, *fields: str) -> None:
    """ValueError unless all measurements are of one profile and have these fields in common."""
    if len(measured.drop_duplicates([*fields, "profile"])) > 1:
        kinds = " and ".join(field.replace("dataset", "data set") for field in fields)
        raise ValueError(f"a table holds one {kinds} at one profile; filter the records first")


def grid(measured: pd.DataFrame, cells: list, calls: list[int]) -> pd.DataFrame:
    """A row a model, a column a (metric, calls), in it the cell of the measurement; NaN where there is none.

    What has one number, whatever the calls, stands in the first column of its metric.
    """
    placed = measured.assign(cell=cells)
    placed["calls"] = placed["nfe"].where(placed["gridded"], calls[0] if calls else 0)
    placed = placed.sort_values(["place", "method", "sampler"], kind="stable")
    placed = placed.drop_duplicates(["model", "metric", "calls"], keep="last")
    wide = placed.pivot(index="model", columns=["metric", "calls"], values="cell")
    return wide.loc[placed["model"].unique()]


def pivot(
    measured: list[dict], metric: str, columns: list[str] | None = None
) -> tuple[list[str], list[list[str]]]:
    """Header and rows of one data set and profile.

    A row a (method, sampler), a column an NFE, cells of `metric`.

    Raises ValueError if measured mixes data sets or profiles: such a column would compare what cannot be
    compared.
    """
    chosen = [row for row in measured if row["metric"] == metric]
    if not chosen:
        return ["method", "seeds", metric], []
    found = frame(chosen)
    one_kind(found, "dataset")
    calls = list(map(int, columns)) if columns else calls_of(found)
    shown = grid(found, [number(row["value"], row["spread"]) for row in chosen], calls)
    shown = shown[metric].reindex(columns=calls or [0])
    first = {(row["method"], row["sampler"]): row for row in reversed(chosen)}
    rows = []
    for model, cells in zip(shown.index, shown.itertuples(index=False)):
        row = first[model]
        calls_taken = f" ({row['nfe']} calls)" if row["sampler"] == "dopri5" else ""
        absent = "same" if row["sampler"] in records.UNGRIDDED else NOT_RUN
        texts = [absent if pd.isna(cell) else cell for cell in cells]
        rows.append([title(row) + calls_taken, str(len(row["seeds"])), *texts])
    return ["method", "seeds", *(map(calls_title, calls) if calls else [metric])], rows


def ranking(measured: list[dict], metric: str, nfe: int) -> list[tuple[str, float, float, bool]]:
    """Methods of one data set by their mean `metric` at `nfe` calls.

    (name, value, standard error, level with the first).

    A method with several samplers is represented by its best. Level: within TIE standard errors of the
    difference of the means.
    """
    asked = [row for row in measured if row["metric"] == metric and row["nfe"] == nfe]
    asked = [row for row in asked if row["method"] not in ("teacher", "real data")]
    if not asked:
        return []
    best = frame(asked).sort_values("value").drop_duplicates("method")
    if best["spread"].isna().any():
        raise ValueError("a ranking needs several seeds of every method")
    error = (best["spread"] ** 2 + best["spread"].iloc[0] ** 2) ** 0.5
    best["level"] = best["value"] - best["value"].iloc[0] <= TIE * error
    return list(best[["method", "value", "spread", "level"]].itertuples(index=False, name=None))


def write_all(measured: list[dict], out: Path) -> list[Path]:
    """Every table of one metric that the records allow, as Markdown under out/<profile>/.

    One file a (profile, recipe, data set, metric).
    """
    for old in out.glob("*/*__*.md"):  # its records may be gone
        old.unlink()
    files = []
    for key, group in grouped(measured, "profile", "recipe", "dataset", "metric").items():
        profile, recipe, dataset, metric = key
        for timed, budget in ((False, ""), (True, "equal time")):
            rows = [row for row in group if row["method"].endswith(EQUAL_TIME) is timed]
            if not rows:
                continue
            name = "__".join(filter(None, (recipe, dataset, metric, budget.replace(" ", "-"))))
            file = out / profile / f"{name}.md"
            file.parent.mkdir(parents=True, exist_ok=True)
            heading = f"# {dataset}: {metric}{', ' * timed}{budget}"
            table = markdown(*pivot(rows, metric))
            file.write_text("\n\n".join([heading, _note(rows), table]), encoding="utf-8")
            files.append(file)
    return files


def _note(rows: list[dict]) -> str:
    """What the numbers of a table were measured on.

    ValueError if they were measured on other numbers of samples, which do not compare.
    """
    counted = [row for row in rows if row["sampler"] not in ("halves", "half-mirrored", "training")] or rows
    if len({(row["n_generated"], row["n_reference"], row["split"]) for row in counted}) > 1:
        raise ValueError(f"a table compares equal numbers of samples only; {rows[0]['recipe']} mixes several")
    first = counted[0]
    counts = f"{first['n_generated']:,} generated samples against {first['n_reference']:,} real ones"
    students = [row["training"] for row in rows if row["method"] not in ("teacher", "real data")]
    budgets = {(of["steps"], of["batch"]) for of in students if of.get("steps") and "batch" in of}
    budget = "students trained for {:,} steps of {}; ".format(*budgets.pop()) if len(budgets) == 1 else ""
    spread = f"mean ± standard error over seeds; profile {first['profile']}."
    note = f"{counts} ({first['split']}); {budget}{spread}"
    if first["mode"]:  # of the command evaluate
        features = f"Features of {first['extractor'].split()[0]}, mode {first['mode']}"
        note += f" {features}; the spread of a single seed is the bootstrap's."
    return note + " **Stand-in data.**" * first["stand_in"]
