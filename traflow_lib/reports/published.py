"""Published numbers, one a row of results/published.csv: as the paper prints it and by its own source."""

import csv
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from ..files import paths
from ..files.checks import first_fault

SETTING = "setting: "  # prefix of a metric that is a setting of the training, in words or a number
NUMBER = r"\d*\.?\d*"
METRIC = rf"^(fid|sfid|is|precision|recall|throughput|{SETTING}.+)$"

Words = Annotated[str, Field(min_length=1)]
Number = Annotated[str, Field(pattern=f"^{NUMBER}$")]


class Published(BaseModel, frozen=True, extra="forbid"):
    """One published number, as strings so that every digit stays as it was printed.

    "" where something does not apply or is not known.

    id: stable name of the row; table: where the paper (version 4) prints it, "" if it does not; nfe: network
    calls a sample; iterations: of training; n_samples: generated for the metric; printed: what the paper
    says; reading: of `printed`, "read" where this kit's notes on the paper say what it prints, "inferred"
    where they give one number for the paper's cell and for the method's own source, so that the two are taken
    to be the same; value: what the method's own source says; params_m and gmacs: millions of parameters and
    10^9 multiply-accumulates a call; source, evidence: of `value`, and how it was read.
    """

    id: Words
    table: str
    dataset: Words
    method: Words
    kind: Words
    nfe: Number
    iterations: Number
    n_samples: Number
    metric: Annotated[str, Field(pattern=METRIC)]
    printed: str
    reading: Literal["", "read", "inferred"]
    value: str
    params_m: Number
    gmacs: Number
    source: Words
    evidence: Words
    note: str

    @model_validator(mode="after")
    def _fits_together(self):
        if not (self.printed or self.value):
            raise ValueError("neither printed nor value holds a number")
        if self.printed and not self.table:
            raise ValueError("a printed number needs the table it stands in")
        if bool(self.printed) != bool(self.reading):
            raise ValueError("reading must be there where a number is printed, and empty elsewhere")
        words = [text for text in (self.printed, self.value) if not re.fullmatch(NUMBER, text)]
        if words and not self.metric.startswith(SETTING):
            raise ValueError(f"'{words[0]}' is no number, which {self.metric} is")
        return self


def published(
    dataset: str | None = None, table: str | None = None, metric: str | None = None, file: Path | None = None
) -> list[Published]:
    """The rows of published.csv (or `file`) of one data set, table and metric, or of all.

    Raises ValueError naming file and line where a field is missing, unknown or cannot be what it should be.
    """
    file = file or paths.committed("published.csv")
    rows: dict[str, Published] = {}
    with open(file, newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        for line in reader:
            place = f"{file.name}, line {reader.line_num}"
            try:
                row = Published.model_validate(line)
            except ValidationError as error:
                keys, value, message = first_fault(error, line)
                raise ValueError(f"{place}: {f'{keys[0]} is {value!r}: ' if keys else ''}{message}") from None
            if row.id in rows:
                raise ValueError(f"{place}: the id {row.id} was there before")
            rows[row.id] = row
    wanted = {"dataset": dataset, "table": table, "metric": metric}
    return [
        row
        for row in rows.values()
        if all(value in (None, getattr(row, name)) for name, value in wanted.items())
    ]
