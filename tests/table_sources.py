"""An independent reading of what a table's numbers claim as their source.

JSON, CSV and YAML files, and networks built anew; and of tables.
"""

import csv
import json
from functools import cache
from statistics import fmean, stdev

import torch
import yaml

from traflow_lib import nets
from traflow_lib.evaluation import cost, records
from traflow_lib.experiments import recipes
from traflow_lib.files import paths
from traflow_lib.nets import sizes
from traflow_lib.reports import tables


@cache
def recorded(file) -> dict[str, dict]:
    """The lines of a file of records by their keys, read as JSON; what a line leaves out is empty."""
    empty = {"training": {}, "errors": {}}
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []
    return {records.Record(**line).key: empty | line for line in lines}


def record_text(number, folders) -> str:
    name, _, key = number.where.partition("#")
    record = next(found for folder in folders if (found := recorded(folder / name).get(key)))
    if number.field in record["metrics"]:
        values = record["metrics"][number.field]
        spread = (
            stdev(values) / len(values) ** 0.5
            if len(values) > 1
            else record["errors"].get(number.field, [None])[0]
            if "errors" in record
            else None
        )
        return tables.number(fmean(values), spread)
    training = record["training"]
    special = {
        "provenance.device": lambda: record["provenance"]["device"],
        "seeds": lambda: str(len(record["seeds"])),
        "throughput": lambda: tables.number(training["steps"] * training["batch"] / training["seconds"]),
        "training.steps": lambda: f"{training['steps']:,}",
        "training.batch": lambda: f"{training['batch']:,}",
        "parameters (M)": lambda: f"{record['parameters'] / 1e6:.1f}",
    }
    return special[number.field]() if number.field in special else f"{record[number.field]:,}"


def published_text(number) -> str:
    with open(paths.committed("published.csv"), newline="", encoding="utf-8") as stream:
        return next(row for row in csv.DictReader(stream) if row["id"] == number.where)[number.field]


def recipe_text(number) -> str:
    name, profile = number.where.split()
    content = yaml.safe_load((recipes.FOLDER / f"{name}.yaml").read_text())
    value = recipes.merge(content, content["profiles"][profile] or {})
    for part in number.field.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return f"{value:g}" if isinstance(value, float) else str(value)


@cache
def network_text(number) -> str:
    config = sizes.NETWORKS[number.where][2]
    with torch.device("meta"):
        net = nets.build(config, s_input=number.field.startswith("student"))
    if number.field.endswith("parameters"):
        return f"{sum(p.numel() for p in net.parameters()) / 1e6:.1f}"
    return f"{cost.macs(net, nets.sample_shape(config)) / 1e9:.1f}"


def text_of(number, folders) -> str:
    """What the source says the number is; folders: of records, the first that has the file counts."""
    readers = {"published": published_text, "recipe": recipe_text, "network": network_text}
    return record_text(number, folders) if number.kind == "record" else readers[number.kind](number)


def lines_of(markdown: str) -> list[dict[str, str]]:
    """The lines of a Markdown table by its header."""
    header, _, *lines = [line[2:-2].split(" | ") for line in markdown.splitlines() if line.startswith("| ")]
    return [dict(zip(header, line, strict=True)) for line in lines]


def published_lines() -> list[dict[str, str]]:
    with open(paths.committed("published.csv"), encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
