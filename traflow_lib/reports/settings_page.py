"""docs/settings.md, the table of all settings, written from the models and declarations that check them."""

import dataclasses
import inspect
import typing
from typing import Annotated, Any, Literal

from .. import nets, objectives
from ..evaluation.scoring import Scoring
from ..experiments import schema
from ..training.config import TrainConfig

TITLE = """# Settings

Every setting that a recipe (`traflow_lib/recipes/*.yaml`) may hold. A recipe's own settings stand at its top;
a profile below `profiles:` changes some of them key by key, and `like: other` starts from another profile.
Whatever is not listed here is refused when the recipe is loaded. This page is written by
`python -m traflow_lib settings`.
"""
HEADINGS = {
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
    profiles = [f"| `{name}` | {profile.meaning} |" for name, profile in schema.PROFILES.items()]
    parts = [TITLE, "\n".join(["| profile | |", "|---|---|", *profiles]) + "\n"]
    for model, heading in HEADINGS.items():
        types = typing.get_type_hints(model, include_extras=True)
        lines = [
            (name, types[name], None if field.is_required() else field.default, field.description)
            for name, field in model.model_fields.items()
        ]
        parts.append(_section(heading, model.__doc__, lines))
    hints = typing.get_type_hints(TrainConfig, include_extras=True)
    lines = []
    for field in dataclasses.fields(TrainConfig):
        default = "required" if field.default is dataclasses.MISSING else field.default
        about = next(part for part in hints[field.name].__metadata__ if hasattr(part, "description"))
        lines.append((field.name, hints[field.name], default, about.description))
    parts.append(_section("train", TrainConfig.__doc__, lines))
    for name in objectives.names():
        objective = objectives.get(name)
        declared = typing.get_type_hints(type(objective))
        declared |= {key: Literal[values] for key, values in objective.allowed().items()}
        lines = [
            (key, declared[key], value, _meaning(objective, key)) for key, value in vars(objective).items()
        ]
        parts.append(_section(f"options of `{name}`", type(objective).__doc__.split("\n\n")[0], lines))
    for kind, network in nets.KINDS.items():
        arguments = inspect.signature(network).parameters.values()
        lines = [
            (one.name, one.annotation, "required" if one.default is one.empty else one.default, "")
            for one in arguments
            if one.name != "s_input"
        ]
        parts.append(_section(f"net of kind `{kind}`", network.__doc__.split("\n\n")[0], lines))
    return "\n".join(parts)


def _section(heading: str, about: str | None, lines: list[tuple]) -> str:
    rows = [
        f"## {heading}",
        "",
        " ".join((about or "").split()),
        "",
        "| key | type | default | meaning |",
        "|---|---|---|---|",
    ]
    for name, annotation, default, meaning in lines:
        shown = "" if default is None else f"`{default}`"
        rows.append(f"| `{name}` | {_type(annotation)} | {shown} | {meaning or ''} |")
    return "\n".join(rows) + "\n"


def _meaning(objective: object, key: str) -> str:
    """What the class's docstring says of an option: "key: meaning" up to the next stop."""
    text = " ".join((type(objective).__doc__ or "").split())
    return text.partition(f" {key}: ")[2].split(". ")[0].split("; ")[0].rstrip(".")


def _type(annotation: Any) -> str:
    """A type and its range in words."""
    if typing.get_origin(annotation) is Annotated:
        inner, *limits = typing.get_args(annotation)
        words = [_limits(limit) for limit in limits]
        return " ".join([_type(inner), *filter(None, words)])
    parts = typing.get_args(annotation)
    if typing.get_origin(annotation) is Literal:
        return ", ".join(f"`{part}`" for part in parts)
    if typing.get_origin(annotation) is list:
        return f"list of {_type(parts[0])}"
    if typing.get_origin(annotation) is dict:
        return "block by name" if schema.block_in(parts[1]) else "block"
    if parts and typing.get_origin(annotation) is not tuple:
        return " or ".join(_type(part) for part in parts if part is not type(None))
    if schema.block_in(annotation):
        return "block"
    return getattr(annotation, "__name__", str(annotation))


def _limits(limit: Any) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [
        f"{signs[name]} {getattr(part, name)}"
        for part in getattr(limit, "metadata", [])
        for name in signs
        if hasattr(part, name)
    ]
    return ", ".join(found)
