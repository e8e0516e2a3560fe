"""The paper's Tables 2 to 6 and the data sets of its first version.

As printed, as each method's own source says, and as measured here.

Table 8 (settings) and Table 11 (taken to be the cost) are in cost_tables. Table 1 compares the losses of
methods; 7, 9 and 10 were not at hand.
"""

from ..experiments import recipes
from .ablation_tables import ablation
from .cells import Cell, Number, Table, one, quoted, source
from .paper_cells import (
    IN_BRACKETS,
    OURS,
    PROFILES,
    PROSE,
    QUOTED,
    found,
    how_to_run,
    kind_of,
    matching,
    measured_cell,
    quotation,
    title_of,
)
from .published import Published, published

KITS_OWN = (
    "`traflow` is this kit's own form of the method: one regression of jumps onto the teacher's states, "
    "without the paper's output and "
    "consistency losses as terms of their own (`traflow_anchored` and the compact students keep the output "
    "loss). `traflow_v1` and `traflow_v4` "
    "are this kit's readings of the paper's two versions; of the first only the abstract was at hand."
)
SCOT = "SCoT (TraFlow v4)"


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
            measured_cell(matching(ours[profile], "traflow_v4", int(row.nfe), row.metric))
            for profile in PROFILES
        ]
        cells = here if row.method == SCOT else [Cell("-"), Cell("-")]
        rows.append(
            [
                title_of(row.metric),
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
        here = [matching(ours[profile], method, nfe, metric, sampler) for profile in PROFILES]
        sized = [row for row in [*here[0], *here[1]] if row["parameters"]]
        size = (
            one(f"{sized[0]['parameters'] / 1e6:.1f}", "record", source(sized[0]), "parameters (M)")
            if sized
            else Cell("-")
        )
        title = Cell(f"this kit: {method}{f', {sampler}' * (sampler != 'jumps')}")
        rows.append(
            [
                title_of(metric),
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
