"""The bench: every method of a recipe trained and measured alike.

The teacher, pairs, warm start, optimiser steps, batch and seeds are the same for all.
"""

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from statistics import median
from time import time

from .. import objectives
from ..evaluation import records
from ..evaluation.records import Record
from ..files import paths
from ..files.log import log, quiet
from ..solvers import CALLS_PER_STEP
from .experiment import Experiment
from .measure import Measure
from .recipes import EQUAL_TIME as TIME


def methods(recipe: dict) -> list[str]:
    """The methods a recipe measures at equal steps, and then those it lists as `timed` at equal time."""
    return recipe["methods"] + [name + TIME for name in recipe.get("timed", [])]


def run(experiment: Experiment, only: list[str] | None = None, again: bool = False) -> list[Record]:
    """Records of what the recipe asks for, trained and measured where there is none.

    The teacher at every budget and to tolerance, every method at every NFE, and the variants that `sweep`
    lists at one call with the first seed. Of images also the real data against themselves: half against half,
    and half-mirrored where training mirrors. They never change, so a record of them is always enough, and
    without one and without the images they are left out.

    Args:
        experiment: what is measured.
        only: these methods; "teacher" is one of them, with the real data.
        again: measure also what has a record with the same settings (as notebooks do).
    """
    recipe, measure, found = experiment.recipe, Measure(experiment), []

    def add(method: str, nfe: int, sampler: str, seeds: list[int], make: Callable) -> None:
        known = None if again else _recorded(experiment, method, nfe, sampler, measure.hash(method, seeds))
        found.append(known or make())

    def teacher() -> None:
        grids = [{"method": "euler", "steps": steps} for steps in recipe["evaluate"]["teacher_nfe"]]
        for solver in [*grids, recipe["evaluate"]["reference"]]:
            each = CALLS_PER_STEP.get(solver["method"])  # an adaptive solver's calls are a result
            calls = each * solver["steps"] if each else 0
            add("teacher", calls, solver["method"], [0], partial(measure.teacher, **solver))
        if "classifier" in recipe:
            real("halves", measure.halves)
            if recipe.get("data", {}).get("flip"):
                real("half-mirrored", measure.mirrored)

    def real(sampler: str, make: Callable) -> None:
        known = _recorded(experiment, "real data", 0, sampler, measure.hash("real data", [0]))
        try:
            found.append(known or make())
            records.save(found[-1])  # a committed one counts as this machine's, too
        except FileNotFoundError as error:
            log.info(f"not measured: real data, {sampler}; {error}")

    def student(method: str) -> None:
        single = method in recipe.get("sweep", [])
        calls, seeds = ([1], recipe["seeds"][:1]) if single else (recipe["evaluate"]["nfe"], recipe["seeds"])
        last = experiment.student_settings(method, seeds[0])[-1]
        sampler = objectives.sampler(last)
        for steps in calls:
            add(method, steps, sampler, seeds, partial(measure.student, method, steps, seeds, sampler))

    for method in ["teacher", *methods(recipe), *recipe.get("sweep", [])] if only is None else only:
        teacher() if method == "teacher" else student(method)
        log.info(f"{experiment.dataset}: {method} done")
    log.info(f"{experiment.dataset}: {len(found)} records, profile {recipe['profile']}")
    return found


def _recorded(experiment: Experiment, method: str, nfe: int, sampler: str, fingerprint: str) -> Record | None:
    """This machine's record of a measurement of these settings, else the committed one, if there is any."""
    asked, recipe = (experiment.dataset, method, sampler, fingerprint), experiment.recipe
    for folder in (paths.results() / "records", paths.committed("records")):
        file = folder / records.file_of(recipe["profile"], recipe["recipe"])
        for record in records.read(file) if file.exists() else []:
            is_it = (record.dataset, record.method, record.sampler, record.hash) == asked
            if is_it and (record.nfe == nfe or sampler in records.UNGRIDDED):
                return record
    return None


def step_costs(experiment: Experiment, repeats: int = 3) -> dict[str, float]:
    """What a training step of each method takes, recorded in milliseconds; relative to the cheapest.

    The equal-time budget is made of it. Needs an idle machine.
    """
    recipe, steps = deepcopy(experiment.recipe), 200 if experiment.toy else 20
    recipe["student"]["train"] |= {"steps": steps, "warmup": 0}
    times: dict[str, list[float]] = {method: [] for method in recipe["methods"]}
    trial, measure = Experiment(recipe, experiment.dataset), Measure(experiment)
    fresh = int(time())  # seeds that were never trained, so that every call measures anew
    for repeat in range(repeats):
        for method in times:  # taking turns, so that a slow minute hits every method
            seed = fresh + repeat
            with quiet():
                training = trial.model(method, seed).header["training"]
            times[method].append(1000 * training["seconds"] / training["steps"])
    for method, values in times.items():
        measure.record_cost(method, values)
    cheapest = min(median(values) for values in times.values())
    relative = {method: round(median(values) / cheapest, 2) for method, values in times.items()}
    log.info(f"{experiment.dataset}: {relative}")
    return relative
