"""Checks of Holm's rule and of a podium: the right rules by definition, and wrong ones of students."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import torch
from scipy import stats

from .checking import asked, check_equal
from .exercise import Wrong

Rule = Callable[[list[float], float], list[bool]]


def holm(p: list[float], level: float) -> list[bool]:
    """Whether each is told apart: if every set of comparisons that holds it has a p that is small enough."""
    n = len(p)
    groups = [group for size in range(1, n + 1) for group in combinations(range(n), size)]
    return [all(min(p[j] for j in g) <= level / len(g) for g in groups if i in g) for i in range(n)]


def each(p: list[float], level: float) -> list[bool]:
    """No correction."""
    return [x <= level for x in p]


def bonferroni(p: list[float], level: float) -> list[bool]:
    """The strictest bound for all."""
    return [x <= level / len(p) for x in p]


def going_on(p: list[float], level: float) -> list[bool]:
    """Holm's bounds, without a stop at the first that fails."""
    return [x <= level / (len(p) - place) for x, place in zip(p, _places(p))]


def falling(p: list[float], level: float) -> list[bool]:
    """Holm's bounds turned round: the whole level for the smallest."""
    fails = min((x for x, place in zip(p, _places(p)) if x > level / (place + 1)), default=2.0)
    return [x < fails for x in p]


def as_given(p: list[float], level: float) -> list[bool]:
    """Holm's rule on values that were not sorted."""
    told: list[bool] = []
    for k, x in enumerate(p):
        told.append(x <= level / (len(p) - k) and all(told))
    return told


def _places(p: list[float]) -> list[int]:
    return [sorted(p).index(x) for x in p]


def level_with_first(
    values: dict[str, list[float]], test=stats.ttest_rel, rule: Rule = holm, **of_test
) -> set:
    """The first by its mean, the smallest, and those that are not told apart from it at 5 %."""
    first = min(values, key=lambda name: sum(values[name]))
    rivals = [name for name in values if name != first]
    p = test(np.array([values[name] for name in rivals]), np.array([values[first]]), axis=1, **of_test)
    return {first} | {name for name, told in zip(rivals, rule(p.pvalue.tolist(), 0.05)) if not told}


def told_apart(function) -> None:
    """Check a function of p-values and a level that gives a list, True for each p that is told apart."""
    generator = torch.Generator().manual_seed(0)
    drawn = [(torch.rand(1 + k % 6, generator=generator) ** 2 * 0.1).tolist() for k in range(60)]
    cases, found = [(p, level) for p in drawn for level in (0.05, 0.1)], []
    for p, level in cases:
        told = asked(function, list(p), level)
        if not isinstance(told, list) or len(told) != len(p) or any(x not in (True, False) for x in told):
            raise Wrong("A list is asked for, with True or False for each p-value.")
        found.append([bool(x) for x in told])
    rules = {
        "Every p is held against the whole level, so that with many rivals chance tells some apart.": each,
        "Every p is held against the strictest bound. Holm's bounds rise from one p to the next.": bonferroni,
        "This goes on after a p has failed.": going_on,
        "The bounds are turned round: the smallest p has the strictest.": falling,
        "The p-values are taken in the order they came in, not from the smallest on.": as_given,
        "The verdicts are in the order of the sorted p-values, not in that of the rivals.": (
            lambda p, level: sorted(holm(p, level), reverse=True)
        ),
        "True is for a rival that is told apart; this is turned round.": (
            lambda p, level: [not told for told in holm(p, level)]
        ),
    }
    known = {why: [rule(*case) for case in cases] for why, rule in rules.items()}
    right = [holm(*case) for case in cases]
    check_equal(found, right, known, "Some verdicts are not those of Holm's rule.")


def podium(function) -> None:
    """Check a function of errors (a list over seeds by name) that gives the names level with the first."""
    generator, cases, found = torch.Generator().manual_seed(1), [], []
    for k in range(15):
        n = 3 + k % 3
        shared, own = 0.4 * torch.rand(n, generator=generator), 0.04 * torch.randn(5, n, generator=generator)
        values = 1 + shared + own + 0.03 * torch.arange(5)[:, None] * (1 + k % 3)
        cases.append({f"method {i}": row.tolist() for i, row in enumerate(values)})
    for case in cases:
        names = asked(function, {name: list(row) for name, row in case.items()})
        if not isinstance(names, (set, list, tuple)) or not set(names) <= set(case):
            raise Wrong("A set of names is asked for.")
        found.append(set(names))
    level = level_with_first
    rules = {
        "The seeds are not paired: what all methods share in a seed is taken for chance.": (
            lambda case: level(case, stats.ttest_ind)
        ),
        "Each rival is tested at 5 %. Where is the correction for there being several?": (
            lambda case: level(case, rule=each)
        ),
        "All rivals have the strictest bound; Holm's bounds rise.": lambda case: level(case, rule=bonferroni),
        "This test has one side: a rival could only be worse.": (
            lambda case: level(case, alternative="greater")
        ),
        "The first is counted among its own rivals.": (
            lambda case: level(case, rule=lambda p, of: holm([*p, 1.0], of)[:-1])
        ),
        "Where is the first itself? It is level with itself.": (
            lambda case: level(case) - {min(case, key=lambda name: sum(case[name]))}
        ),
        "These are the ones that are told apart.": lambda case: set(case) - level(case),
    }
    known = {why: [rule(case) for case in cases] for why, rule in rules.items()}
    right = [level(case) for case in cases]
    check_equal(found, right, known, "On some tables, others than these are level with the first.")
