"""FID of a recipe's teacher and students, with a stand-in for Inception's weights."""

import pytest

from traflow_lib.evaluation import records
from traflow_lib.experiments import evaluate, recipes
from traflow_lib.experiments.evaluate import fid, fid_settings
from traflow_lib.experiments.experiment import Experiment
from traflow_lib.files import paths


@pytest.fixture
def experiment(tmp_path, monkeypatch):
    for name in ("RUNS", "RESULTS"):
        monkeypatch.setenv(f"TRAFLOW_{name}", str(tmp_path / name.lower()))
    recipe = recipes.merge(
        recipes.load("cifar10", "smoke"),
        {"fid": {"n": 24, "n_reference": 40, "split": "train", "metrics": ["fid", "is"]}},
    )
    return Experiment(recipes.merge(recipe, {"evaluate": {"nfe": [1, 2]}}))


@pytest.mark.slow  # clean-fid's resizing and the stand-in Inception take most of a minute
def test_teacher_and_students_under_one_protocol(experiment, stand_in, said):
    pytest.importorskip("cleanfid")
    found = fid(experiment, ["teacher", "distill"])
    assert [(record.method, record.sampler) for record in found] == [
        ("teacher", "dopri5"),
        ("distill", "jumps"),
        ("distill", "jumps"),
    ]
    assert [record.nfe for record in found[1:]] == [1, 2] and found[0].nfe > 2
    for record in found:
        assert (
            set(record.metrics) == {"fid-clean", "is-clean"} and record.profile == "smoke" and record.stand_in
        )
        assert (record.n_generated, record.n_reference) == (24, 40)
    assert len(records.load(paths.results() / "records" / "smoke")) == 6
    said.clear()
    again = fid(experiment, ["teacher", "distill"])
    assert [record.metrics for record in again] == [record.metrics for record in found] and any(
        "from the cache" in line for line in said
    )


def test_without_weights_or_a_fid_block_it_says_so_and_goes_on(experiment, monkeypatch, tmp_path, said):
    monkeypatch.setenv("TRAFLOW_INCEPTION", str(tmp_path))
    assert fid(experiment) == [] and said[0].startswith("not run: FID. TRAFLOW_INCEPTION is")
    del experiment.recipe["fid"]
    assert fid(experiment) == [] and "another ruler" in said[-1]


def test_students_outside_the_contest_are_measured_as_the_ablation_block_says():
    recipe = {
        "methods": ["traflow"],
        "fid": {"n": 50000, "split": "train", "metrics": ["fid"]},
        "ablation": {"n": 6000, "metrics": ["fid", "sfid"]},
    }
    assert fid_settings(recipe, "traflow-5000") == {"n": 6000, "split": "train", "metrics": ["fid", "sfid"]}
    assert fid_settings(recipe, "traflow") == fid_settings(recipe, "teacher") == recipe["fid"]
    del recipe["ablation"]
    assert fid_settings(recipe, "traflow-5000") == recipe["fid"]


def test_each_number_of_calls_is_measured_with_the_network_that_was_trained_for_it(experiment, monkeypatch):
    """Progressive distillation has one for each; of other methods one file answers for all."""
    monkeypatch.setattr(evaluate.inception, "weights", lambda name: None)
    asked = []
    monkeypatch.setattr(
        evaluate, "evaluate", lambda file, data, how, **named: asked.append((file, how.nfe)) or []
    )
    rounds = [{"options": {"steps": n}, "calls": n, "share": 0.5} for n in (2, 1)]
    progressive = {"objective": "progressive", "stages": rounds}
    change = {"students": {"progressive": progressive}, "methods": ["progressive", "distill"]}
    recipe = recipes.merge(experiment.recipe, change)
    fid(Experiment(recipe), ["progressive", "distill"])
    (first, one), (second, two), (both, one_and_two) = asked
    assert [one, two, one_and_two] == [[1], [2], [1, 2]] and len({first, second, both}) == 3
