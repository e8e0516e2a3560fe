"""Result records: what was measured, on what, at which cost, and how to measure it again.

Tables are built from these alone. A file is <profile>/<recipe>.jsonl below a records folder, one line a
record, sorted, so that a change shows as the lines it changes.
"""

import json
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from functools import cache
from math import isfinite, sqrt
from pathlib import Path
from types import UnionType
from typing import get_args, get_origin, get_type_hints

from filelock import FileLock

from ..files import paths
from ..files.whole import whole
from .provenance import provenance

# samplers without a number of steps; "training" holds what a step of it costs
UNGRIDDED = ("dopri5", "halves", "half-mirrored", "training")


@dataclass
class Record:
    """One sampler of one model (or several seeds of it) on one data set.

    metrics: by name, the values over seeds. nfe: network calls a sample. extractor: name and checksum of what
    made the features of FD metrics; mode: how images got the size it takes. split: data the metrics compare
    with. training: steps, batch, seconds ... of the model. hash: the fingerprint of settings.measurement.
    teacher: network and checksum of one that is a file. errors: standard errors of the values by the
    bootstrap, for what has no seeds to tell it by. cost: what a call of the network takes (cost.Cost). batch:
    samples solved at a time by an adaptive solver, which chooses its steps for a whole batch.
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
    teacher: dict | None = None
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
    batch: int | None = None
    provenance: dict = field(default_factory=dict)

    def __post_init__(self):
        for name, allowed in _field_types().items():
            value = getattr(self, name)
            if not isinstance(value, allowed):
                raise ValueError(
                    f"{name} is {value!r}; it must be {' or '.join(option.__name__ for option in allowed)}"
                )
        where = f"record of {self.method} on {self.dataset}"
        if not all(type(seed) is int for seed in self.seeds):
            raise ValueError(f"{where}: seeds are {self.seeds}; whole numbers expected")
        require_name("recipe", self.recipe)
        require_name("profile", self.profile)
        if not self.metrics:
            raise ValueError(f"{where}: it holds no metric")
        for name, values in self.metrics.items():
            if not values or not all(isinstance(v, (int, float)) and isfinite(v) for v in values):
                raise ValueError(f"{where}: {name} is {values}; finite numbers expected, one a seed")
            if len(values) != len(self.seeds):
                raise ValueError(f"{where}: {name} has {len(values)} values for {len(self.seeds)} seeds")

    @property
    def file(self) -> Path:
        """Where it belongs below a records folder."""
        return file_of(self.profile, self.recipe)

    @property
    def question(self) -> str:
        """What was measured, whatever the seeds."""
        # an adaptive solver's calls are a result, not part of the question
        sampler = self.sampler if self.sampler in UNGRIDDED else f"{self.sampler}-{self.nfe}"
        return f"{self.dataset} {self.method} {sampler}"

    @property
    def key(self) -> str:
        """Its name in that file; a repeated measurement has the same and replaces the old one."""
        return " ".join([self.question, "seeds", *map(str, self.seeds)])


@cache
def _field_types() -> dict[str, tuple[type, ...]]:
    """The types each field of a record may have; a whole number is a number, too."""
    options = {
        name: get_args(kind) if isinstance(kind, UnionType) else (kind,)
        for name, kind in get_type_hints(Record).items()
    }
    plain = {name: tuple(get_origin(option) or option for option in kinds) for name, kinds in options.items()}
    return {name: (*kinds, int) if float in kinds else kinds for name, kinds in plain.items()}


def require_name(what: str, name: str) -> None:
    """ValueError unless a recipe's or profile's name can be that of a file."""
    if name in ("", ".", "..") or "/" in name or "\\" in name:
        raise ValueError(f"{what} is {name!r}; a name without a folder expected")


def file_of(profile: str, recipe: str) -> Path:
    """The file of a recipe's records below a records folder."""
    return Path(profile) / f"{recipe}.jsonl"


def save(record: Record, folder: Path | None = None) -> Path:
    """Put the record with its provenance into its file below `folder`, or this machine's own records."""
    record.provenance = record.provenance or provenance()
    return write([record], folder or paths.results() / "records")


def save_beside_others(record: Record) -> Record:
    """Put the record into this machine's own so that it takes no other result's place; as it is filed.

    Metrics that were measured before of the same images stay in it. Where its key is that of other pixels or
    settings, its method gets a name of its own.
    """
    file = paths.results() / "records" / record.file
    with _alone(file):  # from reading the others on: two processes may have one name for two results
        record = _beside_others(record, file)
        record.provenance = record.provenance or provenance()
        _write([record], file)
    return record


def _beside_others(record: Record, file: Path) -> Record:
    known = {other.key: other for other in read(file)} if file.exists() else {}
    for method in (record.method, f"{record.method}-{record.hash[:6]}"):
        record = replace(record, method=method)
        old = known.get(record.key)
        if old and old.hash == record.hash:
            record.metrics, record.errors = old.metrics | record.metrics, old.errors | record.errors
            return replace(record, cost=record.cost or old.cost)
        if not old:
            break
    return record


def write(new: list[Record], folder: Path) -> Path:
    """Put records of one recipe and profile into their file, and return it.

    Each takes the place of one with its key, and of those that have some of its seeds only.
    """
    with _alone(file := folder / new[0].file):
        _write(new, file)
    return file


def _alone(file: Path) -> FileLock:
    """The lock of a file of records."""
    file.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(file.with_suffix(".lock"))


def _write(new: list[Record], file: Path) -> None:
    known = {record.key: record for record in read(file)} if file.exists() else {}
    known |= {record.key: record for record in new}
    known = _most_seeds(known)
    with whole(file) as part:
        part.write_text("".join(_line(known[key]) + "\n" for key in sorted(known)), encoding="utf-8")


def _most_seeds(known: dict[str, Record]) -> dict[str, Record]:
    """Records but those whose question another answers by more seeds, theirs among them."""
    answers: dict[str, list[set[int]]] = {}
    for record in known.values():
        answers.setdefault(record.question, []).append(set(record.seeds))
    return {
        key: record
        for key, record in known.items()
        if not any(set(record.seeds) < seeds for seeds in answers[record.question])
    }


def _line(record: Record) -> str:
    """A record as JSON without the fields that are empty."""
    empty = {
        f.name: f.default if f.default_factory is MISSING else f.default_factory() for f in fields(record)
    }
    said = {name: value for name, value in asdict(record).items() if value != empty[name]}
    return json.dumps(said, ensure_ascii=False)


def read(file: Path) -> list[Record]:
    """The records of one file; a line that is none raises ValueError naming file and line."""
    known, found = {f.name for f in fields(Record)}, []
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is no text in UTF-8 ({error}); replace it") from None
    for number, line in enumerate(lines, start=1):
        try:
            content = json.loads(line)
            if set(content) - known:
                raise ValueError(f"unknown fields {sorted(set(content) - known)}")
            found.append(Record(**content))
        except (TypeError, ValueError, ArithmeticError, RecursionError) as error:
            told = f"{file.name}, line {number}, is not a result record: {error}"
            raise ValueError(f"{told}; mend or delete that line") from None
    return found


def rows(record: Record) -> list[dict]:
    """The record's measurements, one dict a metric.

    Its fields plus file, key, metric, value (mean over seeds), values and spread: the standard error of the
    mean over seeds; for a single seed that of the bootstrap, None if there is none.
    """
    shared = {f.name: getattr(record, f.name) for f in fields(record) if f.name != "metrics"}
    shared |= {"file": record.file.as_posix(), "key": record.key}
    found = []
    for metric, values in record.metrics.items():
        mean, spread = sum(values) / len(values), record.errors.get(metric, [None])[0]
        if len(values) > 1:  # the module statistics would take half of the time of reading all records
            spread = sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values))
        found.append(shared | {"metric": metric, "value": mean, "spread": spread, "values": values})
    return found


def load(folder: Path) -> list[dict]:
    """Every measurement below folder, as rows() gives them."""
    files = sorted(Path(folder).rglob("*.jsonl"))
    return [row for file in files for record in read(file) for row in rows(record)]
