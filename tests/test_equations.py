"""docs/equations.md leads from each equation to code that exists."""

import importlib
import re
from dataclasses import fields

import pytest

from traflow_lib.files import paths
from traflow_lib.objectives.traflow import TraFlow

PAGE = (paths.root() / "docs" / "equations.md").read_text(encoding="utf-8")
NAMES = re.findall(r"`((?:\w+\.)+\w+)`", PAGE)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_the_page_exists_and_is_documented(name):
    place, found = name.split("."), importlib.import_module("traflow_lib")
    for depth, part in enumerate(place):
        if not hasattr(found, part):
            importlib.import_module(".".join(["traflow_lib", *place[: depth + 1]]))
        found = getattr(found, part)
    assert callable(found) and (found.__doc__ or name.endswith("forward"))


def test_every_option_of_the_page_is_one_of_the_objective():
    known = {field.name for field in fields(TraFlow)}
    options = re.findall(r"option `(\w+)`", PAGE)
    assert len(options) >= 4 and set(options) <= known
    assert set(re.findall(r"form `(\w+)`", PAGE)) == set(TraFlow.choices["velocity_form"])
