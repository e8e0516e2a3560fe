"""Result records: what was measured, on what, at which cost, and how to measure it again. Tables are built from these alone."""

import json
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from hashlib import file_digest, sha256
from math import isfinite
from pathlib import Path
from statistics import fmean, stdev
from types import UnionType
from typing import get_args, get_origin, get_type_hints

from . import paths
from .provenance import provenance

UNGRIDDED = ("dopri5", "halves", "training")  # samplers without a number of steps; "training" holds what a step of it costs


@dataclass
class Record:
    """One sampler of one model (or several seeds of it) on one data set. `metrics` maps a metric's name to the values over seeds.

    nfe: network calls a sample; extractor: what made the features of FD metrics, with its checksum in checkpoint_sha256's place beside
    the model's; mode: how images got the size it takes; split: data the metrics compare with; training: steps, batch, seconds ... of the
    model; hash: the recipe's fingerprint. errors: standard errors of the values by the bootstrap, for what has no seeds to tell it by;
    cost: what a call of the network takes (evaluation.cost.Cost).
    """

    recipe: str
    profile: str
    dataset: str
    method: str
    nfe: int
    sampler: str
    metrics: dict[str, list[float]]
    seeds: list[int]
    n_generated: int
    n_reference: int
    split: str
    hash: str
    stand_in: bool = False
    extractor: str | None = None
    ema: float | None = None
    parameters: int | None = None
    macs: int | None = None
    training: dict = field(default_factory=dict)
    seconds: float | None = None
    checkpoint_sha256: list[str] = field(default_factory=list)
    data_sha256: str | None = None
    mode: str | None = None
    errors: dict[str, list[float]] = field(default_factory=dict)
    cost: dict = field(default_factory=dict)
    provenance: dict = field(default_factory=dict)

    def __post_init__(self):
        for name, allowed in _field_types().items():
            value = getattr(self, name)
            if not isinstance(value, (*allowed, *([int] if float in allowed else []))):
                raise ValueError(f"{name} is {value!r}; it must be {' or '.join(option.__name__ for option in allowed)}")
        if not self.metrics:
            raise ValueError(f"record of {self.method} on {self.dataset}: it holds no metric")
        for name, values in self.metrics.items():
            if not values or not all(isinstance(v, (int, float)) and isfinite(v) for v in values):
                raise ValueError(f"record of {self.method} on {self.dataset}: metric {name} is {values}; finite numbers expected, one a seed")
            if len(values) != len(self.seeds):
                raise ValueError(f"record of {self.method} on {self.dataset}: metric {name} has {len(values)} values for {len(self.seeds)} seeds")

    @property
    def file(self) -> Path:
        """Where it belongs below the records folder; one file a sampler, so a repeated measurement replaces the old one."""
        return file_of(self.profile, self.recipe, self.dataset, self.method, self.sampler, self.nfe)


@cache
def _field_types() -> dict[str, tuple[type, ...]]:
    """The types each field of a record may have."""
    options = {name: get_args(kind) if isinstance(kind, UnionType) else (kind,) for name, kind in get_type_hints(Record).items()}
    return {name: tuple(get_origin(option) or option for option in kinds) for name, kinds in options.items()}


def file_of(profile: str, recipe: str, dataset: str, method: str, sampler: str, nfe: int) -> Path:
    """The file of a record below the records folder."""
    # an adaptive solver's calls are a result, not part of the question
    sampler = sampler if sampler in UNGRIDDED else f"{sampler}-{nfe}"
    return Path(profile) / f"{recipe}__{dataset}__{method.replace(' ', '-')}__{sampler}.json"


def save(record: Record, folder: Path | None = None) -> Path:
    """Write the record with its provenance under results/records/<profile>/ (or `folder`); returns the file."""
    file = (folder or paths.results() / "records") / record.file
    file.parent.mkdir(parents=True, exist_ok=True)
    record.provenance = record.provenance or provenance()
    part = file.with_suffix(".part")
    part.write_text(json.dumps(asdict(record), indent=1) + "\n")
    part.replace(file)
    return file


def read(file: Path) -> Record:
    """One record; a file that is none raises ValueError naming it."""
    known = {f.name for f in fields(Record)}
    try:
        content = json.loads(file.read_text())
        if set(content) - known:
            raise ValueError(f"unknown fields {sorted(set(content) - known)}")
        return Record(**content)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{file.name} is not a result record: {error}") from None


def rows(record: Record) -> list[dict]:
    """The record's measurements, one dict a metric: its fields plus metric, value (mean over seeds), values and spread.

    spread is the standard error of the mean over seeds; for a single seed that of the bootstrap, None if there is none.
    """
    shared = {key: value for key, value in asdict(record).items() if key != "metrics"}
    found = []
    for metric, values in record.metrics.items():
        spread = stdev(values) / len(values) ** 0.5 if len(values) > 1 else record.errors.get(metric, [None])[0]
        found.append(shared | {"metric": metric, "value": fmean(values), "spread": spread, "values": values})
    return found


def load(folder: Path) -> list[dict]:
    """Every measurement below folder, as rows() gives them."""
    return [row for file in sorted(Path(folder).rglob("*.json")) for row in rows(read(file))]


def file_sha256(file: Path) -> str:
    """Checksum of a file."""
    with open(file, "rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


def tensor_sha256(tensor) -> str:
    """Checksum of a tensor's values, for data sets that are not one file."""
    return sha256(tensor.contiguous().numpy().tobytes()).hexdigest()
