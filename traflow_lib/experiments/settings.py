"""Complete settings: all that decides a model or a number, every default written out.

What is hashed is what is built from, so a default that changes makes other models, and writing a default out
does not.
"""

import inspect
import json
from functools import cache

from .. import nets, objectives
from ..data import images, toys
from ..files import paths
from ..files.checksums import fingerprint
from ..training.config import TrainConfig
from . import recipes

# settings that change how fast or how visibly something is computed, not what: no part of a fingerprint
NEUTRAL = {"precision", "adaptive_precision", "micro_batch", "channels_last", "compile"}
NEUTRAL |= {"save_every", "keep", "log_every", "watch_every", "tensorboard"}
EVALUATE = {"n_exact": 2000, "n_geometry": 1000, "n_reference": None, "as_files": False}
COUNTS = ("nfe", "teacher_nfe")  # which numbers of calls are measured does not change any of them


def decisive(settings):
    """What a fingerprint is taken of: settings without NEUTRAL ones and None, whole numbers as integers."""
    if isinstance(settings, dict):
        deciding = {key: value for key, value in settings.items() if key not in NEUTRAL}
        return {key: decisive(value) for key, value in deciding.items() if value is not None}
    if isinstance(settings, (list, tuple)):
        return [decisive(value) for value in settings]
    return int(settings) if isinstance(settings, float) and settings.is_integer() else settings


def identity(settings) -> str:
    """The fingerprint of complete settings."""
    return fingerprint(decisive(settings))


def network(config: dict) -> dict:
    """A `net` block with every argument of its network."""
    full = {"kind": config["kind"]} | _arguments(config["kind"]) | config
    full = {name: list(value) if isinstance(value, tuple) else value for name, value in full.items()}
    return full | {"net": network(config["net"])} if "net" in config else full


@cache
def _arguments(kind: str) -> dict:
    """A network's arguments with their defaults."""
    arguments = inspect.signature(nets.KINDS[kind]).parameters
    return {name: argument.default for name, argument in arguments.items() if name not in ("net", "s_input")}


def _net(recipe: dict, dataset: str) -> dict:
    """The recipe's network, as wide at both ends as the points of a toy are."""
    toy = toys.TOYS.get(dataset)
    return recipe["net"] | ({"dim": toy.dim} if toy else {})


def training(block: dict, recipe: dict) -> dict:
    """A `train` block with every option; its precision is the recipe's unless it has its own."""
    config = TrainConfig.of({"precision": recipe.get("precision", "fp32")} | block)
    return vars(config) | {"ema": config.decays}


def data(recipe: dict, dataset: str) -> dict:
    """The images or points that a teacher learns: the data set with its split and whether it is mirrored."""
    if images.folder_in(dataset):  # a person's own, which its name does not tell
        dataset = f"folder {images.load(dataset)[0].sha256}"
    return {"dataset": dataset, "split": "all", "flip": False} | recipe.get("data", {})


def teacher(recipe: dict, dataset: str, imported: dict | None = None) -> dict:
    """All that decides a teacher.

    imported: network and SHA-256 of the checkpoint, for a recipe whose teacher is a file.
    """
    block = recipe["teacher"]
    kind = block.get("kind", "trained")
    if kind == "exact":
        return {"kind": kind, "dataset": dataset}
    if kind == "checkpoint":
        if imported is None:
            raise ValueError(f"the teacher {block['file']} is a file; its network and checksum are needed")
        net, known = imported["net"], {"sha256": imported["sha256"]}
    else:
        net, known = _net(recipe, dataset), {"seed": block["seed"], "train": training(block["train"], recipe)}
    return {"kind": kind, **data(recipe, dataset), "net": network(net), **known}


def solver(block: dict) -> dict:
    """A solver's settings; `steps` of an adaptive one only sets how many states of a path are kept."""
    return {"method": block["method"], "steps": block.get("steps"), "tol": block.get("tol")}


def pairs(recipe: dict, dataset: str, imported: dict | None = None) -> dict:
    """All that decides the teacher's pairs."""
    block, of = recipe["pairs"], {"teacher": teacher(recipe, dataset, imported)}
    if block.get("online"):
        return of | {"online": True} | solver(block)
    return of | {"online": False, "n": block["n"], "seed": block["seed"]} | solver(block)


def student(recipe: dict, dataset: str, method: str, seed: int, imported: dict | None = None) -> list[dict]:
    """All that decides a student, stage by stage (one stage unless its method trains in several)."""
    found: list[dict] = []
    for stage in recipes.stages(recipes.student(recipe, method)):
        base = imported["net"] if imported else _net(recipe, dataset)
        change = stage.get("net", {})
        objective = objectives.get(stage["objective"], **stage.get("options", {}))
        config = recipes.merge(base, {"net": change} if base.get("kind") == "edm" else change)
        found.append(
            {
                "pairs": pairs(recipe, dataset, imported),
                "objective": objectives.described(objective),
                "net": network(config),
                "start": stage.get("start", "teacher"),
                "n_pairs": stage.get("n_pairs"),
                "new_pairs": stage.get("new_pairs", False),
                "calls": stage.get("calls"),
                "train": training(stage["train"], recipe),
                "seed": seed,
                "after": identity(found[-1]) if found else None,
            }
        )
    return found


def classifier(recipe: dict, dataset: str) -> dict:
    """All that decides the extractor of a data set's Frechet distance."""
    net, seed, train = (recipe["classifier"][key] for key in ("net", "seed", "train"))
    return {"dataset": dataset, "net": network(net), "seed": seed, "train": training(train, {})}


def evaluation(recipe: dict) -> dict:
    """The `evaluate` block with every option, without the numbers of calls it asks for."""
    block = {key: value for key, value in recipe["evaluate"].items() if key not in COUNTS}
    return EVALUATE | block | {"reference": solver(block["reference"])}


def measurement(
    recipe: dict, dataset: str, method: str, seeds: list[int], imported: dict | None = None
) -> dict:
    """All that decides the numbers of one record: its models, the evaluation and the extractor."""
    models: list = [teacher(recipe, dataset, imported)]
    if recipes.parse(method)[0] in recipe.get("students", {}):
        models = [student(recipe, dataset, method, seed, imported) for seed in seeds]
    made = classifier(recipe, dataset) if "classifier" in recipe else None
    return {"models": models, "evaluate": evaluation(recipe), "classifier": made}


@cache
def renamed() -> dict[str, str]:
    """Fingerprints of earlier versions of this kit (of raw YAML) by what they are today."""
    file = paths.committed("fingerprints.json")
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}  # no clone, no old models


def earlier(name: str) -> list[str]:
    """The fingerprints that a model had in earlier versions."""
    return [old for old, new in renamed().items() if new == name]
