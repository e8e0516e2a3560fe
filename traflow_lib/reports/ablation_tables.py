"""The paper's Tables 4 to 6 (ImageNet-64): its ablations of the losses, beside ours."""

from ..experiments import fid, recipes
from .cells import Cell, Table, quoted
from .paper_cells import OURS, PROFILES, PROSE, found, matching, measured_cell, printed, title_of
from .published import Published, published
from .tables import NOT_RUN

# the students of the recipe that are the paper's ablations, before "-5000" and the like
ABLATIONS = {
    "SCoT, consistency only": "traflow_v4_no_velocity",
    "SCoT, full": "traflow_v4",
    "SCoT, velocity weight adaptive": "traflow_v4_adaptive",
    "SCoT, velocity weight none": "traflow_v4_fixed",
    "SCoT, velocity weight clipped": "traflow_v4",
}


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
            measured_cell(matching(ours[profile], student, calls, row.metric, n=int(row.n_samples)))
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
        rows.append([title_of(row.metric), Cell(row.method), *cells])
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
    asked_for = dict.fromkeys(row.metric for row in quoting)
    missing = [title_of(metric).text for metric in asked_for if metric not in kinds]
    without = f", without {' and '.join(missing)}" if missing else ""
    if {row.n_samples for row in quoting} != {str(asked["n"])}:
        return (
            f"Not run at profile {profile}, and no command fills these cells yet: {command} measures "
            f"{asked['n']:,} images{without}."
        )
    return f"Not run at profile {profile}; to run it{without}: {command}"
