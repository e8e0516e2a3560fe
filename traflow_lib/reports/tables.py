"""Tables from records and from published numbers, and from nothing else. What was not run says so."""

from math import floor, log10
from pathlib import Path

from ..evaluation import records
from ..experiments.recipes import EQUAL_TIME
from .cells import NOT_RUN


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


def grouped(measured: list[dict], *fields: str) -> dict[tuple, list[dict]]:
    """Measurements by what they have in these fields, in the order of the keys."""
    found: dict[tuple, list[dict]] = {}
    for row in measured:
        found.setdefault(tuple(row[field] for field in fields), []).append(row)
    return dict(sorted(found.items()))


def gridded(row: dict) -> bool:
    """Whether a measurement's sampler has a number of calls."""
    return row["sampler"] not in records.UNGRIDDED


def calls_of(measured: list[dict]) -> list[int]:
    """The numbers of calls that were measured."""
    return sorted({row["nfe"] for row in measured if gridded(row)})


def grid(measured: list[dict], calls: list[int], *fields: str) -> list[dict[tuple[str, int], dict]]:
    """A dict a model, of its measurements by (metric, calls): real data, the teacher, then the others.

    What has one number, whatever the calls, stands in the first column of its metric.

    Raises ValueError unless all measurements are of one profile and have these fields in common: a column
    would compare what cannot be compared.
    """
    if len(grouped(measured, "profile", *fields)) > 1:
        kinds = " and ".join(field.replace("dataset", "data set") for field in fields)
        raise ValueError(f"a table holds one {kinds} at one profile; filter the records first")
    places = {"real data": 0, "teacher": 1}
    models = sorted(
        grouped(measured, "method", "sampler").items(), key=lambda item: places.get(item[0][0], 2)
    )
    only = calls[0] if calls else 0
    return [
        {(row["metric"], row["nfe"] if gridded(row) else only): row for row in rows} for _, rows in models
    ]


def pivot(
    measured: list[dict], metric: str, columns: list[str] | None = None
) -> tuple[list[str], list[list[str]]]:
    """Header and rows of one data set and profile: a row a (method, sampler), a column a number of calls."""
    chosen = [row for row in measured if row["metric"] == metric]
    calls = list(map(int, columns)) if columns else calls_of(chosen)
    rows = []
    for cells in grid(chosen, calls, "dataset"):
        row = next(iter(cells.values()))
        calls_taken = f" ({row['nfe']} calls)" if row["sampler"] == "dopri5" else ""
        texts = [NOT_RUN if gridded(row) else "same"] * max(1, len(calls))
        for i, nfe in enumerate(calls or [0]):
            if found := cells.get((metric, nfe)):
                texts[i] = number(found["value"], found["spread"])
        rows.append([title(row) + calls_taken, str(len(row["seeds"])), *texts])
    return ["method", "seeds", *(map(calls_title, calls) if calls else [metric])], rows


def write_all(measured: list[dict], out: Path) -> list[Path]:
    """Every table of one metric that the records allow, as Markdown under out/<profile>/.

    One file a (profile, recipe, data set, metric), and one of students trained for equal time.
    """
    for old in out.glob("*/*__*.md"):  # its records may be gone
        old.unlink()
    budgeted = [row | {"budget": "equal time" * row["method"].endswith(EQUAL_TIME)} for row in measured]
    files = []
    for key, rows in grouped(budgeted, "profile", "recipe", "dataset", "metric", "budget").items():
        profile, recipe, dataset, metric, budget = key
        name = "__".join(filter(None, (recipe, dataset, metric, budget.replace(" ", "-"))))
        file = out / profile / f"{name}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        heading = f"# {dataset}: {', '.join(filter(None, (metric, budget)))}"
        file.write_text("\n\n".join([heading, _note(rows), markdown(*pivot(rows, metric))]), encoding="utf-8")
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
