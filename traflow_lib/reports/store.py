"""Making this machine's results the reference: the one command that writes into results/ and notebooks/."""

import json
import re
import shutil
import subprocess
from pathlib import Path

from ..evaluation import records
from ..experiments import recipes
from ..files import paths
from ..files.log import log
from . import cost_tables, evidence, notebooks, own_tables, paper_tables, ranks, rendering, tables

# a table in README or docs: the comment says of which records, the lines below it are written by store
MARKED = re.compile(r"(<!-- table: (\w+) (\w+) (\w+) ([\w-]+)(?:; ([\w ]+))? -->\n)((?:\|.*\n)*)")
LINKED = re.compile(r"(?<!runs/)results/(?:figures|tables)/[\w/-]+\.\w+")


def store(profile: str) -> list[Path]:
    """Copy executed notebooks, records, and figures and tables that README and docs link; returns the files.

    ValueError where the checkout holds changes that are not committed, or a record comes from such a state: a
    reference names its commit. Committed records whose recipe has changed are dropped.
    """
    command = ["git", "status", "--porcelain"]
    status = subprocess.run(command, cwd=paths.root(), capture_output=True, text=True, check=True)
    if dirty := [line[3:] for line in status.stdout.splitlines()]:
        raise ValueError(
            "commit or undo your changes first, so that results name the code they come from: "
            f"{', '.join(dirty[:5])}"
        )
    # all files are looked at before anything is written
    new = [_clean(file) for file in sorted((paths.results() / "records" / profile).glob("*.jsonl"))]
    stored = [records.write(counting, paths.committed("records")) for counting in new if counting]
    for file in sorted(paths.committed("records").glob("*/*.jsonl")):
        counting = _counting(file)
        file.unlink()
        if counting:
            records.write(counting, paths.committed("records"))
        file.with_suffix(".lock").unlink(missing_ok=True)
    if profile == "search":
        stored += _trials()
    stored += notebooks.store(profile)
    for file in _texts():
        file.write_text(with_tables(file.read_text(encoding="utf-8")), encoding="utf-8")
    return stored + write_linked()


def _trials() -> list[Path]:
    """Add this machine's trials of the search to the committed ones."""
    stored = []
    for file in sorted((paths.results() / "trials").glob("*.jsonl")):
        target, own = paths.committed("trials", file.name), file.read_text(encoding="utf-8").splitlines()
        if unclean := [line for line in own if json.loads(line)["git_commit"] is None]:
            raise ValueError(
                f"{file.name}: {len(unclean)} trials were made from uncommitted changes ({unclean[0][:80]}); "
                "delete their lines and run the search again"
            )
        known = target.read_text(encoding="utf-8").splitlines() if target.exists() else []
        target.parent.mkdir(parents=True, exist_ok=True)
        lines = known + [line for line in own if line not in known]
        target.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        stored.append(target)
    return stored


def with_tables(text: str) -> str:
    """A text with every marked table as the committed records have it.

    A mark names recipe, profile, data set, metric and some methods, or none for all. Instead of a data set it
    may say over_all, or over_all_in_time of the students trained for equal time (ranks.summary).
    """

    def table(found: re.Match) -> str:
        mark, recipe, profile, dataset, metric, methods, _ = found.groups()
        over_all, in_time = dataset.startswith("over_all"), dataset == "over_all_in_time"
        rows = [
            row
            for row in evidence.reference(recipe, profile)
            if row["metric"] == metric
            and (over_all or row["dataset"] == dataset)
            and row["sampler"] != "training"
            and row["method"].endswith(recipes.EQUAL_TIME) == in_time
            and (not methods or row["method"] in methods.split())
        ]
        if not rows:
            return mark + tables.markdown([metric], [[tables.NOT_RUN]])
        if over_all:
            return mark + tables.markdown(*ranks.summary(ranks.over_problems(rows, metric)))
        return mark + tables.markdown(*tables.pivot(rows, metric))

    return MARKED.sub(table, text)


def _texts() -> list[Path]:
    return [paths.root() / "README.md", *sorted(paths.root().joinpath("docs").glob("*.md"))]


def _counting(file: Path) -> list[records.Record]:
    return [record for record in records.read(file) if not evidence.stale(record)]


def _clean(file: Path) -> list[records.Record]:
    """The records of one of this machine's files that count."""
    counting = _counting(file)
    if unclean := [record.key for record in counting if record.provenance.get("git_dirty") is not False]:
        raise ValueError(
            f"{file.name}: {len(unclean)} records were made from uncommitted changes ({unclean[0]}); run "
            "them again"
        )
    return counting


def linked() -> set[str]:
    """Figures and tables that README and docs link: what of them is committed."""
    return {name for file in _texts() for name in LINKED.findall(file.read_text(encoding="utf-8"))}


def write_linked() -> list[Path]:
    """The linked figures (this machine's, where it made them) and tables (of the committed records) alone."""
    wanted, out = linked(), paths.runs() / "reference-tables"
    write_tables(evidence.reference(), out)
    written = []
    for name in sorted(wanted):
        kind, _, rest = name.removeprefix("results/").partition("/")
        source, target = (out if kind == "tables" else paths.results() / kind) / rest, paths.root() / name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
            written.append(target)
        elif not target.exists():
            log.warning(f"missing: {name}, which README or docs link")
    for kind in ("figures", "tables"):
        for file in paths.committed(kind).rglob("*.*"):
            if file.relative_to(paths.root()).as_posix() not in wanted:
                file.unlink()
    return written


def write_tables(measured: list[dict], out: Path) -> list[Path]:
    """All tables of these measurements as files below `out`, in place of what is there; returns them."""
    made = paper_tables.build(measured) + cost_tables.build(measured) + own_tables.build(measured)
    return tables.write_all(measured, out) + rendering.write(made, out)
