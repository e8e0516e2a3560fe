"""The paper's Table 8 (settings), and cost, taken to be Table 11, beside ours."""

from functools import reduce

from .. import objectives
from ..evaluation.cost import of_standard
from ..experiments import recipes
from ..nets import sizes
from ..training.config import TrainConfig
from .cells import DASH, NOT_RUN, Cell, Table, one, quoted, recorded
from .paper_tables import NOTEBOOKS, OURS, PROFILES, QUOTED, SAME, TEXTS, matching, quotation, unfilled
from .published import SETTING, Published, published
from .tables import number

SETTINGS = TEXTS["settings"]
# data sets whose training is timed, and what trains on them
RUN = NOTEBOOKS | {"fashion_mnist": "07_fashion_mnist"}
# which method is asked for where the recipe does not train the paper's
METHODS = {"fashion_mnist": "traflow"}


def _distance(recipe: dict, method: str) -> str:
    student = recipes.student(recipe, method)
    objective = objectives.get(student["objective"], **student.get("options", {}))
    return SETTINGS["distances"][vars(objective)["distance"]]


def _note(row: Published, recipe: dict) -> str:
    setting = row.metric.removeprefix(SETTING)
    notes = [row.note, *(SETTINGS["ours"].get(name) for name in (f"{row.dataset} {setting}", setting))]
    if setting == "distance D":
        others = [name for name in recipe["methods"] if name != "traflow_v4"]
        told = ", ".join(f"{name} {_distance(recipe, name)}" for name in others)
        notes.append(f"ours: of traflow_v4; {told}")
    return "; ".join(filter(None, notes))


def _ours(row: Published, recipe: dict) -> Cell | str:
    setting, network = row.metric.removeprefix(SETTING), sizes.STUDENTS[row.dataset]
    if key := SETTINGS["keys"].get(setting):
        # a part such as ema.1 is a place in a list
        value = reduce(lambda at, part: at[int(part) if part.isdigit() else part], key.split("."), recipe)
        text = f"{value:g}" if isinstance(value, float) else str(value)
        return one(text, "recipe", f"{row.dataset} paper", key)
    if setting == "student parameters (M)":
        return one(f"{of_standard(network, True)[0] / 1e6:.1f}", "network", network, "student parameters")
    if setting == "distance D":
        return _distance(recipe, "traflow_v4")
    if setting == "optimiser":
        return recipe["student"]["train"].get("optimizer", TrainConfig.optimizer).capitalize()
    return SETTINGS["words"][setting]


def settings() -> Table:
    """Table 8: a row a setting; ours from the recipes' profile `paper`."""
    rows, used = [], {dataset: recipes.load(dataset, "paper") for dataset in sizes.STUDENTS}
    column = "ours, recipe at profile paper"
    for row in [row for row in published() if row.dataset in used and row.metric.startswith(SETTING)]:
        recipe = used[row.dataset]
        setting = f"{row.metric.removeprefix(SETTING)}{', main text' * (row.table == 'main text')}"
        rows.append({"data set": row.dataset, "setting": setting, "note": _note(row, recipe)})
        rows[-1] |= quotation(row) | {column: _ours(row, recipe)}
    header = ["data set", "setting", *QUOTED, column, "note"]
    return Table("table_8_settings", "paper", "Table 8: training settings", header, rows, SETTINGS["notes"])


def _networks() -> list[dict]:
    """Parameters and multiply-accumulates of the standard networks, published and counted."""
    rows: list[dict] = []
    paper = {row.params_m for row in published() if row.method.startswith("SCoT")}
    for name, (dataset, size, _) in sizes.NETWORKS.items():
        parameters, macs = of_standard(name)
        quoting = [row for row in published(dataset) if row.params_m == size]
        source = next((row for row in quoting if row.gmacs), quoting[0] if quoting else None)
        in_paper = next((row for row in quoting if row.table and size in paper), None)
        for quantity, field, counted, kind in (
            ("parameters (M)", "params_m", parameters / 1e6, "parameters"),
            ("MACs (G)", "gmacs", macs / 1e9, "macs"),
        ):
            printed = quoted(in_paper, field) if in_paper else Cell(DASH)
            rows.append({"data set": dataset, "network or loss": name, "quantity": quantity, "note": ""})
            rows[-1] |= {"counted": one(f"{counted:.1f}", "network", name, kind), "as printed": printed}
            if source and (own := quoted(source, field)).numbers:
                rows[-1] |= {"source": source.source, "evidence": source.evidence}
                rows[-1]["its source says"] = SAME if own.text == printed.text else own
    return rows


def _speed(row: dict, value: str, field: str) -> Cell:
    batch, device = str(row["training"].get("batch", "")), row["provenance"]["device"]
    size = f"{row['parameters'] / 1e6:.1f}"
    numbers = {field: value, "training.batch": batch, "parameters (M)": size, "provenance.device": device}
    facts = ", ".join([f"batch {batch}"] * bool(batch) + [f"{size}M parameters", device])
    return recorded(row, f"{value} ({facts})", {name: text for name, text in numbers.items() if text})


def _speeds(measured: list[dict]) -> dict[tuple[str, str], Cell]:
    """Training speeds by data set and what was timed: a method's training, or a variant of a benchmark."""
    cells: dict[tuple[str, str], Cell] = {}
    for row in [row for row in measured if row["parameters"]]:
        training = row["training"]
        if row["recipe"] == "gpu-check" and row["method"] not in ("velocity", "consistency"):
            continue  # the paper tells the speed of these two; docs/gpu.md has all
        trained = all(training.get(key) for key in ("steps", "batch", "seconds"))
        if row["metric"] == "images_per_second" and row["sampler"] == "training":
            # its images are procedural, which no speed depends on
            value = number(row["value"], row["spread"])
            cells[row["dataset"], row["method"]] = _speed(row, value, row["metric"])
        elif trained and not row["stand_in"] and row["method"] != "teacher":
            value = number(training["steps"] * training["batch"] / training["seconds"])
            key = (row["dataset"], f"{row['method']}, all its losses")
            cells.setdefault(key, _speed(row, value, "throughput"))
    return cells


def _throughput(measured: list[dict]) -> list[dict]:
    rows = [
        quotation(row) | {"data set": row.dataset, "network or loss": row.method, "note": row.note}
        for row in published(metric="throughput")
    ]
    found = {OURS[profile]: _speeds(matching(measured, profile=profile)) for profile in PROFILES}
    timed = {(dataset, f"{METHODS.get(dataset, 'traflow_v4')}, all its losses") for dataset in RUN}
    for dataset, what in sorted(timed.union(*found.values())):
        rows.append({at: cells.get((dataset, what), Cell(NOT_RUN)) for at, cells in found.items()})
        rows[-1] |= {"data set": dataset, "network or loss": f"this kit: {what}", "note": ""}
        rows[-1] |= {"source": "this kit", "evidence": "records"}
    return [row | {"quantity": "training images/s"} for row in rows]


def cost(measured: list[dict]) -> Table:
    """Table 11, taken to be the cost of networks and training."""
    rows, notes = _networks() + _throughput(measured), [*TEXTS["cost"]]
    for dataset, notebook in RUN.items():
        commands = [
            f"`python -m traflow_lib notebook {notebook} --profile {profile}`"
            for profile in unfilled([row for row in rows if row["data set"] == dataset])
        ]
        notes += [f"Not run on {dataset}: {' and '.join(commands)} would."] if commands else []
    header = ["data set", "network or loss", "quantity", *QUOTED, "counted", *OURS.values(), "note"]
    return Table("table_11_cost", "paper", "Cost, taken to be Table 11", header, rows, notes)


def build(measured: list[dict]) -> list[Table]:
    """Tables 8 and 11. measured: from evidence.here or evidence.reference."""
    return [settings(), cost(measured)]
