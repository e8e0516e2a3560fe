"""The commands of notebooks and results: notebook, course, tables, compare, store, settings."""

from collections import Counter
from typing import Annotated

import typer

from ..files import paths
from ..reports import evidence, notebooks, settings_page, store, tables
from .options import Profile, Teacher, option


def run_notebook(
    name: Annotated[str, typer.Argument(help="One of notebooks/, without .ipynb.")],
    profile: Profile = "laptop",
    seed: Annotated[int | None, option("Instead of the notebook's own.")] = None,
    teacher: Teacher = None,
) -> None:
    """Execute one notebook by papermill."""
    print(f"executed: {notebooks.run(name, profile, seed, teacher)}")


def copy_course() -> None:
    """Make a working copy of the notebooks below runs/.

    Nothing you do there changes the repository.
    """
    folder, different = notebooks.working_copy()
    print(f"your working copy of the course: {folder}")
    if different:
        names = ", ".join(different)
        print(f"kept as you left them, other than the repository's: {names}; delete one to get a fresh copy")


def build_tables() -> None:
    """Build all tables from this machine's records."""
    folder, records = paths.results() / "tables", paths.results() / "records"
    files = store.write_tables(evidence.here(), folder)
    print(f"{len(files)} files of tables in {folder}, of the records in {records}")


def compare(profile: Profile = "laptop") -> None:
    """Set this machine's numbers beside the committed ones.

    It says which differ by more than their spread.
    """
    header, lines = evidence.comparison(profile)
    if not lines:
        folder = paths.results() / "records"
        raise ValueError(f"there is nothing to compare: no record of profile {profile} in {folder}")
    file = paths.results() / "tables" / f"reproduction-{profile}.md"
    file.parent.mkdir(parents=True, exist_ok=True)
    title = f"# Profile {profile}: this machine beside the reference"
    file.write_text(f"{title}\n\n{tables.markdown(header, lines)}", encoding="utf-8")
    shown = [line for line in lines if line[-1] == "DIFFERS" or (line[0], line[2], line[3]) in evidence.SHOWN]
    print(tables.markdown(header, shown))
    verdicts = Counter(line[-1] for line in lines).most_common()
    counts = ", ".join(f"{count} {verdict}" for verdict, count in verdicts)
    print(f"{len(lines)} numbers: {counts}; all of them: {file}")


def store_results(profile: Profile = "laptop") -> None:
    """Make this machine's results the committed reference.

    These are records, executed notebooks, and the figures and tables that a text links.
    """
    for file in store.store(profile):
        print(f"stored {file.relative_to(paths.root())}")


def show_settings() -> None:
    """Print every setting that a recipe may hold."""
    print(settings_page.page(), end="")
