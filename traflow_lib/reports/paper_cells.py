"""What the paper's tables are made of: quotations as printed and as the source has them, and ours beside."""

from collections.abc import Iterable

from ..evaluation.inception import MODES
from .cells import Cell, Number, quoted, source
from .published import Published
from .tables import NOT_RUN, number

PROFILES = ("gpu", "paper")  # of ours, never in one column
OURS = [f"ours, profile {profile}" for profile in PROFILES]
QUOTED = ["as printed", "its source says", "source", "evidence"]
SAME = "same"
IN_BRACKETS = (
    "(In brackets): inferred. This kit's notes on the paper give one number for the paper's cell and for the "
    "method's own source, so the two are "
    "taken to be the same. Without brackets: the notes say what the paper prints. 'same': its source says "
    "what the paper prints."
)
PROSE = frozenset({"data set", "metric", "method", "source", "evidence", "note"})
NOTEBOOKS = {
    "cifar10": "08_cifar10",
    "celeba64": "09_celeba64",
    "ffhq64": "10_ffhq64_imagenet64",
    "imagenet64": "10_ffhq64_imagenet64",
}


def kind_of(metric: str) -> str | None:
    """The "fid" of "fid-clean": the kind of a metric made with Inception's features, None of others.

    Others may not stand beside published ones.
    """
    kind, _, mode = metric.partition("-")
    return kind if mode in MODES else None


def found(measured: list[dict], dataset: str, profile: str) -> list[dict]:
    """Measurements of the real data set at one profile that may stand beside published ones."""
    return [
        row
        for row in measured
        if (row["dataset"], row["profile"], row["stand_in"]) == (dataset, profile, False)
        and kind_of(row["metric"])
    ]


def measured_cell(rows: Iterable[dict]) -> Cell:
    """Every measurement with its metric and number of samples, each linked to its record.

    "not run" if there is none.
    """
    entries = []
    for row in rows:
        value, n = number(row["value"], row["spread"]), f"{row['n_generated']:,}"
        numbers = (
            Number(value, "record", source(row), row["metric"]),
            Number(n, "record", source(row), "n_generated"),
        )
        entries.append(Cell(f"{value} ({row['metric']}, n = {n})", numbers, source(row)))
    return (
        Cell(entries[0].text, entries[0].numbers, entries[0].record, tuple(entries[1:]))
        if entries
        else Cell(NOT_RUN)
    )


def matching(
    rows: list[dict], method: str, nfe: int, metric: str, sampler: str = "jumps", n: int | None = None
) -> list[dict]:
    """Of `found` measurements those of one row of a table, of n samples if that is given.

    Several where several evaluators were used.
    """
    wanted = (method, sampler, nfe, metric)
    rows = [
        row for row in rows if (row["method"], row["sampler"], row["nfe"], kind_of(row["metric"])) == wanted
    ]
    return [row for row in rows if n in (None, row["n_generated"])]


def how_to_run(rows: list[list[Cell]], dataset: str) -> list[str]:
    """A note a profile in whose column something was not run: the command that runs it."""
    notes = []
    for profile, cells in zip(PROFILES, zip(*[row[-3:-1] for row in rows])):
        if any(cell.text == NOT_RUN for cell in cells):
            notes.append(
                f"Not run at profile {profile}; to run it: `python -m traflow_lib notebook "
                f"{NOTEBOOKS[dataset]} --profile {profile}`"
            )
    return notes


def title_of(metric: str) -> Cell:
    """How the tables write a metric."""
    return Cell({"fid": "FID", "sfid": "sFID", "is": "IS"}.get(metric, metric))


def printed(row: Published) -> Cell:
    """What the paper prints, in brackets where that is inferred."""
    cell = quoted(row, "printed")
    return Cell(f"({cell.text})", cell.numbers) if row.reading == "inferred" else cell


def quotation(row: Published) -> list[Cell]:
    """The cells of QUOTED."""
    own = Cell(SAME) if row.printed and row.printed == row.value else quoted(row, "value")
    return [printed(row), own, Cell(row.source), Cell(row.evidence)]
