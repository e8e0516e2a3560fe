"""Published numbers: results/published.csv, one number a row.

Each has what the paper prints and what the method's own source says.
"""

import csv
from dataclasses import dataclass, fields
from pathlib import Path

from ..files import paths

METRICS = ("fid", "sfid", "is", "precision", "recall", "throughput")
SETTING = "setting: "  # prefix of a metric that is a setting of the training, in words or a number
READINGS = ("read", "inferred")
UNKNOWN = "not known"  # the evidence of a number without a source


@dataclass(frozen=True)
class Published:
    """One published number, as strings so that every digit stays as it was printed.

    "" where something does not apply or is not known.

    id: stable name of the row; table: where the paper (version 4) prints it, "" if it does not; nfe: network
    calls a sample; iterations:
    of training; n_samples: generated for the metric; printed: what the paper says; reading: of `printed`,
    "read" where this kit's notes on the paper say what it prints (settings in the notes' own words),
    "inferred" where they give one number for the paper's cell and for the method's own source, so that the
    two are taken to be the same; value: what the method's own source says; params_m and gmacs: millions of
    parameters and 10^9 multiply-accumulates a call; source, evidence: of `value`, and how it was read.
    """

    id: str
    table: str
    dataset: str
    method: str
    kind: str
    nfe: str
    iterations: str
    n_samples: str
    metric: str
    printed: str
    reading: str
    value: str
    params_m: str
    gmacs: str
    source: str
    evidence: str
    note: str

    def __post_init__(self):
        if empty := [
            name
            for name in ("id", "dataset", "method", "kind", "metric", "source", "evidence")
            if not getattr(self, name)
        ]:
            raise ValueError(f"{empty[0]} is empty")
        if not (self.printed or self.value):
            raise ValueError("neither printed nor value holds a number")
        if self.printed and not self.table:
            raise ValueError("a printed number needs the table it stands in")
        if bool(self.printed) != bool(self.reading) or self.reading not in ("", *READINGS):
            raise ValueError(
                f"reading is '{self.reading}'; it must be {' or '.join(READINGS)} where a number is printed, "
                "and empty elsewhere"
            )
        is_setting = self.metric.startswith(SETTING)
        if not is_setting and self.metric not in METRICS:
            raise ValueError(
                f"unknown metric '{self.metric}'; there are {', '.join(METRICS)} and '{SETTING}...'"
            )
        for name in (
            "nfe",
            "iterations",
            "n_samples",
            "params_m",
            "gmacs",
            *(() if is_setting else ("printed", "value")),
        ):
            _check_number(name, getattr(self, name))

    @property
    def is_misprint(self) -> bool:
        """The paper prints something else than the method's own source says, if that is known."""
        return bool(self.printed) and self.printed != self.value and self.evidence != UNKNOWN


def _check_number(name: str, text: str) -> None:
    try:
        float(text or 0)
    except ValueError:
        raise ValueError(f"{name} is '{text}'; a number was expected") from None


def published(
    dataset: str | None = None, table: str | None = None, metric: str | None = None, file: Path | None = None
) -> list[Published]:
    """The rows of published.csv (or `file`) of one data set, table and metric, or of all.

    Raises ValueError naming file and line where a field is missing, unknown or cannot be what it should be.
    """
    file = file or paths.committed("published.csv")
    known = [field.name for field in fields(Published)]
    rows: dict[str, Published] = {}
    with open(file, newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        if wrong := sorted(set(known) ^ set(reader.fieldnames or [])):
            raise ValueError(
                f"{file.name}, line 1: the fields are {', '.join(known)}; missing or unknown: "
                f"{', '.join(wrong)}"
            )
        for line in reader:
            try:
                if None in line or None in line.values():
                    raise ValueError(f"a row has {len(known)} fields")
                row = Published(**line)
                if row.id in rows:
                    raise ValueError(f"the id {row.id} was there before")
            except ValueError as error:
                raise ValueError(f"{file.name}, line {reader.line_num}: {error}") from None
            rows[row.id] = row
    wanted = {"dataset": dataset, "table": table, "metric": metric}
    return [
        row
        for row in rows.values()
        if all(value in (None, getattr(row, name)) for name, value in wanted.items())
    ]
