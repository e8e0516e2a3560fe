"""Tables from records and from published numbers, and from nothing else. What was not run says so."""

from math import floor, log10
from pathlib import Path

from ..evaluation import records
from ..experiments.recipes import EQUAL_TIME

NOT_RUN = "not run"
TIE = 2  # standard errors of a difference below which two means count as level, everywhere in this kit


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


def pivot(
    measured: list[dict], metric: str, columns: list[str] | None = None
) -> tuple[list[str], list[list[str]]]:
    """Header and rows of one data set and profile.

    A row a (method, sampler), a column an NFE, cells of `metric`.

    Raises ValueError if measured mixes data sets or profiles: such a column would compare what cannot be
    compared.
    """
    measured = [row for row in measured if row["metric"] == metric]
    if len({(row["dataset"], row["profile"]) for row in measured}) > 1:
        raise ValueError("a table holds one data set at one profile; filter the records first")
    calls = columns or [
        str(nfe)
        for nfe in sorted({row["nfe"] for row in measured if row["sampler"] not in records.UNGRIDDED})
    ]
    rows, names = (
        [],
        sorted(
            {(row["method"], row["sampler"]) for row in measured},
            key=lambda name: (name[0] != "real data", name[0] != "teacher", name),
        ),
    )
    for method, sampler in names:
        cells = {
            str(row["nfe"]): row for row in measured if (row["method"], row["sampler"]) == (method, sampler)
        }
        first = next(iter(cells.values()))
        title = (
            method
            if sampler in ("jumps", "training")
            else f"{method}, {sampler}" + (f" ({first['nfe']} calls)" if sampler == "dopri5" else "")
        )
        n_seeds = len(first["seeds"])
        shown = [number(cells[c]["value"], cells[c]["spread"]) if c in cells else NOT_RUN for c in calls]
        if sampler in records.UNGRIDDED:  # one number, whatever the column
            shown = [number(first["value"], first["spread"])] + ["same"] * (len(calls) - 1)
        rows.append([title, str(n_seeds), *shown])
    return ["method", "seeds", *([f"{c} call" + "s" * (c != "1") for c in calls] or [metric])], rows


def ranking(measured: list[dict], metric: str, nfe: int) -> list[tuple[str, float, float, bool]]:
    """Methods of one data set by their mean `metric` at `nfe` calls.

    (name, value, standard error, level with the first).

    A method with several samplers is represented by its best. Level: within TIE standard errors of the
    difference of the means.
    """
    best: dict[str, dict] = {}
    for row in measured:
        if row["metric"] == metric and row["nfe"] == nfe and row["method"] not in ("teacher", "real data"):
            if row["method"] not in best or row["value"] < best[row["method"]]["value"]:
                best[row["method"]] = row
    rows = sorted(best.values(), key=lambda row: row["value"])
    if any(row["spread"] is None for row in rows):
        raise ValueError("a ranking needs several seeds of every method")
    error = lambda row: (row["spread"] ** 2 + rows[0]["spread"] ** 2) ** 0.5  # noqa: E731
    return [
        (
            row["method"],
            row["value"],
            row["spread"],
            row is rows[0] or row["value"] - rows[0]["value"] <= TIE * error(row),
        )
        for row in rows
    ]


def write_all(measured: list[dict], out: Path) -> list[Path]:
    """Every table of one metric that the records allow, as Markdown under out/<profile>/.

    One file a (profile, recipe, data set, metric).
    """
    for old in out.glob("*/*__*.md"):  # its records may be gone
        old.unlink()
    groups: dict[tuple, list[dict]] = {}
    for row in measured:
        budget = "equal time" if row["method"].endswith(EQUAL_TIME) else ""
        groups.setdefault((row["profile"], row["recipe"], row["dataset"], row["metric"], budget), []).append(
            row
        )
    files = []
    for (profile, recipe, dataset, metric, budget), rows in sorted(groups.items()):
        header, lines = pivot(rows, metric)
        first = _alike(rows)
        counts = (
            f"{first['n_generated']:,} generated samples against {first['n_reference']:,} real ones "
            f"({first['split']})"
        )
        note = f"{counts}; {_budgets(rows)}mean ± standard error over seeds; profile {profile}."
        if first["mode"]:  # of the command evaluate
            note += (
                f" Features of {first['extractor'].split()[0]}, mode {first['mode']}; the spread of a single "
                "seed is the bootstrap's."
            )
        stand_in = " **Stand-in data.**" if first["stand_in"] else ""
        file = (
            out
            / profile
            / ("__".join(filter(None, (recipe, dataset, metric, budget.replace(" ", "-")))) + ".md")
        )
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            f"# {dataset}: "
            f"{metric}{', ' * bool(budget)}{budget}\n\n{note}{stand_in}\n\n{markdown(header, lines)}",
            encoding="utf-8",
        )
        files.append(file)
    return files


def _alike(rows: list[dict]) -> dict:
    """A row that speaks for the counts of all.

    ValueError if they were measured on other numbers of samples, which do not compare.
    """
    rows = [row for row in rows if row["sampler"] not in ("halves", "half-mirrored", "training")] or rows
    if len({(row["n_generated"], row["n_reference"], row["split"]) for row in rows}) > 1:
        raise ValueError(f"a table compares equal numbers of samples only; {rows[0]['recipe']} mixes several")
    return rows[0]


def _budgets(rows: list[dict]) -> str:
    """The training of the students, as far as it is one."""
    students = [
        row["training"]
        for row in rows
        if row["method"] not in ("teacher", "real data") and row["training"].get("steps")
    ]
    budgets = {
        f"{training['steps']:,} steps of {training['batch']}" for training in students if "batch" in training
    }
    return f"students trained for {budgets.pop()}; " if len(budgets) == 1 else ""
