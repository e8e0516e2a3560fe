"""docs/settings.md, the table of all settings, written from the models and declarations that check them."""

import dataclasses
import inspect
import typing
from typing import Annotated, Any, Literal

from .. import nets, objectives
from ..evaluation.scores import Scoring
from ..experiments import schema
from ..training.config import TrainConfig
from . import tables

INTRODUCTION = """# Settings

Every setting that a recipe (`traflow_lib/recipes/*.yaml`) may hold. A recipe's own settings stand at its top;
a profile below `profiles:` changes some of them key by key, and `like: other` starts from another profile.
Whatever is not listed here is refused when the recipe is loaded. This page is written by
`python -m traflow_lib settings`.
"""
HEADINGS: dict[type[schema.Block], str] = {
    schema.Recipe: "A recipe",
    schema.Data: "data",
    schema.Teacher: "teacher",
    schema.ClassifierBlock: "classifier",
    schema.Pairs: "pairs",
    schema.Student: "student, and each of students",
    schema.Solver: "evaluate.reference",
    schema.Watch: "watch",
    schema.Evaluate: "evaluate",
    Scoring: "fid, ablation",
    schema.Search: "search",
}


def page() -> str:
    """docs/settings.md: every setting with its type, range, default and meaning."""
    sections: list[tuple] = []
    for model, heading in HEADINGS.items():
        types = typing.get_type_hints(model, include_extras=True)
        rows = [
            (name, types[name], None if field.is_required() else field.default, field.description)
            for name, field in model.model_fields.items()
        ]
        sections.append((heading, model, rows))
    hints, rows = typing.get_type_hints(TrainConfig, include_extras=True), []
    for field in dataclasses.fields(TrainConfig):
        kind = hints[field.name]
        about = next(part.description for part in kind.__metadata__ if hasattr(part, "description"))
        rows.append((field.name, kind, _default(field.default, dataclasses.MISSING), about))
    sections.append(("train", TrainConfig, rows))
    for name in objectives.names():
        objective = objectives.get(name)
        declared = typing.get_type_hints(type(objective))
        declared |= {key: Literal[values] for key, values in objective.allowed().items()}
        options = vars(objective).items()
        lines = [(key, declared[key], value, _meaning(objective, key)) for key, value in options]
        sections.append((f"options of `{name}`", type(objective), lines))
    for kind, network in nets.KINDS.items():
        arguments = [one for one in inspect.signature(network).parameters.values() if one.name != "s_input"]
        lines = [(one.name, one.annotation, _default(one.default, one.empty), "") for one in arguments]
        sections.append((f"net of kind `{kind}`", network, lines))
    profiles = [[f"`{name}`", profile.meaning] for name, profile in schema.PROFILES.items()]
    parts = [INTRODUCTION, tables.markdown(["profile", ""], profiles)]
    for heading, declared, lines in sections:
        told = [[f"`{key}`", _type(kind), _shown(value), about or ""] for key, kind, value, about in lines]
        parts += [f"## {heading}\n", f"{_about(declared)}\n"]
        parts.append(tables.markdown(["key", "type", "default", "meaning"], told))
    return "\n".join(parts)


def _shown(default: Any) -> str:
    return "" if default is None else f"`{default}`"


def _default(value: Any, missing: Any) -> Any:
    return "required" if value is missing else value


def _about(declared: type) -> str:
    """The first paragraph of what a class says of itself."""
    return " ".join((declared.__doc__ or "").split("\n\n")[0].split())


def _meaning(objective: object, key: str) -> str:
    """What the docstring of the class, or of one it is made of, says of an option: up to the next stop."""
    text = " ".join(" ".join(kind.__doc__ or "" for kind in type(objective).__mro__).split())
    return text.partition(f" {key}: ")[2].split(". ")[0].split("; ")[0].rstrip(".")


def _type(annotation: Any) -> str:
    kind, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if kind is Annotated:
        inner, *limits = parts
        return " ".join([_type(inner), *filter(None, map(_limits, limits))])
    if kind is Literal:
        return ", ".join(f"`{part}`" for part in parts)
    if kind is list:
        return f"list of {_type(parts[0])}"
    if kind is dict:
        return "block by name" if schema.block_in(parts[1]) else "block"
    if parts and kind is not tuple:
        return " or ".join(_type(part) for part in parts if part is not type(None))
    return "block" if schema.block_in(annotation) else getattr(annotation, "__name__", str(annotation))


def _limits(limit: Any) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    parts = getattr(limit, "metadata", [])
    found = [(sign, getattr(part, name, None)) for part in parts for name, sign in signs.items()]
    return ", ".join(f"{sign} {value}" for sign, value in found if value is not None)
