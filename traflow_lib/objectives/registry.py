"""Distillation methods by name: @register("mine") above a class makes it one, in anyone's file."""

from collections.abc import Callable
from dataclasses import fields

from .base import Objective

_METHODS: dict[str, tuple[type[Objective], dict]] = {}


def register(name: str, **preset) -> Callable[[type[Objective]], type[Objective]]:
    """Make a class of Objective the method `name`, with these of its options as that method's defaults.

    Several names may stand above one class. ValueError where another class has the name, or is called the
    same; the same class again, as of a notebook's cell run twice, takes the place of the old one.
    """

    def add(kind: type[Objective]) -> type[Objective]:
        taken = _METHODS.get(name, (kind,))[0]
        namesake = _kinds().get(kind.__name__, kind)
        for other, what in ((taken, f"a method '{name}'"), (namesake, f"an objective class {kind.__name__}")):
            if (other.__module__, other.__qualname__) != (kind.__module__, kind.__qualname__):
                raise ValueError(f"there is {what} already, in {other.__module__}: choose another name")
        _METHODS[name] = (kind, preset)
        return kind

    return add


def _kinds() -> dict[str, type[Objective]]:
    return {kind.__name__: kind for kind, _ in _METHODS.values()}


def names() -> list[str]:
    """Every objective that get() knows."""
    return sorted(_METHODS)


def get(name: str, **options) -> Objective:
    """The objective called `name`, with some of its options replaced; ValueError lists what exists."""
    if name not in _METHODS:
        raise ValueError(f"unknown objective '{name}'; there are {', '.join(names())}")
    kind, preset = _METHODS[name]
    for field in fields(kind):
        value = options.get(field.name, field.default)
        if isinstance(field.default, float) and not isinstance(value, int | float | None):
            raise ValueError(f"objective '{name}': {field.name} is {value!r}; it must be a number")
    try:
        return kind(**preset | options)
    except TypeError as error:
        own = ", ".join(field.name for field in fields(kind))
        raise ValueError(f"objective '{name}': {error}; its options are {own}") from None


def described(objective: Objective) -> dict:
    """An objective as its class and all its options, which build() makes it of."""
    return {"kind": type(objective).__name__} | vars(objective)


def sampler(settings: dict) -> str:
    """How a student's samples are made, by the settings in its file: "jumps" or "renoised"."""
    objective = settings.get("objective") or {}
    if isinstance(objective, str):  # in files of this kit's first version
        return get(objective).sampler
    return _kinds().get(objective.get("kind", ""), Objective).sampler


def build(settings: dict) -> Objective:
    """The objective that described() wrote down; ValueError where nothing registered its class."""
    options = dict(settings)
    kind = options.pop("kind")
    if kind not in _kinds():
        raise ValueError(f"no method of the class {kind} is registered: import the file that has it")
    return _kinds()[kind](**options)
