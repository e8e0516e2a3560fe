"""The rule for ties: equal methods are seldom told apart however many there are, clear differences are."""

import numpy as np
import pytest
from scipy.stats import t as student_t

from traflow_lib.reports import ranks


def measured(method, values, seeds=None, nfe=1, metric="rmse", sampler="jumps"):
    """One row as records.rows gives it."""
    values = list(map(float, values))
    return {
        "method": method,
        "metric": metric,
        "sampler": sampler,
        "nfe": nfe,
        "seeds": list(seeds or range(len(values))),
        "values": values,
        "value": sum(values) / len(values),
        "spread": 0.1,
    }


def test_the_p_value_is_that_of_student():
    one, other = measured("a", [1.0, 2.0, 4.0]), measured("b", [1.5, 3.0, 4.5])
    differences = np.array([0.5, 1.0, 0.5])
    t = differences.mean() / (differences.std(ddof=1) / 3**0.5)
    assert ranks.p_value(one, other) == pytest.approx(2 * student_t.sf(t, df=2))
    assert ranks.p_value(other, one) == ranks.p_value(one, other)
    assert ranks.p_value(one, one) == 1


def test_seeds_are_paired_by_number_and_only_common_ones_count():
    one = measured("a", [1.0, 2.0, 4.0])
    shuffled = measured("b", [4.5, 1.5, 3.0, 99.0], seeds=[2, 0, 1, 7])
    assert ranks.p_value(one, shuffled) == ranks.p_value(one, measured("b", [1.5, 3.0, 4.5]))
    with pytest.raises(ValueError, match="several seeds of every method; a and c share 1"):
        ranks.p_value(one, measured("c", [1.0, 2.0], seeds=[2, 3]))


def test_shared_luck_does_not_hide_a_difference():
    """Minibatches that are bad for one method are bad for the other: their difference is what is tested."""
    luck = [0.0, 3.0, 7.0, 1.0, 5.0]
    one, other = measured("a", luck), measured("b", [x + 1 + 0.01 * i for i, x in enumerate(luck)])
    assert ranks.ahead(one, other) and not ranks.ahead(other, one)


def test_equal_methods_are_told_apart_in_at_most_one_contest_of_twenty():
    """With 21 rivals one test each would cry wolf in most contests."""
    dice, contests = np.random.default_rng(0), 300
    wrong = alone = 0
    for _ in range(contests):
        first, *others = (measured(str(i), row) for i, row in enumerate(dice.standard_normal((22, 5))))
        wrong += any(ranks.told_apart(first, others))
        alone += any(ranks.told_apart(first, [other])[0] for other in others)
    assert wrong / contests <= 0.06 and alone / contests > 0.3


def test_holm_goes_on_after_the_smallest_and_stops_at_the_first_that_could_be_luck():
    first = measured("first", [0.0, 0.0, 0.0, 0.0, 0.0])
    noise = np.array([-1.0, 1.0, 0.0, 1.0, -1.0])

    def rival(p):
        """A rival whose own test has this p."""
        t = student_t.isf(p / 2, df=4)
        return measured(str(p), t * noise.std(ddof=1) / 5**0.5 + noise)

    assert ranks.told_apart(first, [rival(0.04), rival(0.01), rival(0.02)]) == [True, True, True]
    assert ranks.told_apart(first, [rival(0.04), rival(0.01), rival(0.03)]) == [False, True, False]
    assert ranks.told_apart(first, [rival(0.02), rival(0.02), rival(0.02)]) == [False, False, False]
    assert ranks.told_apart(first, []) == []


def test_a_ranking_names_the_first_and_who_is_level_with_it():
    noise = np.array([-0.1, 0.1, 0.0, 0.1, -0.1])
    rows = [
        measured("c", 3 + noise[[1, 2, 3, 4, 0]]),
        measured("a", 1 + noise),
        measured("b", 1.05 + noise[[2, 0, 1, 4, 3]]),
        measured("teacher", [0.1]),
        measured("a", [5.0, 5.0], nfe=2),
        measured("a", [0.0, 0.0], metric="other"),
    ]
    ranking = ranks.ranking(rows, "rmse", 1)
    assert [(name, level) for name, _, _, level in ranking] == [("a", True), ("b", True), ("c", False)]
    assert ranking[0][1:3] == (pytest.approx(1.0), 0.1)
    assert ranks.ranking(rows, "rmse", 2) == [("a", 5.0, 0.1, True)] and ranks.ranking(rows, "rmse", 4) == []


def test_a_method_is_represented_by_its_best_sampler():
    rows = [
        measured("cd", [2.0, 2.1]),
        measured("cd", [1.0, 1.1], sampler="renoised"),
        measured("lmd", [1.6, 1.8]),
    ]
    assert [(name, value) for name, value, *_ in ranks.ranking(rows, "rmse", 1)] == [
        ("cd", pytest.approx(1.05)),
        ("lmd", pytest.approx(1.7)),
    ]


def test_a_ranking_of_single_seeds_is_refused():
    with pytest.raises(ValueError, match="several seeds"):
        ranks.ranking([measured("a", [1.0]), measured("b", [2.0])], "rmse", 1)


def test_over_problems_factors_are_geometric_means_and_who_misses_a_problem_is_left_out():
    one, two = np.array([-0.1, 0.1, 0.0]), np.array([0.1, -0.12, 0.05])
    rows = [
        measured("a", 1 + one) | {"dataset": "x"},
        measured("b", 4 + two) | {"dataset": "x"},
        measured("a", 3 + one) | {"dataset": "y"},
        measured("b", 3 + two * 0.9) | {"dataset": "y"},
        measured("only here", 0.5 + one) | {"dataset": "y"},
    ]
    found = ranks.over_problems(rows, "rmse")
    assert list(found) == ["a", "b"] and found["a"][1][1] == 1 and found["b"][1][1] == 0
    lowest, means = (1, 0.5), {row["method"] + row["dataset"]: row["value"] for row in rows}
    for name in "ab":
        factor = (means[f"{name}x"] / lowest[0] * means[f"{name}y"] / lowest[1]) ** 0.5
        assert found[name][1][0] == pytest.approx(factor)


def test_a_summary_names_the_factor_and_how_often_it_is_level():
    noise = np.array([-0.1, 0.1, 0.0])
    rows = [measured("a@time", 1 + noise), measured("b@time", 2 + noise[::-1])]
    rows.append(measured("b@time", noise + 1, nfe=2))
    header, lines = ranks.summary(ranks.over_problems([row | {"dataset": "x"} for row in rows], "rmse"))
    assert header == ["method", "1 call", "2 calls"]
    assert sorted(lines) == [["a", "1.00 (1)", "not run"], ["b", "2.00 (0)", "1.00 (1)"]]
