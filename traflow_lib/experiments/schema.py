"""What a recipe may say: every block as a declared model.

The models check a recipe when it is loaded (checking.py); they add no defaults and change no value, so that
fingerprints stay. Options of objectives, networks and trainings are declared where they are used; their
models are made from those declarations. docs/settings.md is written from here.
"""

import dataclasses
import inspect
import typing
from functools import cache
from types import GenericAlias
from typing import Annotated, Any, Literal

from pydantic import Field, create_model

from .. import nets
from ..evaluation.scoring import Scoring
from ..files.checks import Block
from ..nets.precision import Precision
from ..solvers import Method

Count = Annotated[int, Field(ge=1)]
Calls = Annotated[list[Count], Field(min_length=1)]
Seed = Annotated[int, Field(ge=0)]


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

    method: Method | None = Field(None, description="solver")
    steps: Count | None = Field(
        None, description="steps of a fixed grid; of dopri5, states of a path to keep"
    )
    tol: Annotated[float, Field(gt=0)] | None = Field(None, description="tolerance of dopri5")


class Pairs(Solver):
    """The teacher's pairs."""

    n: Count | None = Field(None, description="how many")
    seed: Seed | None = Field(None, description="of their noise")
    online: bool | None = Field(None, description="fresh ones every step instead of a stored set")


class Data(Block):
    """The images that a teacher learns."""

    split: str | None = Field(None, description="split of the data set")
    flip: bool | None = Field(None, description="whether every other image is mirrored")


class Trained(Block):
    """What every trained network has."""

    seed: Seed | None = Field(None, description="of its start and its batches")
    train: dict[str, Any] | None = Field(None, description="its training, see `train`")


class Teacher(Trained):
    """Where the teacher comes from."""

    kind: Literal["trained", "exact", "checkpoint"] | None = Field(
        None, description="trained here if not given"
    )
    file: str | None = Field(None, description="the checkpoint of kind checkpoint, below data/ or anywhere")


class ClassifierBlock(Trained):
    """The extractor of a Frechet distance."""

    net: dict[str, Any] | None = Field(None, description="its network, see `net`")


class Stage(Block):
    """One stage of a student's training."""

    objective: str | None = Field(None, description="name of the method's objective")
    options: dict[str, Any] | None = Field(None, description="of the objective, see `options`")
    net: dict[str, Any] | None = Field(None, description="changes to the teacher's network")
    train: dict[str, Any] | None = Field(None, description="its training, see `train`")
    start: Literal["teacher", "random", "truncated"] | None = Field(None, description="first weights")
    n_pairs: Count | None = Field(None, description="only the first so many pairs")
    new_pairs: bool | None = Field(None, description="pairs of the network that the stage before left")
    calls: Count | None = Field(None, description="calls that samples of this stage's network take")
    share: Annotated[float, Field(gt=0, le=1)] | None = Field(None, description="of the steps")


class Student(Stage):
    """A student: its objective, network and training, in one stage or several."""

    stages: Annotated[list[dict[str, Any]], Field(min_length=1)] | None = Field(
        None, description="stages, each with the keys of a student"
    )


class Watch(Block):
    """What is measured while a network trains."""

    n: Count = Field(description="samples to look at")


class Evaluate(Block):
    """How models are measured."""

    n: Count | None = Field(None, description="generated samples")
    n_exact: Count | None = Field(None, description="of them, samples for the exact W2")
    n_geometry: Count | None = Field(None, description="of them, samples for the geometry of paths")
    n_reference: Count | None = Field(None, description="images of the reference, all if not given")
    seed: Seed | None = Field(None, description="of the noise")
    reference: Solver | None = Field(None, description="the accurate solution")
    nfe: Calls | None = Field(None, description="numbers of calls of students")
    teacher_nfe: Calls | None = Field(None, description="numbers of calls of the teacher")
    as_files: bool | None = Field(None, description="images as files hold them, 8 bits a number")
    adaptive_precision: Precision | None = Field(None, description="of an adaptive reference")


class Span(Block):
    """A range of numbers that the search may choose from, and widen."""

    low: float = Field(description="smallest at first")
    high: float = Field(description="largest at first")
    log: bool | None = Field(None, description="whether ratios count, not differences")
    least: float | None = Field(None, description="natural bound, which is never widened")
    most: float | None = Field(None, description="natural bound, which is never widened")


Knobs = dict[str, Span | list[Any]]


class Search(Block):
    """The search for each method's settings, see experiments/search.py; its seeds are the recipe's."""

    trials: Annotated[int, Field(ge=1)] = Field(description="of every method, with the first seed")
    finalists: Annotated[int, Field(ge=1)] = Field(description="settings that get the other seeds too")
    calls: dict[str, Calls] | None = Field(None, description="calls a method is judged at, else those of nfe")
    shared: Knobs = Field(description="what every method may try: `lr` and options")
    knobs: dict[str, Knobs | None] | None = Field(None, description="by method, options of its own")


class Recipe(Block):
    """One recipe at one profile."""

    recipe: str = Field(description="its name")
    profile: str = Field(description="the profile that it was loaded at")
    dataset: str | None = Field(None, description="its data set")
    datasets: list[str] | None = Field(None, description="its data sets, if there are several")
    stand_in_for: str | None = Field(None, description="data set in whose place this profile takes another")
    data: Data | None = Field(None, description="the images that the teacher learns")
    precision: Precision | None = Field(None, description="of training and sampling, fp32 if not given")
    net: dict[str, Any] | None = Field(None, description="the teacher's network, see `net`")
    teacher: Teacher | None = Field(None, description="the teacher")
    classifier: ClassifierBlock | None = Field(None, description="the extractor of a Frechet distance")
    pairs: Pairs | None = Field(None, description="the teacher's pairs")
    student: Student | None = Field(None, description="what all students share")
    students: dict[str, Student | None] | None = Field(None, description="by name, what each has of its own")
    methods: list[str] | None = Field(None, description="students that a run trains and measures")
    seeds: Annotated[list[Seed], Field(min_length=1)] | None = Field(None, description="one student each")
    watch: Watch | None = Field(None, description="what is measured while a network trains")
    evaluate: Evaluate | None = Field(None, description="how models are measured")
    fid: Scoring | None = Field(None, description="how FID is measured")
    ablation: Scoring | None = Field(None, description="the same for students that are not among the methods")
    sweep: list[str] | None = Field(None, description="students that a notebook goes through")
    search: Search | None = Field(None, description="the search for every method's settings")
    chosen: dict[str, dict[str, Any] | None] | None = Field(None, description="what the search chose")
    time_of: str | None = Field(None, description="student whose training time `@time` grants the others")
    timed: list[str] | None = Field(None, description="students that are trained for equal time too")
    step_cost: dict[str, Annotated[float, Field(gt=0)]] | None = Field(
        None, description="milliseconds of each student's training step"
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
