"""The command store."""

from ..files import paths
from ..reports import store
from .options import Profile


def run(profile: Profile = "laptop") -> None:
    """Make this machine's results the committed reference.

    These are records, executed notebooks, and the figures and tables that a text links.
    """
    for file in store.store(profile):
        print(f"stored {file.relative_to(paths.root())}")
