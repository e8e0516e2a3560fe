"""Which of several methods is better: one rule, everywhere in this kit.

Seeds are shared between methods (the same minibatches, the same samples), so two are compared seed by seed,
by the two-sided paired t-test of their differences. Where one is compared with many, Holm's correction
(Scandinavian Journal of Statistics 6, 1979) keeps the chance that luck tells any of them apart at CHANCE.
"""

from statistics import geometric_mean

from .tables import NOT_RUN, calls_of, calls_title, grouped

CHANCE = 0.05  # of telling apart what is equal


def p_value(one: dict, other: dict) -> float:
    """How likely two equal methods are to differ, over their common seeds, by as much as these two do.

    Args:
        one: a measurement as records.rows gives it, with values by seed.
        other: another of the same metric.

    Raises:
        ValueError: they share fewer than two seeds.
    """
    from scipy.stats import ttest_rel  # of the extra "eval"

    values = [dict(zip(row["seeds"], row["values"])) for row in (one, other)]
    seeds = [seed for seed in values[0] if seed in values[1]]
    if len(seeds) < 2:
        raise ValueError(
            f"a comparison needs several seeds of every method; {one['method']} and {other['method']} share "
            f"{len(seeds)}"
        )
    a, b = ([found[seed] for seed in seeds] for found in values)
    return 1.0 if a == b else float(ttest_rel(a, b).pvalue)


def told_apart(reference: dict, others: list[dict]) -> list[bool]:
    """For each of the others whether it differs from the reference, corrected for their number."""
    chances = [p_value(reference, other) for other in others]
    order = sorted(range(len(others)), key=chances.__getitem__)
    apart = [False] * len(others)
    for already, index in enumerate(order):
        if chances[index] > CHANCE / (len(others) - already):
            break
        apart[index] = True
    return apart


def ahead(one: dict, other: dict) -> bool:
    """Whether the first of two measurements is lower, by a test of these two alone."""
    return one["value"] < other["value"] and told_apart(one, [other])[0]


def ranking(measured: list[dict], metric: str, nfe: int) -> list[tuple[str, float, float, bool]]:
    """Methods of one data set by `metric` at `nfe` calls: (name, mean, standard error, level with the first).

    A method with several samplers is represented by its best. Level: not told apart from the first.

    Raises:
        ValueError: a method shares fewer than two seeds with the first.
    """
    asked = [row for row in measured if row["metric"] == metric and row["nfe"] == nfe]
    best: dict[str, dict] = {}
    for row in sorted(asked, key=lambda row: row["value"]):
        if row["method"] not in ("teacher", "real data"):
            best.setdefault(row["method"], row)
    if not best:
        return []
    first, *others = best.values()
    level = [True, *(not apart for apart in told_apart(first, others))]
    return [(name, row["value"], row["spread"], tied) for (name, row), tied in zip(best.items(), level)]


def over_problems(measured: list[dict], metric: str) -> dict[str, dict[int, tuple[float, int]]]:
    """How methods do over all data sets: {method: {calls: (factor, cells)}}, the lowest factor first.

    factor: the geometric mean over data sets of a method's value over the lowest there at these calls; cells:
    on how many data sets it is first or level with the first. What was not measured on every data set is left
    out. The metric must be positive.
    """
    sets = grouped(measured, "dataset").values()
    found: dict[str, dict[int, tuple[float, int]]] = {}
    for nfe in calls_of(measured):
        places: dict[str, list[tuple[float, bool]]] = {}
        for rows in sets:
            ranks = ranking(rows, metric, nfe)
            for name, value, _, level in ranks:
                places.setdefault(name, []).append((value / ranks[0][1], level))
        for name, cells in places.items():
            if len(cells) == len(sets):
                factor = geometric_mean(value for value, _ in cells)
                found.setdefault(name, {})[nfe] = factor, sum(level for _, level in cells)
    return dict(sorted(found.items(), key=lambda item: geometric_mean(f for f, _ in item[1].values())))


def summary(found: dict[str, dict[int, tuple[float, int]]]) -> tuple[list[str], list[list[str]]]:
    """What over_problems found as a table, header and lines: the factor and, in brackets, the data sets."""
    calls = sorted({nfe for at in found.values() for nfe in at})
    lines = [
        [
            name.partition("@")[0],
            *(f"{at[nfe][0]:.2f} ({at[nfe][1]})" if nfe in at else NOT_RUN for nfe in calls),
        ]
        for name, at in found.items()
    ]
    return ["method", *map(calls_title, calls)], lines
