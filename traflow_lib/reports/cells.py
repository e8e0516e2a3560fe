"""What a table of results is made of: cells whose every number says where it comes from."""

from dataclasses import dataclass, field

NOT_RUN = "not run"
DASH = "-"
# columns that hold words, whose digits are names and not results
PROSE = {"data set", "data", "metric", "method", "setting", "network or loss", "quantity"}
PROSE |= {"source", "evidence", "note"}


@dataclass(frozen=True)
class Number:
    """A number as it is shown, and its source: `field` of what `where` names.

    kind "record": where is "file#key" of a record, the file below a records folder, field a metric, a field
    of the record, "training.steps" or the like, or "throughput" (images a second in training). "published": a
    row's id and a field of it. "recipe": "cifar10 paper" and a dotted key. "network": a name of
    nets.sizes.NETWORKS and "parameters" or "macs", counted.
    """

    text: str
    kind: str
    where: str
    field: str


@dataclass(frozen=True)
class Cell:
    """One entry of a table: a text with all `numbers` in it.

    record: "file#key" of the record to link, if any; more: further entries in the same place.
    """

    text: str = ""
    numbers: tuple[Number, ...] = ()
    record: str = ""
    more: tuple["Cell", ...] = ()

    @property
    def entries(self) -> tuple["Cell", ...]:
        """The cell and those that stand in it too."""
        return (self, *self.more)

    @property
    def full_text(self) -> str:
        """The texts of all entries."""
        return "; ".join(entry.text for entry in self.entries)


@dataclass
class Table:
    """name: of its files, unique in its folder; folder: "paper" or "own/<profile>"; notes: lines below it.

    rows: each by column; words may be given as a plain text, and what a row leaves out is a dash.
    """

    name: str
    folder: str
    title: str
    header: list[str]
    rows: list[dict]
    notes: list[str] = field(default_factory=list)

    def __post_init__(self):
        for row in self.rows:
            if unknown := row.keys() - set(self.header):
                raise ValueError(
                    f"table {self.name}: no column {min(unknown)}; it has {', '.join(self.header)}"
                )
        self.rows = [{name: _cell(row.get(name, DASH)) for name in self.header} for row in self.rows]


def _cell(entry: Cell | str) -> Cell:
    return Cell(entry) if isinstance(entry, str) else entry


def one(text: str, kind: str, where: str, field: str) -> Cell:
    """A cell that is one number, without a link."""
    return Cell(text, (Number(text, kind, where, field),))


def quoted(row, field: str) -> Cell:
    """A field of a published row, as it was printed; a dash where there is none."""
    text = getattr(row, field)
    return one(text, "published", row.id, field) if text else Cell(DASH)


def recorded(row: dict, text: str, numbers: dict[str, str], link: bool = True) -> Cell:
    """What a measurement's record holds; numbers: those in `text`, by the field they come from."""
    where = f"{row['file']}#{row['key']}"
    found = tuple(Number(shown, "record", where, field) for field, shown in numbers.items())
    return Cell(text, found, where if link else "")
