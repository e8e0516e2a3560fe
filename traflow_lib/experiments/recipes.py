"""Recipes: what each notebook trains and measures, one YAML each: shared settings, then its profiles'."""

from ast import literal_eval
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from .. import objectives
from ..files.checks import brief
from . import checking
from .schema import PROFILES

FOLDER = Path(__file__).parents[1] / "recipes"
DEPTH = 50
EQUAL_TIME = "@time"  # suffix of a method trained for equal time instead of equal steps


def names() -> list[str]:
    """The recipes that exist, which are the numbers and names of notebooks."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def load(name: str, profile: str, teacher: Path | str | None = None, precision: str | None = None) -> dict:
    """The settings of one recipe at one profile, which may change another one (`like`).

    teacher: a checkpoint file in place of the recipe's own teacher; precision: of training and sampling, in
    place of the recipe's. A ValueError lists what exists if recipe or profile is unknown.
    """
    if name not in names():
        raise ValueError(f"unknown recipe '{name}'; there are {', '.join(names())}")
    recipe = deepcopy(_content(FOLDER / f"{name}.yaml"))
    profiles = recipe.pop("profiles")
    if profile not in profiles:
        raise ValueError(f"unknown profile '{profile}' for {name}; there are {', '.join(profiles)}")
    if unknown := set(profiles) - PROFILES.keys():
        raise ValueError(f"recipe {name} has a profile '{min(unknown)}'; there are {', '.join(PROFILES)}")
    change = dict(profiles[profile] or {})
    like = change.pop("like", profile)
    if not isinstance(profiles.get(like) or {}, dict) or like not in profiles:
        raise ValueError(f"recipe {name}, profile {profile}: like is {brief(like)}, no profile of it")
    base = merge(recipe, profiles[like] or {}) if like != profile else recipe
    recipe = merge(base, change) | {"recipe": name, "profile": profile}
    if precision:
        recipe["precision"] = precision
    if teacher:
        recipe["teacher"] = {"kind": "checkpoint", "file": str(Path(teacher).resolve())}
    checking.check(recipe)
    return recipe


@cache
def _content(file: Path) -> dict:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        text, depth = file.read_text(encoding="utf-8"), 0
        for event in yaml.parse(text, loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEPTH:  # blocks in blocks exhaust the stack of the parser in C
                raise ValueError(f"its blocks lie more than {DEPTH} deep in each other")
        content = yaml.load(text, loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"{file.name} is no recipe: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or not isinstance(content.get("profiles"), dict):
        raise ValueError(f"{file.name} is no recipe: it has no block `profiles`")
    return content


def merge(base: dict, change: dict) -> dict:
    """base with the leaves of change in place of its own; blocks are merged key by key."""
    merged = deepcopy(base)
    for key, value in change.items():
        both_blocks = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both_blocks else deepcopy(value)
    return merged


def with_choice(student: dict, choice: dict) -> dict:
    """A student's settings with what was chosen for it, as in a recipe's `chosen` block: `lr` and options.

    An option of a method trained in stages goes to every stage whose objective has it.
    """
    student = deepcopy(student)
    if "lr" in choice:
        student["train"]["lr"] = choice["lr"]
    for stage in student.get("stages", [student]):
        known = objectives.get(stage.get("objective", student.get("objective"))).__dataclass_fields__
        chosen = {key: value for key, value in choice.items() if key in known}
        stage["options"] = stage.get("options", {}) | chosen
    return student


def parse(method: str) -> tuple[str, dict, str]:
    """The name, the settings of a trial ("cd lr=0.003 distance=l2") and the budget ("distill@time")."""
    words, _, budget = method.partition("@")
    name, *changes = words.split(" ")
    return name, {key: _value(text) for key, _, text in (change.partition("=") for change in changes)}, budget


def _value(text: str) -> Any:
    try:
        return literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def student(recipe: dict, method: str) -> dict:
    """The settings of one method of a recipe, with what a search chose for it.

    "name@time" takes as many steps as fit into the time that the recipe's `time_of` needs for its own.
    """
    name, trial, budget = parse(method)
    if name not in recipe["students"] or budget not in ("", "time"):
        known = ", ".join(recipe["students"])
        raise ValueError(f"unknown method '{method}' in recipe {recipe['recipe']}; there are {known}")
    settings = merge(recipe["student"], recipe["students"][name] or {})
    if choice := trial or (recipe.get("chosen") or {}).get(name):
        settings = with_choice(settings, choice)
    if budget:
        if not recipe.get("step_cost"):
            whose = f"recipe {recipe['recipe']} has no step_cost to make '{method}' from"
            raise ValueError(f"{whose}; bench --cost measures it")
        cost = recipe["step_cost"]
        settings["train"]["steps"] = round(settings["train"]["steps"] * cost[recipe["time_of"]] / cost[name])
    return settings


def stages(settings: dict) -> list[dict]:
    """A student's settings as the stages it is trained in: one unless the recipe lists several."""
    shared = {key: value for key, value in settings.items() if key != "stages"}
    each = [merge(shared, stage) for stage in settings.get("stages", [{"share": 1}])]
    for stage in each:
        stage["train"]["steps"] = round(stage["train"]["steps"] * stage.pop("share"))
    return each
