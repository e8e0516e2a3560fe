"""The bench's search: as many trials for every method, all its settings at once, on a problem no table uses.

Trials are proposed by optuna's TPE; what the recipe itself says is the first. An optimum at the edge of a
range that is not a natural bound widens it and costs further trials. The best settings are then trained with
further seeds, and the best mean wins. Every trial is a line of trials/<recipe>.jsonl; what is proposed next
depends on those lines alone, so an interrupted search goes on as if nothing had happened.
"""

import json
import math
from dataclasses import asdict, dataclass
from statistics import mean

from filelock import FileLock

from .. import objectives
from ..evaluation import records
from ..evaluation.geometry import paired_rmse
from ..files import paths
from ..files.checks import NotFinite
from ..files.log import log, quiet
from ..files.whole import appending
from ..jump import JumpMap
from ..training.loop import TrainingDiverged
from . import recipes
from .experiment import Experiment
from .measure import Measure

MORE, WIDENINGS = 8, 4  # trials after a range was widened, and how often that may happen
DIVERGED = math.log(10)  # the score of a training that ended in no numbers: an error of ten


@dataclass
class Trial:
    """One student: its settings, and the paired error by number of calls, none if its training diverged."""

    method: str
    settings: dict
    seed: int
    errors: dict[str, float]
    hash: str  # of all that decides the errors, as a record's
    git_commit: str | None = None

    @property
    def score(self) -> float:
        """Mean log error over the calls that the method is judged at."""
        return mean(map(math.log, self.errors.values())) if self.errors else DIVERGED


def run(experiment: Experiment, only: list[str] | None = None) -> dict[str, dict]:
    """Search for the settings of each method (or of `only` these): the best by method."""
    methods = experiment.recipe["methods"]
    if unknown := set(only or ()) - set(methods):
        raise ValueError(f"unknown method '{min(unknown)}'; there are {', '.join(methods)}")
    measure, best = Measure(experiment), {}
    for method in only or methods:
        trials = tried(experiment, method)
        while proposal := proposed(experiment.recipe, method, trials):
            trials.append(last := _trial(measure, method, *proposal))
            log.info(f"{method} {len(trials)}: {last.score:.3f} with {last.settings}, seed {last.seed}")
        best[method] = winner(experiment.recipe, trials)
        log.info(f"{experiment.dataset}: {method} {best[method]} of {len(trials)} trials")
    return best


def space(recipe: dict, method: str) -> dict:
    """What a method may try, by setting: a list of values, or low, high, log and natural bounds."""
    block = recipe["search"]
    return block["shared"] | (block.get("knobs", {}).get(method) or {})


def proposed(recipe: dict, method: str, trials: list[Trial]) -> tuple[dict, int] | None:
    """The settings and seed of the next trial after those made, None when the search is over."""
    block, (first, *others) = recipe["search"], recipe["seeds"]
    ranges, wanted = space(recipe, method), block["trials"]
    singles = [trial for trial in trials if trial.seed == first]
    for _ in range(WIDENINGS + 1):
        if len(singles) < wanted:
            return _suggested(recipe, method, ranges, singles), first
        distinct = _by_settings(singles[:wanted])  # where there is little to choose, some are tried twice
        finalists = sorted(distinct, key=lambda group: group[0].score)[: block["finalists"]]
        for seed in others:
            for trial, *_ in finalists:
                if not any((one.settings, one.seed) == (trial.settings, seed) for one in trials):
                    return trial.settings, seed
        if not (wide := _widened(ranges, winner(recipe, trials))):
            return None
        ranges, wanted = ranges | wide, wanted + MORE
    return None


def winner(recipe: dict, trials: list[Trial]) -> dict:
    """The settings with the best mean score of those tried with most seeds."""
    groups = _by_settings(trials)
    most = max(map(len, groups))
    finalists = [group for group in groups if len(group) == most]
    return min(finalists, key=lambda group: mean(trial.score for trial in group))[0].settings


def _by_settings(trials: list[Trial]) -> list[list[Trial]]:
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(json.dumps(trial.settings), []).append(trial)
    return list(groups.values())


def edges(ranges: dict, settings: dict) -> dict[str, str]:
    """Which settings lie within a tenth of an end of their range that is no natural bound."""
    found = {}
    for name, span in ranges.items():
        if isinstance(span, dict):
            low, high, value = (_on_scale(span, x) for x in (span["low"], span["high"], settings[name]))
            place = (value - low) / (high - low)
            if place < 0.1 and span["low"] != span.get("least"):
                found[name] = "low"
            elif place > 0.9 and span["high"] != span.get("most"):
                found[name] = "high"
    return found


def tried(experiment: Experiment, method: str) -> list[Trial]:
    """The trials of a method whose settings decide the same today, of this machine and committed ones."""
    measure, found = Measure(experiment), []
    for folder in (paths.committed("trials"), paths.results() / "trials"):
        file = folder / f"{experiment.recipe['recipe']}.jsonl"
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        lines = text[: text.rfind("\n") + 1].splitlines()  # a last one without its end is a killed process's
        found += [line for line in map(json.loads, lines) if line not in found]
    trials = [Trial(**line) for line in found if line["method"] == method]
    return [one for one in trials if one.hash == measure.hash(named(method, one.settings), [one.seed])]


def named(method: str, settings: dict) -> str:
    """The method with the settings of a trial, as recipes.student reads it."""
    return " ".join([method, *(f"{key}={value}" for key, value in settings.items())])


def _on_scale(span: dict, value: float) -> float:
    return math.log(value) if span.get("log") else value


def _widened(ranges: dict, settings: dict) -> dict:
    """The ranges at whose end the settings lie, half as wide again on that side."""
    wide = {}
    for name, side in edges(ranges, settings).items():
        span = ranges[name]
        low, high = _on_scale(span, span["low"]), _on_scale(span, span["high"])
        grown = low - (high - low) / 2 if side == "low" else high + (high - low) / 2
        grown = math.exp(grown) if span.get("log") else grown
        bounds = span.get("least", -math.inf), span.get("most", math.inf)
        wide[name] = span | {side: min(max(grown, bounds[0]), bounds[1])}
    return wide


def _suggested(recipe: dict, method: str, ranges: dict, trials: list[Trial]) -> dict:
    """The recipe's own settings first, then what TPE makes of the trials so far."""
    if not trials:
        return _defaults(recipe, method, ranges)
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions: dict[str, optuna.distributions.BaseDistribution] = {
        name: optuna.distributions.FloatDistribution(span["low"], span["high"], log=span.get("log", False))
        if isinstance(span, dict)
        else optuna.distributions.CategoricalDistribution(span)
        for name, span in ranges.items()
    }
    sampler = optuna.samplers.TPESampler(n_startup_trials=8, multivariate=True, seed=len(trials))
    study = optuna.create_study(sampler=sampler)
    for trial in trials:
        inside = {name: _inside(ranges[name], value) for name, value in trial.settings.items()}
        study.add_trial(optuna.create_trial(params=inside, distributions=distributions, value=trial.score))
    found = study.ask(distributions).params
    rounded = {name: float(f"{found[name]:.2g}") for name, span in ranges.items() if isinstance(span, dict)}
    return found | rounded


def _inside(span, value):
    """Published defaults and rounded values may lie outside a range."""
    return min(max(value, span["low"]), span["high"]) if isinstance(span, dict) else value


def _defaults(recipe: dict, method: str, ranges: dict) -> dict:
    """What the recipe and the method's own preset say of the settings that are searched."""
    settings = recipes.student(recipe, method)
    known = {"lr": settings["train"]["lr"]}
    for stage in reversed(recipes.stages(settings)):
        known |= vars(objectives.get(stage["objective"], **stage.get("options", {})))
    return {name: known[name] for name in ranges}


def _trial(measure: Measure, method: str, settings: dict, seed: int) -> Trial:
    """Train and measure one setting, and write its line."""
    name, recipe = named(method, settings), measure.experiment.recipe
    with quiet():
        errors = _errors(measure, method, name, seed)
    made = records.provenance()
    commit = made["git_commit"] if made["git_dirty"] is False else None  # None: of no code one can look up
    trial = Trial(method, settings, seed, errors, measure.hash(name, [seed]), commit)
    file = paths.results() / "trials" / f"{recipe['recipe']}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock")), appending(file) as lines:
        lines.write(json.dumps(asdict(trial)) + "\n")
    return trial


def _errors(measure: Measure, method: str, name: str, seed: int) -> dict[str, float]:
    """The paired error by number of calls; none where training or samples are not finite."""
    recipe = measure.experiment.recipe
    calls = (recipe["search"].get("calls") or {}).get(method, recipe["evaluate"]["nfe"])
    try:
        jumps = {n: JumpMap(measure.experiment.model(name, seed, n).net) for n in calls}
        samples = {n: measure.sample(jump, n) for n, jump in jumps.items()}
    except (TrainingDiverged, NotFinite) as error:
        log.warning(f"{name}, seed {seed}: {error}")
        return {}
    return {str(n): float(f"{paired_rmse(x, measure.reference):.5g}") for n, x in samples.items()}
