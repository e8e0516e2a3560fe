"""What a table of results is made of: cells whose every number says where it comes from."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Number:
    """A number as it is shown, and its source: `field` of what `where` names.

    kind "record": where is "file#key" of a record, the file below a records folder, field a metric, a field
    of the record, "training.steps" or the like, or "throughput" (images a second in training). "published": a
    row's id and a field of it. "recipe": "cifar10 paper" and a dotted key. "network": a name of
    standard_nets.NETWORKS and "parameters" or "macs", counted.
    """

    text: str
    kind: str
    where: str
    field: str


@dataclass(frozen=True)
class Cell:
    """One entry of a table.

    text: with all `numbers` in it; record: the "file#key" of the record to link, if any; more: further
    entries in the same place (a second evaluator of the same model).
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
    """name: of its files, unique in its folder; folder: "paper" or "own/<profile>".

    prose: columns that hold words, whose digits are names and not results; notes: lines below the table.
    """

    name: str
    folder: str
    title: str
    header: list[str]
    rows: list[list[Cell]]
    prose: frozenset[str] = frozenset()
    notes: list[str] = field(default_factory=list)

    def __post_init__(self):
        if any(len(row) != len(self.header) for row in self.rows):
            raise ValueError(f"table {self.name}: every row needs {len(self.header)} cells")


def quoted(row, field: str) -> Cell:
    """A field of a published row, as it was printed; a dash where there is none."""
    text = getattr(row, field)
    return Cell(text, (Number(text, "published", row.id, field),)) if text else Cell("-")


def source(row: dict) -> str:
    """Where a measurement's record is: "file#key"."""
    return f"{row['file']}#{row['key']}"


def one(text: str, kind: str, where: str, field: str) -> Cell:
    """A cell that is one number; those of records link to it."""
    return Cell(text, (Number(text, kind, where, field),), where if kind == "record" else "")
