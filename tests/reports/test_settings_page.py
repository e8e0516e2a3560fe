"""docs/settings.md is what the models say, and speaks of every setting that a recipe holds."""

from traflow_lib.experiments import recipes
from traflow_lib.files import paths
from traflow_lib.reports import settings_page


def test_the_page_is_up_to_date():
    written = (paths.root() / "docs" / "settings.md").read_text(encoding="utf-8")
    again = "python -m traflow_lib settings > docs/settings.md"
    assert written == settings_page.page(), f"a setting changed: {again}"


def test_every_setting_of_the_recipes_is_on_it():
    page = settings_page.page()

    def keys(block):
        for key, value in block.items():
            yield key
            if isinstance(value, dict) and key not in ("students", "chosen", "step_cost", "search"):
                yield from keys(value)

    for name in recipes.names():
        for key in keys(recipes.load(name, "smoke")):
            assert f"| `{key}` |" in page, key
