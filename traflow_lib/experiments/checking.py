"""A recipe is checked when it is loaded: what nothing reads, and what cannot be, is refused in one line."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, NoReturn

from pydantic import ValidationError

from .. import nets, objectives
from ..files.checks import brief, first_fault
from ..training.config import TrainConfig
from .schema import Block, Recipe, block_in, options_of


def check(recipe: dict) -> None:
    """Refuse a merged recipe that says what nothing reads, or what cannot be.

    Raises:
        ValueError: one line with recipe, profile, key, value and what is allowed.
    """
    _read(recipe, Recipe, recipe, "")
    _network(recipe, recipe.get("net"), "net")
    for name in ("teacher", "classifier"):
        block = recipe.get(name) or {}
        _read(recipe, options_of(TrainConfig), block.get("train") or {}, f"{name}.train")
        _network(recipe, block.get("net"), f"{name}.net")
    shared = recipe.get("student") or {}
    _student(recipe, shared, shared, "student")
    for name, block in (recipe.get("students") or {}).items():
        _student(recipe, shared | (block or {}), block or {}, f"students.{name}")
    for key in ("methods", "sweep", "timed", "chosen", "step_cost"):
        for name in recipe.get(key) or []:
            _known(recipe, key, name)


def _known(recipe: dict, path: str, name: str) -> None:
    students = recipe.get("students") or {}
    if name.partition("@")[0] not in students:
        _refuse(recipe, path, name, f"no such student; {_meant(name, students)}")


def _student(recipe: dict, whole: dict, block: dict, path: str) -> None:
    """whole: the block with what it shares with all students."""
    for number, stage in enumerate(block.get("stages") or []):
        _student(recipe, whole | {"stages": None} | stage, stage, f"{path}.stages.{number}")
    _read(recipe, options_of(TrainConfig), block.get("train") or {}, f"{path}.train")
    _network(recipe, block.get("net"), f"{path}.net", (recipe.get("net") or {}).get("kind"))
    name, options = whole.get("objective"), block.get("options") or {}
    if name is None:
        return
    if name not in objectives.names():
        _refuse(recipe, f"{path}.objective", name, f"there are {', '.join(objectives.names())}")
    kind: type = type(objectives.get(name))
    _read(recipe, options_of(kind), options, f"{path}.options")
    try:
        objectives.get(name, **options)
    except ValueError as error:
        raise ValueError(f"{_at(recipe, path)}.options: {error}") from None


def _network(recipe: dict, block: dict | None, path: str, kind: str | None = None) -> None:
    kind = (block or {}).get("kind", kind)
    if kind == "edm" and path.startswith("student"):
        kind = (recipe["net"].get("net") or {}).get("kind")  # a student changes the network inside
    if not block or kind is None:
        return
    if kind not in nets.KINDS:
        _refuse(recipe, f"{path}.kind", kind, f"one of {', '.join(nets.KINDS)}")
    _read(recipe, options_of(kind), block, path)
    _network(recipe, block.get("net"), f"{path}.net")


def _read(recipe: dict, model: type[Block], block: Any, path: str) -> None:
    try:
        model.model_validate(block)
    except ValidationError as error:
        keys, value, message = first_fault(error, block)
        if error.errors()[0]["type"] == "extra_forbidden":
            message = f"no such key; {_meant(keys[-1], _keys(model, keys[:-1]))}"
        _refuse(recipe, ".".join(map(str, [*([path] if path else []), *keys])), value, message)


def _keys(model: Any, places: list) -> list[str]:
    """The keys of the block that an unknown one was found in."""
    for place in places:
        is_block = isinstance(model, type) and issubclass(model, Block)
        field = model.model_fields.get(place) if is_block else None
        model = block_in(field.annotation if field else model) or model
    return sorted(model.model_fields)


def _meant(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, known, n=1)
    meant = f"did you mean {close[0]}? " if close else ""
    return f"{meant}there are {', '.join(known)}"


def _at(recipe: dict, key: str) -> str:
    return f"recipe {recipe['recipe']}, profile {recipe['profile']}, {key}"


def _refuse(recipe: dict, key: str, value: Any, allowed: str) -> NoReturn:
    raise ValueError(f"{_at(recipe, key)} is {brief(value)}: {allowed}")
