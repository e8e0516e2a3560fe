"""The search: same trials for all, bracketed optima, resumed as if nothing had happened."""

import json
import math

import pytest
import torch

from traflow_lib.experiments import recipes, search
from traflow_lib.experiments.experiment import Experiment
from traflow_lib.files import paths
from traflow_lib.files.checks import finite

LR = {"low": 1e-3, "high": 1e-2, "log": True}
SHARE = {"low": 0.0, "high": 1.0, "least": 0.0, "most": 1.0}
BLOCK = {
    "trials": 12,
    "finalists": 2,
    "calls": {"cd": [1]},
    "shared": {"lr": LR, "distance": ["l2", "pseudo_huber"]},
    "knobs": {
        "cd": {"ends": SHARE},
        "lmd": {"times": ["two", "three"]},
        "ctm": {"target_average": [0.9, 0.999]},
    },
}


def experiment(**change):
    recipe = recipes.load("bench_2d", "smoke") | {"search": BLOCK | change, "chosen": None, "seeds": [5, 6]}
    return Experiment(recipe | {"methods": ["cd", "lmd"]}, "8gaussians")


@pytest.fixture
def landscape(monkeypatch, tmp_path):
    """Made-up errors, smallest at lr = .05 (outside the range), pseudo-Huber and the largest `ends`."""
    monkeypatch.setenv("TRAFLOW_RESULTS", str(tmp_path / "results"))

    def errors(measure, method, name, seed):
        _, settings, _ = recipes.parse(name)
        far = abs(math.log(settings["lr"] / 0.05)) + (settings["distance"] == "l2")
        far += 1 - settings.get("ends", 1)
        return {"1": math.exp(far - 3 + 0.01 * seed)}

    monkeypatch.setattr(search, "_errors", errors)
    return tmp_path / "results" / "trials" / "bench_2d.jsonl"


def lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_every_method_gets_the_trials_and_the_best_get_every_seed(landscape):
    search.run(experiment(shared={"lr": LR | {"most": 1e-2}, "distance": ["l2", "pseudo_huber"]}))
    for method in ("cd", "lmd"):
        own = [line for line in lines(landscape) if line["method"] == method]
        assert [line["seed"] for line in own] == [5] * 12 + [6] * 2
        assert all(any(line["settings"] == one["settings"] for one in own[:12]) for line in own[12:])


def test_what_the_recipe_says_is_tried_first(landscape):
    search.run(experiment(), ["lmd"])
    assert lines(landscape)[0]["settings"] == {"lr": 3e-3, "distance": "l2", "times": "two"}


def test_an_optimum_at_an_edge_widens_the_range_until_it_is_bracketed(landscape):
    best = search.run(experiment(), ["cd"])["cd"]
    tried = [line["settings"]["lr"] for line in lines(landscape)]
    assert max(tried[:12]) <= 1e-2 < 0.02 < best["lr"] < 1 and max(tried) > 0.05
    assert best["distance"] == "pseudo_huber" and best["ends"] > 0.8


def test_what_is_listed_is_tried_as_it_stands(landscape):
    one = experiment()
    one.recipe["methods"] = ["ctm"]
    search.run(one)
    assert {line["settings"]["target_average"] for line in lines(landscape)} == {0.9, 0.999}


def test_a_natural_bound_is_never_widened():
    assert search.edges({"ends": SHARE, "lr": LR}, {"ends": 1.0, "lr": 1e-2}) == {"lr": "high"}
    assert search.edges({"lr": LR}, {"lr": 1.1e-3}) == {"lr": "low"}
    assert search.edges({"ends": SHARE | {"low": 0.5}}, {"ends": 0.5}) == {"ends": "low"}


@pytest.mark.parametrize("after", [1, 9, 13])
def test_an_interrupted_search_ends_as_a_whole_one(landscape, after):
    whole = search.run(experiment(), ["cd"])
    content = landscape.read_text().splitlines(keepends=True)
    landscape.write_text("".join(content[:after]))
    assert search.run(experiment(), ["cd"]) == whole
    assert landscape.read_text() == "".join(content)


def test_trials_of_other_settings_do_not_count(landscape):
    search.run(experiment(), ["cd"])
    other = experiment()
    other.recipe["student"]["train"]["steps"] += 1
    assert search.tried(other, "cd") == [] and search.tried(experiment(), "cd")


def test_a_student_is_trained_measured_and_found_again_and_a_diverged_one_is_said_to_be(said):
    one = experiment(trials=2, finalists=1)
    search.run(one, ["cd"])
    trials = search.tried(one, "cd")
    assert [sorted(trial.errors) for trial in trials] == [["1"]] * 3 and trials[0].score < search.DIVERGED
    lost = search._trial(search.Measure(one), "lmd", {"lr": 1e30, "distance": "l2", "times": "two"}, 5)
    assert (
        lost.errors == {}
        and lost.score == search.DIVERGED
        and any("NaN" in line or "nan" in line for line in said)
    )


def test_a_student_whose_samples_are_no_numbers_diverged_and_the_search_goes_on(monkeypatch, tmp_path, said):
    monkeypatch.setenv("TRAFLOW_RESULTS", str(tmp_path))
    monkeypatch.setattr(search.Measure, "sample", lambda *_: finite(torch.full((4, 2), math.nan)))
    search.run(one := experiment(trials=2, finalists=1), ["cd"])
    assert [trial.errors for trial in search.tried(one, "cd")] == [{}] * 3
    assert any("4 of 4 samples are NaN" in line for line in said)


def test_settings_tried_twice_are_one_finalist(landscape):
    narrow = {
        "shared": {
            "lr": LR | {"low": 9.8e-3, "least": 9.8e-3, "most": 1e-2},
            "distance": ["l2", "pseudo_huber"],
        }
    }
    search.run(experiment(trials=20, finalists=3, **narrow), ["lmd"])
    own = lines(landscape)
    assert len({json.dumps(line["settings"]) for line in own if line["seed"] == 5}) < 20
    assert len({json.dumps(line["settings"]) for line in own if line["seed"] == 6}) == len(own) - 20 == 3


def test_unknown_methods_are_named():
    with pytest.raises(ValueError, match="unknown method 'nope'; there are cd, lmd"):
        search.run(experiment(), ["nope"])


COMMITTED = sorted(
    {line["method"] for file in paths.committed("trials").glob("*.jsonl") for line in lines(file)}
)


@pytest.mark.parametrize("method", COMMITTED)
def test_what_the_bench_chose_is_the_winner_of_the_committed_search_and_bracketed(method):
    contest = Experiment(recipes.load("bench_2d", "search"))
    trials = search.tried(contest, method)
    block = contest.recipe["search"]
    assert search.proposed(contest.recipe, method, trials) is None
    assert len(trials) >= block["trials"] + block["finalists"] * (len(contest.recipe["seeds"]) - 1)
    assert recipes.load("bench_2d", "hour")["chosen"][method] == search.winner(contest.recipe, trials)
