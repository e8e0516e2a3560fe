"""The command course."""

from ..reports import notebooks


def run() -> None:
    """Make a working copy of the notebooks below runs/.

    Nothing you do there changes the repository.
    """
    folder, different = notebooks.working_copy()
    print(f"your working copy of the course: {folder}")
    if different:
        names = ", ".join(different)
        print(f"kept as you left them, other than the repository's: {names}; delete one to get a fresh copy")
