"""The command tables."""

from ..files import paths
from ..reports import evidence, store


def run() -> None:
    """Build all tables from this machine's records."""
    folder, records = paths.results() / "tables", paths.results() / "records"
    files = store.write_tables(evidence.here(), folder)
    print(f"{len(files)} files of tables in {folder}, of the records in {records}")
