"""The command settings."""

from ..reports import settings_page


def run() -> None:
    """Print every setting that a recipe may hold."""
    print(settings_page.page(), end="")
