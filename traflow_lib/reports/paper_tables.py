"""The paper's Tables 2 to 6 and the data sets of its first version.

As printed, as each method's own source says, and as measured here.

Table 8 (settings) and Table 11 (taken to be the cost) are in cost_tables. Table 1 compares the losses of
methods; 7, 9 and 10 were not at hand.
"""

from collections.abc import Iterable

from ..evaluation.inception import MODES
from ..experiments import fid, recipes
from .cells import Cell, Number, Table, one, quoted, source
from .published import Published, published
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
KITS_OWN = (
    "`traflow` is this kit's own form of the method: one regression of jumps onto the teacher's states, "
    "without the paper's output and "
    "consistency losses as terms of their own (`traflow_anchored` and the compact students keep the output "
    "loss). `traflow_v1` and `traflow_v4` "
    "are this kit's readings of the paper's two versions; of the first only the abstract was at hand."
)
PROSE = frozenset({"data set", "metric", "method", "source", "evidence", "note"})
NOTEBOOKS = {
    "cifar10": "08_cifar10",
    "celeba64": "09_celeba64",
    "ffhq64": "10_ffhq64_imagenet64",
    "imagenet64": "10_ffhq64_imagenet64",
}
SCOT = "SCoT (TraFlow v4)"
# the students of the recipe that are the paper's ablations, before "-5000" and the like
ABLATIONS = {
    "SCoT, consistency only": "traflow_v4_no_velocity",
    "SCoT, full": "traflow_v4",
    "SCoT, velocity weight adaptive": "traflow_v4_adaptive",
    "SCoT, velocity weight none": "traflow_v4_fixed",
    "SCoT, velocity weight clipped": "traflow_v4",
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


def _matching(
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


def _title(metric: str) -> Cell:
    return Cell({"fid": "FID", "sfid": "sFID", "is": "IS"}.get(metric, metric))


def _order(row: Published) -> tuple:
    return ("fid", "is", "recall").index(row.metric), int(row.nfe), float(row.value or row.printed), row.id


def quality(measured: list[dict], dataset: str, name: str, title: str, notes: list[str]) -> Table:
    """Methods by metric and calls.

    Published ones first, then this kit's own, those of the recipe also where nothing was measured yet.
    """
    ours = {profile: found(measured, dataset, profile) for profile in PROFILES}
    rows = []
    for row in sorted(
        (row for row in published(dataset) if row.metric in ("fid", "is", "recall") and not row.iterations),
        key=_order,
    ):
        here = [
            measured_cell(_matching(ours[profile], "traflow_v4", int(row.nfe), row.metric))
            for profile in PROFILES
        ]
        cells = here if row.method == SCOT else [Cell("-"), Cell("-")]
        rows.append(
            [
                _title(row.metric),
                Cell(row.method),
                quoted(row, "params_m"),
                quoted(row, "nfe"),
                *quotation(row),
                *cells,
                Cell(row.note),
            ]
        )
    shown = {
        ("traflow_v4", "jumps", int(row.nfe), row.metric) for row in published(dataset) if row.method == SCOT
    }
    rows += _own_rows(ours, dataset, shown)
    header = ["metric", "method", "params (M)", "calls", *QUOTED, *OURS, "note"]
    brackets = [IN_BRACKETS] if any(row[4].text.startswith("(") for row in rows) else []
    stated = [
        "A dash: not printed, not known, or no counterpart in this kit. Ours name the metric with its "
        "evaluator and the number of generated images n."
    ]
    return Table(
        name,
        "paper",
        title,
        header,
        rows,
        PROSE,
        [*notes, *brackets, *stated, KITS_OWN, *how_to_run(rows, dataset)],
    )


def printed(row: Published) -> Cell:
    """What the paper prints, in brackets where that is inferred."""
    cell = quoted(row, "printed")
    return Cell(f"({cell.text})", cell.numbers) if row.reading == "inferred" else cell


def quotation(row: Published) -> list[Cell]:
    """The cells of QUOTED."""
    own = Cell(SAME) if row.printed and row.printed == row.value else quoted(row, "value")
    return [printed(row), own, Cell(row.source), Cell(row.evidence)]


def _own_rows(ours: dict[str, list[dict]], dataset: str, shown: set) -> list[list[Cell]]:
    """A row a (method, sampler, calls) of this kit that is not in `shown`.

    Those its recipe asks for, and what else was measured.
    """
    calls: dict[tuple, Cell] = {}
    for profile in PROFILES:
        recipe = recipes.load(dataset, profile)
        for method in recipe["methods"]:
            for i, nfe in enumerate(recipe["evaluate"]["nfe"]):
                calls.setdefault(
                    (method, "jumps", nfe, "fid"),
                    one(str(nfe), "recipe", f"{dataset} {profile}", f"evaluate.nfe.{i}"),
                )
        for row in ours[profile]:
            key = (row["method"], row["sampler"], row["nfe"], kind_of(row["metric"]))
            calls.setdefault(
                key, Cell(str(row["nfe"]), (Number(str(row["nfe"]), "record", source(row), "nfe"),))
            )
    rows = []
    for key in sorted(calls.keys() - shown, key=lambda key: (key[3] != "fid", key[3], key)):
        method, sampler, nfe, metric = key
        here = [_matching(ours[profile], method, nfe, metric, sampler) for profile in PROFILES]
        sized = [row for row in [*here[0], *here[1]] if row["parameters"]]
        size = (
            one(f"{sized[0]['parameters'] / 1e6:.1f}", "record", source(sized[0]), "parameters (M)")
            if sized
            else Cell("-")
        )
        title = Cell(f"this kit: {method}{f', {sampler}' * (sampler != 'jumps')}")
        rows.append(
            [
                _title(metric),
                title,
                size,
                calls[key],
                Cell("-"),
                Cell("-"),
                Cell("this kit"),
                Cell("records"),
                *map(measured_cell, here),
                Cell(),
            ]
        )
    return rows


def ablation(measured: list[dict], table: str, title: str, notes: list[str]) -> Table:
    """One of Tables 4 to 6: a row a (metric, calls, iterations).

    Ours only with as many samples as the paper's.
    """
    quoting = published("imagenet64", table)
    ours, rows, students = {p: found(measured, "imagenet64", p) for p in PROFILES}, [], set()
    for row in quoting:
        student = f"{ABLATIONS[row.method]}-{row.iterations}"
        students.add(student)
        calls = int(
            row.nfe or 2
        )  # Table 6 does not tell its number of calls; its cells go with Table 5's at two
        here = [
            measured_cell(_matching(ours[profile], student, calls, row.metric, n=int(row.n_samples)))
            for profile in PROFILES
        ]
        cells = [
            quoted(row, "nfe"),
            quoted(row, "iterations"),
            quoted(row, "n_samples"),
            printed(row),
            *here,
            Cell(row.note),
        ]
        rows.append([_title(row.metric), Cell(row.method), *cells])
    header = ["metric", "method", "calls", "iterations", "n", "as printed", *OURS, "note"]
    notes = [*notes, f"Printed numbers: {quoting[0].source}, {quoting[0].evidence}; no spread is known."]
    for profile, cells in zip(PROFILES, zip(*[row[-3:-1] for row in rows])):
        if any(cell.text == NOT_RUN for cell in cells):
            notes.append(_ablation_command(profile, sorted(students), quoting))
    return Table(f"table_{table}_ablation", "paper", title, header, rows, PROSE, notes)


def _ablation_command(profile: str, students: list[str], quoting: list[Published]) -> str:
    """The command that trains and measures a table's students.

    And which of the table's cells the recipe's settings cannot fill.
    """
    asked = fid.settings(recipes.load("imagenet64", profile), students[0])
    command = (
        f"`python -m traflow_lib bench --recipe imagenet64 --profile {profile} "
        f"{' '.join(f'--method {student}' for student in students)}`"
    )
    kinds = {
        kind
        for metric in asked["metrics"]
        for kind in (("precision", "recall") if metric == "pr" else (metric,))
    }
    missing = [
        _title(metric).text for metric in dict.fromkeys(row.metric for row in quoting) if metric not in kinds
    ]
    without = f", without {' and '.join(missing)}" if missing else ""
    if {row.n_samples for row in quoting} != {str(asked["n"])}:
        return (
            f"Not run at profile {profile}, and no command fills these cells yet: {command} measures "
            f"{asked['n']:,} images{without}."
        )
    return f"Not run at profile {profile}; to run it{without}: {command}"


def build(measured: list[dict]) -> list[Table]:
    """Tables 2 to 6, and CelebA-64 and FFHQ-64. measured: from evidence.here or evidence.reference."""
    evaluators = (
        "Published FIDs come from different evaluators (clean-fid, TensorFlow's Inception, EDM's statistics) "
        "and compare only roughly."
    )
    field = "Rows that the paper does not print are those this kit has collected, not the whole literature."
    no_celeba = (
        "Of the first version only the abstract was at hand, and no published number on CelebA at 64x64: "
        "none is quoted."
    )
    calls = "The number of calls is not known; ours are at two, where Table 5 has equal cells."
    return [
        quality(
            measured, "cifar10", "table_2_cifar10", "Table 2: CIFAR-10, unconditional", [evaluators, field]
        ),
        quality(
            measured, "imagenet64", "table_3_imagenet64", "Table 3: ImageNet at 64x64", [evaluators, field]
        ),
        ablation(
            measured,
            "4",
            "Table 4: consistency loss alone, ImageNet-64",
            ["Table 5 is the same with all losses."],
        ),
        ablation(
            measured,
            "5",
            "Table 5: all losses, ImageNet-64",
            ["Table 4 is the same with the consistency loss alone."],
        ),
        ablation(measured, "6", "Table 6: weight of the velocity loss, ImageNet-64", [calls]),
        quality(
            measured, "celeba64", "v1_celeba64", "CelebA at 64x64, named by the first version", [no_celeba]
        ),
        quality(
            measured,
            "ffhq64",
            "v1_ffhq64",
            "FFHQ at 64x64, named by the first version",
            [evaluators, field, "Its own numbers were not at hand."],
        ),
    ]
