"""The paper's Table 8 (settings) and cost, taken to be Table 11, beside ours.

Ours are the recipes that follow Table 8, and networks counted and trainings timed here.
"""

from .. import objectives
from ..evaluation.cost import of_standard
from ..experiments import recipes
from ..nets import sizes
from ..training.config import TrainConfig
from .cells import Cell, Number, Table, one, quoted, source
from .paper_cells import NOTEBOOKS, OURS, PROFILES, PROSE, QUOTED, SAME, quotation
from .published import SETTING, Published, published
from .tables import NOT_RUN, number

# where a recipe holds the settings of Table 8; the student is a network that is counted
KEYS = {
    "teacher": "teacher.file",
    "learning rate": "student.train.lr",
    "batch": "student.train.batch",
    "iterations": "student.train.steps",
    "solver": "pairs.method",
    "solver steps": "pairs.steps",
    "EMA of the target": "student.train.ema.1",
    "EMA of the student": "student.train.ema.0",
    "precision": "precision",
}
RUN = NOTEBOOKS | {
    "fashion_mnist": "07_fashion_mnist"
}  # data sets whose training is timed, and what trains on them
DISTANCES = {"l2": "squared error", "pseudo_huber": "pseudo-Huber", "lpips": "LPIPS", "cauchy": "Cauchy"}
NOTES = {  # what a setting of ours leaves out, by data set and setting or by setting
    ("imagenet64", "teacher"): "ours: NVIDIA's release, another training of the same network",
    "precision": (
        "ours: by autocast, with weights and their averages in float32; the derivative of the velocity loss "
        "is taken in float32 throughout"
    ),
}
METHODS = {
    "fashion_mnist": "traflow"
}  # which method is asked for where the recipe does not train the paper's


def lookup(recipe: dict, key: str):
    """The setting at a dotted key such as student.train.ema.1."""
    value = recipe
    for part in key.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def distance_of(recipe: dict, method: str) -> str:
    """The distance D of a method of a recipe, by the name that objectives know it by."""
    student = recipes.student(recipe, method)
    return objectives.get(student["objective"], **student.get("options", {})).distance


def _note(row: Published, recipe: dict) -> Cell:
    """The published row's note, and what there is to say of ours."""
    setting = row.metric.removeprefix(SETTING)
    notes = [row.note, NOTES.get((row.dataset, setting)), NOTES.get(setting)]
    if setting == "distance D":
        others = [
            f"{method} {DISTANCES[distance_of(recipe, method)]}"
            for method in recipe["methods"]
            if method != "traflow_v4"
        ]
        notes.append(f"ours: of traflow_v4; {', '.join(others)}")
    return Cell("; ".join(filter(None, notes)))


def _ours(row: Published, recipe: dict) -> Cell:
    setting = row.metric.removeprefix(SETTING)
    if setting in KEYS:
        value = lookup(recipe, KEYS[setting])
        return one(
            f"{value:g}" if isinstance(value, float) else str(value),
            "recipe",
            f"{row.dataset} paper",
            KEYS[setting],
        )
    network = sizes.STUDENTS[row.dataset]
    if setting == "distance D":
        return Cell(DISTANCES[distance_of(recipe, "traflow_v4")])
    if setting == "student parameters (M)":
        return one(f"{of_standard(network, True)[0] / 1e6:.1f}", "network", network, "student parameters")
    if setting == "optimiser":
        return Cell(recipe["student"]["train"].get("optimizer", TrainConfig.optimizer).capitalize())
    return Cell({"student": "the teacher's network with s-embedding"}[setting])


def settings() -> Table:
    """Table 8: a row a setting; ours from the recipes' profile `paper`."""
    rows, used = [], {dataset: recipes.load(dataset, "paper") for dataset in sizes.STUDENTS}
    for row in [row for row in published() if row.dataset in used and row.metric.startswith(SETTING)]:
        cells = [*quotation(row), _ours(row, used[row.dataset]), _note(row, used[row.dataset])]
        rows.append(
            [
                Cell(row.dataset),
                Cell(f"{row.metric.removeprefix(SETTING)}{', main text' * (row.table == 'main text')}"),
                *cells,
            ]
        )
    notes = [
        "As printed: from the paper's Table 8 and the text around it, in the words of this kit's notes; "
        "'same': nothing corrects it.",
        "Ours are settings, not results: the profile `paper` of traflow_lib/recipes/cifar10.yaml and "
        "imagenet64.yaml.",
        "Parameters of ours are counted with the input for s, which the paper's 55.7M and 295.9M seem to "
        "leave out.",
    ]
    header = ["data set", "setting", *QUOTED, "ours, recipe at profile paper", "note"]
    prose, title = PROSE | {"setting"}, "Table 8: training settings"
    return Table("table_8_settings", "paper", title, header, rows, prose, notes)


def _networks() -> list[list[Cell]]:
    """Parameters and multiply-accumulates of the standard networks, published and counted."""
    rows, paper = [], {row.params_m for row in published() if row.method.startswith("SCoT")}
    for name, (dataset, size, _) in sizes.NETWORKS.items():
        quoting = [row for row in published(dataset) if row.params_m == size]
        source = next((row for row in quoting if row.gmacs), quoting[0] if quoting else None)
        for quantity, field, counted in zip(
            ("parameters (M)", "MACs (G)"), ("params_m", "gmacs"), of_standard(name)
        ):
            printed = next((quoted(row, field) for row in quoting if row.table and size in paper), Cell("-"))
            own = quoted(source, field) if source else Cell("-")
            origin = [Cell(source.source), Cell(source.evidence)] if own.numbers else [Cell("-"), Cell("-")]
            own = Cell(SAME) if own.numbers and own.text == printed.text else own
            count = one(
                f"{counted / (1e6 if field == 'params_m' else 1e9):.1f}",
                "network",
                name,
                "parameters" if field == "params_m" else "macs",
            )
            rows.append(
                [
                    Cell(dataset),
                    Cell(name),
                    Cell(quantity),
                    printed,
                    own,
                    *origin,
                    count,
                    Cell("-"),
                    Cell("-"),
                    Cell(),
                ]
            )
    return rows


def _speed(row: dict, value: str, field: str) -> Cell:
    """A speed with the size of the network, its batch where the record tells it, and the device."""
    facts = [
        ("batch {}", str(row["training"].get("batch", "")), "training.batch"),
        ("{}M parameters", f"{row['parameters'] / 1e6:.1f}", "parameters (M)"),
        ("{}", row["provenance"]["device"], "provenance.device"),
    ]
    facts = [fact for fact in facts if fact[1]]
    numbers = (
        Number(value, "record", source(row), field),
        *(Number(text, "record", source(row), name) for _, text, name in facts),
    )
    return Cell(f"{value} ({', '.join(form.format(text) for form, text, _ in facts)})", numbers, source(row))


def _speeds(measured: list[dict], profile: str) -> dict[tuple[str, str], Cell]:
    """Training speeds of one profile by data set and what was timed.

    A whole training of a method, or one variant of the throughput benchmark.
    """
    cells: dict[tuple[str, str], Cell] = {}
    for row in [row for row in measured if row["profile"] == profile and row["parameters"]]:
        training = row["training"]
        if row["recipe"] == "gpu-check" and row["method"] not in ("velocity", "consistency"):
            continue  # the paper tells the speed of these two; docs/gpu.md has all
        if (
            row["metric"] == "images_per_second" and row["sampler"] == "training"
        ):  # its images are procedural, which no speed depends on
            cells[row["dataset"], row["method"]] = _speed(
                row, number(row["value"], row["spread"]), row["metric"]
            )
        elif (
            not row["stand_in"]
            and row["method"] != "teacher"
            and all(training.get(key) for key in ("steps", "batch", "seconds"))
        ):
            value = number(training["steps"] * training["batch"] / training["seconds"])
            cells.setdefault(
                (row["dataset"], f"{row['method']}, all its losses"), _speed(row, value, "throughput")
            )
    return cells


def _throughput(measured: list[dict]) -> list[list[Cell]]:
    rows, quantity, dash = [], Cell("training images/s"), Cell("-")
    for row in published(metric="throughput"):
        rows.append(
            [Cell(row.dataset), Cell(row.method), quantity, *quotation(row), dash, dash, dash, Cell(row.note)]
        )
    found = [_speeds(measured, profile) for profile in PROFILES]
    asked = {(dataset, f"{METHODS.get(dataset, 'traflow_v4')}, all its losses") for dataset in RUN}
    for dataset, timed in sorted(asked | found[0].keys() | found[1].keys()):
        ours = [
            Cell("this kit"),
            Cell("records"),
            dash,
            *(cells.get((dataset, timed), Cell(NOT_RUN)) for cells in found),
            Cell(),
        ]
        rows.append([Cell(dataset), Cell(f"this kit: {timed}"), quantity, dash, dash, *ours])
    return rows


def cost(measured: list[dict]) -> Table:
    """Table 11, taken to be the cost of networks and training."""
    rows = _networks() + _throughput(measured)
    notes = [
        "The text of the paper's Table 11 was not at hand. It is taken to be the table of costs: the "
        "parameters are those of Tables 2 and 3, "
        "the throughputs those given with the training settings. Multiply-accumulates the paper prints are "
        "not known.",
        "Counted: matrix products and convolutions of one call on one image, attention included, without the "
        "input for s.",
        "The paper times one loss at a time, as benchmarks/throughput.py does on procedural images; 'all its "
        "losses' is a whole training.",
    ]
    for dataset, notebook in RUN.items():
        commands = [
            f"`python -m traflow_lib notebook {notebook} --profile {profile}`"
            for i, profile in enumerate(PROFILES)
            if any((row[0].text, row[8 + i].text) == (dataset, NOT_RUN) for row in rows)
        ]
        notes += [f"Not run on {dataset}: {' and '.join(commands)} would."] if commands else []
    header = ["data set", "network or loss", "quantity", *QUOTED, "counted", *OURS, "note"]
    prose, title = PROSE | {"network or loss", "quantity"}, "Cost, taken to be Table 11"
    return Table("table_11_cost", "paper", title, header, rows, prose, notes)


def build(measured: list[dict]) -> list[Table]:
    """Tables 8 and 11. measured: from evidence.here or evidence.reference."""
    return [settings(), cost(measured)]
