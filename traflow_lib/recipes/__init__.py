"""Recipes: what each notebook trains and measures, as data. One YAML a notebook: shared settings, then profiles that change some."""

from copy import deepcopy
from hashlib import sha256
from json import dumps
from pathlib import Path

import yaml

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The recipes that exist, which are the numbers and names of notebooks."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def load(name: str, profile: str) -> dict:
    """The settings of one recipe at one profile; a ValueError lists what exists if either is unknown."""
    if name not in names():
        raise ValueError(f"unknown recipe '{name}'; there are {', '.join(names())}")
    recipe = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    profiles = recipe.pop("profiles")
    if profile not in profiles:
        raise ValueError(f"unknown profile '{profile}' for {name}; there are {', '.join(profiles)}")
    return merge(recipe, profiles[profile] or {}) | {"recipe": name, "profile": profile}


def merge(base: dict, change: dict) -> dict:
    """base with the leaves of change in place of its own; blocks are merged key by key."""
    merged = deepcopy(base)
    for key, value in change.items():
        both_blocks = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both_blocks else deepcopy(value)
    return merged


def fingerprint(settings: dict) -> str:
    """Ten hexadecimal digits that change when any setting does; the order of keys does not matter."""
    return sha256(dumps(settings, sort_keys=True).encode()).hexdigest()[:10]
