"""What a recipe may say: every block as a declared model.

The models check a recipe when it is loaded (checking.py) and change nothing, so that fingerprints stay. Those
of objectives, networks and trainings are made from where they are declared. docs/settings.md is written from
here.
"""

import dataclasses
import inspect
import typing
from functools import cache
from types import GenericAlias
from typing import Annotated, Any, Literal

from pydantic import Field, create_model

from .. import nets
from ..evaluation.scores import Scoring
from ..files.checks import Block
from ..nets.precision import Precision
from ..solvers import Method

Count = Annotated[int, Field(ge=1)]
Calls = Annotated[list[Count], Field(min_length=1)]
Seed = Annotated[int, Field(ge=0)]


def meaning(text: str) -> Any:
    """A setting that need not be given; the text is its line in docs/settings.md."""
    return Field(None, description=text)


@dataclasses.dataclass(frozen=True)
class Profile:
    """What a profile is for.

    minutes: after them a cluster ends one of its notebooks. gpu: whether it needs one. notebooks: whether
    notebooks have it, or the command bench alone.
    """

    meaning: str
    minutes: int
    gpu: bool = False
    notebooks: bool = True


PROFILES = {
    "smoke": Profile("seconds, for tests", 15),
    "laptop": Profile("about a minute a notebook on two cores; what the committed notebooks show", 60),
    "hour": Profile("up to a few hours on two cores, several seeds", 24 * 60),
    "images": Profile("a small network, nothing mirrored; minutes on a GPU", 24 * 60, notebooks=False),
    "seeds": Profile("laptop with three seeds: how much its numbers vary", 24 * 60, notebooks=False),
    "search": Profile("the same search of settings for every method", 24 * 60, notebooks=False),
    "gpu": Profile("for one GPU", 4 * 60, gpu=True),
    "paper": Profile("the paper's settings, for a GPU", 24 * 60, gpu=True),
    "rehearsal": Profile("the files, networks and code of paper in a few steps", 60, gpu=True),
}


class Solver(Block):
    """How the teacher's ODE is solved (reference)."""

    method: Method | None = meaning("solver")
    steps: Count | None = meaning("steps of a fixed grid; of dopri5, states of a path to keep")
    tol: Annotated[float, Field(gt=0)] | None = meaning("tolerance of dopri5")


class Pairs(Solver):
    """The teacher's pairs."""

    n: Count | None = meaning("how many")
    seed: Seed | None = meaning("of their noise")
    online: bool | None = meaning("fresh ones every step instead of a stored set")


class Data(Block):
    """The images that a teacher learns."""

    split: str | None = meaning("split of the data set")
    flip: bool | None = meaning("whether every other image is mirrored")


class Trained(Block):
    """What every trained network has."""

    seed: Seed | None = meaning("of its start and its batches")
    train: dict[str, Any] | None = meaning("its training, see `train`")


class Teacher(Trained):
    """Where the teacher comes from."""

    kind: Literal["trained", "exact", "checkpoint"] | None = meaning("trained here if not given")
    file: str | None = meaning("the checkpoint of kind checkpoint, below data/ or anywhere")


class ClassifierBlock(Trained):
    """The extractor of a Frechet distance."""

    net: dict[str, Any] | None = meaning("its network, see `net`")


class Stage(Block):
    """One stage of a student's training."""

    objective: str | None = meaning("name of the method's objective")
    options: dict[str, Any] | None = meaning("of the objective, see `options`")
    net: dict[str, Any] | None = meaning("changes to the teacher's network")
    train: dict[str, Any] | None = meaning("its training, see `train`")
    start: Literal["teacher", "random", "truncated"] | None = meaning("first weights")
    n_pairs: Count | None = meaning("only the first so many pairs")
    new_pairs: bool | None = meaning("pairs of the network that the stage before left")
    calls: Count | None = meaning("calls that samples of this stage's network take")
    share: Annotated[float, Field(gt=0, le=1)] | None = meaning("of the steps")


class Student(Stage):
    """A student: its objective, network and training, in one stage or several."""

    stages: Annotated[list[Stage], Field(min_length=1)] | None = meaning(
        "stages, each with the keys of a student"
    )


class Watch(Block):
    """What is measured while a network trains."""

    n: Count = Field(description="samples to look at")


class Evaluate(Block):
    """How models are measured."""

    n: Count | None = meaning("generated samples")
    n_exact: Count | None = meaning("of them, samples for the exact W2")
    n_geometry: Count | None = meaning("of them, samples for the geometry of paths")
    n_reference: Count | None = meaning("images of the reference, all if not given")
    seed: Seed | None = meaning("of the noise")
    reference: Solver | None = meaning("the accurate solution")
    nfe: Calls | None = meaning("numbers of calls of students")
    teacher_nfe: Calls | None = meaning("numbers of calls of the teacher")
    as_files: bool | None = meaning("images as files hold them, 8 bits a number")
    adaptive_precision: Precision | None = meaning("of an adaptive reference")


class Span(Block):
    """A range of numbers that the search may choose from, and widen."""

    low: float = Field(description="smallest at first")
    high: float = Field(description="largest at first")
    log: bool | None = meaning("whether ratios count, not differences")
    least: float | None = meaning("natural bound, which is never widened")
    most: float | None = meaning("natural bound, which is never widened")


Knobs = dict[str, Span | list[Any]]


class Search(Block):
    """The search for each method's settings, see experiments/search.py; its seeds are the recipe's."""

    trials: Annotated[int, Field(ge=1)] = Field(description="of every method, with the first seed")
    finalists: Annotated[int, Field(ge=1)] = Field(description="settings that get the other seeds too")
    calls: dict[str, Calls] | None = meaning("calls a method is judged at, else those of nfe")
    shared: Knobs = Field(description="what every method may try: `lr` and options")
    knobs: dict[str, Knobs | None] | None = meaning("by method, options of its own")


class Recipe(Block):
    """One recipe at one profile."""

    recipe: str = Field(description="its name")
    profile: str = Field(description="the profile that it was loaded at")
    dataset: str | None = meaning("its data set")
    datasets: list[str] | None = meaning("its data sets, if there are several")
    stand_in_for: str | None = meaning("data set in whose place this profile takes another")
    data: Data | None = meaning("the images that the teacher learns")
    precision: Precision | None = meaning("of training and sampling, fp32 if not given")
    net: dict[str, Any] | None = meaning("the teacher's network, see `net`")
    teacher: Teacher | None = meaning("the teacher")
    classifier: ClassifierBlock | None = meaning("the extractor of a Frechet distance")
    pairs: Pairs | None = meaning("the teacher's pairs")
    student: Student | None = meaning("what all students share")
    students: dict[str, Student | None] | None = meaning("by name, what each has of its own")
    methods: list[str] | None = meaning("students that a run trains and measures")
    seeds: Annotated[list[Seed], Field(min_length=1)] | None = meaning("one student each")
    watch: Watch | None = meaning("what is measured while a network trains")
    evaluate: Evaluate | None = meaning("how models are measured")
    fid: Scoring | None = meaning("how FID is measured")
    ablation: Scoring | None = meaning("the same for students that are not among the methods")
    sweep: list[str] | None = meaning("students that a notebook goes through")
    search: Search | None = meaning("the search for every method's settings")
    chosen: dict[str, dict[str, Any] | None] | None = meaning("what the search chose")
    time_of: str | None = meaning("student whose training time `@time` grants the others")
    timed: list[str] | None = meaning("students that are trained for equal time too")
    step_cost: dict[str, Annotated[float, Field(gt=0)]] | None = meaning(
        "milliseconds of each student's training step"
    )


@cache
def options_of(kind: type | str) -> type[Block]:
    """The model of an objective's options, of a network's arguments (by kind) or of a training's settings."""
    if isinstance(kind, str):
        parameters = inspect.signature(nets.KINDS[kind]).parameters.values()
        declared = {one.name: one.annotation for one in parameters if one.name not in ("net", "s_input")}
        declared |= {"kind": str} | ({"net": dict[str, Any]} if kind == "edm" else {})
    else:
        hints = typing.get_type_hints(kind, include_extras=True)
        declared = {field.name: hints[field.name] for field in dataclasses.fields(kind)}
    fields: dict[str, Any] = {name: (_loose(annotation), None) for name, annotation in declared.items()}
    return create_model(f"{getattr(kind, '__name__', kind)} options", __base__=Block, **fields)


def _loose(annotation: Any) -> Any:
    """The type as YAML can hold it: lists for tuples, and null for what is not given."""
    if annotation is inspect.Parameter.empty:
        return Any
    if annotation is tuple or typing.get_origin(annotation) is tuple:
        annotation = GenericAlias(list, (typing.get_args(annotation) or (int,))[0])
    return annotation | None


def block_in(annotation: Any) -> type[Block] | None:
    """The model inside a field's type, if there is one."""
    if isinstance(annotation, type) and issubclass(annotation, Block):
        return annotation
    return next(filter(None, (block_in(part) for part in typing.get_args(annotation))), None)
