"""The shipped recipes, shrunken to their smoke profile, from nothing to records.

And what loads instead of training again.
"""

import json

import pytest
import torch

from traflow_lib import objectives
from traflow_lib.evaluation import records
from traflow_lib.experiments import bench, recipes, settings
from traflow_lib.experiments.experiment import Experiment
from traflow_lib.files import paths
from traflow_lib.pairs import sample_noise


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAFLOW_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("TRAFLOW_RESULTS", str(tmp_path / "results"))


def smoke(name="04_traflow_2d", dataset="8gaussians", **change):
    return Experiment(recipes.merge(recipes.load(name, "smoke"), change), dataset)


@pytest.mark.parametrize(
    "name, dataset, metrics",
    [
        ("04_traflow_2d", "checkerboard", {"paired_rmse", "sliced_w2", "off_support", "w2", "mmd"}),
        ("06_digits", "digits", {"paired_rmse", "fd-digits-cnn"}),
    ],
)
def test_recipe_runs_from_nothing_to_records_and_then_only_loads(name, dataset, metrics, said):
    pytest.importorskip("ot")
    pytest.importorskip("torchdiffeq")
    first = bench.run(smoke(name, dataset))
    assert (
        sum("training teacher" in line for line in said) == 1 and sum("pairs" in line for line in said) == 1
    )
    said.clear()
    second = bench.run(smoke(name, dataset), again=True)
    assert not [line for line in said if "training" in line or "solving" in line]
    assert [r.metrics for r in first] == [r.metrics for r in second]
    for record in first:
        lines = map(json.loads, (paths.results() / "records" / record.file).read_text().splitlines())
        saved = next(
            line
            for line in lines
            if (line["method"], line["sampler"], line["nfe"]) == (record.method, record.sampler, record.nfe)
        )
        assert (
            saved["provenance"]["git_commit"]
            and saved["hash"]
            and saved["dataset"] == dataset
            and saved["profile"] == "smoke"
        )
        if record.method != "real data":
            assert metrics <= set(saved["metrics"])
            assert (
                saved["parameters"] > 0
                and saved["macs"] > 0
                and saved["training"]["steps"] > 0
                and len(saved["checkpoint_sha256"]) == 1
            )
    jumps = {(r.method, r.nfe) for r in first if r.sampler == "jumps"}
    recipe = recipes.load(name, "smoke")
    sweep = {(method, 1) for method in recipe.get("sweep", [])}
    assert (
        jumps == {(method, nfe) for method in recipe["methods"] for nfe in recipe["evaluate"]["nfe"]} | sweep
    )
    assert len(records.load(paths.results() / "records")) == sum(len(r.metrics) for r in first)


def test_variants_of_the_sweep_are_measured_at_one_call_with_the_first_seed():
    experiment = smoke(
        students={"short": {"objective": "distill", "train": {"steps": 2}}}, sweep=["short"], seeds=[3, 4]
    )
    (record,) = bench.run(experiment, ["short"])
    assert (record.nfe, record.seeds, record.training["steps"]) == (1, [3], 2)


def test_loaded_student_is_the_trained_one_to_the_last_bit():
    noise = sample_noise(0, 0, 20, (2,))
    trained, loaded = (smoke().student("traflow").sample(noise, 2) for _ in range(2))
    assert torch.equal(trained, loaded)


def test_seeds_and_methods_are_other_models():
    experiment, noise = smoke(), sample_noise(0, 0, 20, (2,))
    outputs = [
        experiment.student(*which).sample(noise) for which in (("traflow", 0), ("traflow", 1), ("distill", 0))
    ]
    assert len({tuple(x.flatten().tolist()) for x in outputs}) == 3


def test_training_a_student_again_elsewhere_gives_the_same_student(tmp_path, monkeypatch):
    noise = sample_noise(0, 0, 20, (2,))
    here = smoke().student("traflow").sample(noise)
    monkeypatch.setenv("TRAFLOW_RUNS", str(tmp_path / "elsewhere"))
    assert torch.equal(here, smoke().student("traflow").sample(noise))


@pytest.mark.parametrize(
    "change", [{"net": {"width": 64}}, {"teacher": {"seed": 1}}, {"pairs": {"steps": 5}}], ids=str
)
def test_settings_that_decide_the_pairs_are_in_their_fingerprint(change):
    assert settings.identity(smoke().pair_settings()) != settings.identity(smoke(**change).pair_settings())


def test_unknown_method_lists_what_exists():
    with pytest.raises(
        ValueError, match="unknown method 'ctm' in recipe 04_traflow_2d; there are traflow, .*distill"
    ):
        smoke().student("ctm")


def test_closed_form_teacher_needs_no_training(said):
    experiment = smoke(teacher={"kind": "exact"})
    assert experiment.teacher() is experiment.toy.flow and not said
    assert experiment.student("traflow").sample(sample_noise(0, 0, 5, (2,))).isfinite().all()


def test_data_set_without_a_closed_form_says_which_has_one():
    with pytest.raises(ValueError, match="checkerboard has no closed-form flow; 8gaussians has"):
        smoke(dataset="checkerboard", teacher={"kind": "exact"}).teacher()


def test_online_pairs_are_solved_at_every_step_and_never_kept(said):
    jump = smoke(pairs={"online": True}).student("traflow_path")
    assert jump.sample(sample_noise(0, 0, 5, (2,))).isfinite().all()
    assert not [line for line in said if "solving" in line] and not list(paths.runs().glob("*pairs*"))


def test_pairs_are_read_once_for_all_students():
    experiment = smoke()
    assert experiment.pairs() is experiment.pairs()


def test_fewer_pairs_make_another_student():
    experiment, noise = (
        smoke(students={"few": {"objective": "traflow", "n_pairs": 4}, "all": {"objective": "traflow"}}),
        sample_noise(0, 0, 5, (2,)),
    )
    assert not torch.equal(experiment.student("few").sample(noise), experiment.student("all").sample(noise))


@pytest.mark.parametrize("name", recipes.names())
def test_recipe_without_a_chosen_data_set_takes_its_first(name):
    recipe = recipes.load(name, "smoke")
    assert Experiment(recipe).dataset == (recipe.get("datasets") or [recipe["dataset"]])[0]


@pytest.mark.parametrize("objective", objectives.names())
def test_every_objective_trains_from_a_recipe(objective):
    jump = smoke(students={"one": {"objective": objective}}, student={"train": {"steps": 2}}).student("one")
    assert jump.sample(sample_noise(0, 0, 5, (2,)), 2).isfinite().all()


def test_a_teacher_in_closed_form_is_no_network():
    experiment = Experiment(recipes.load("00_quickstart", "smoke"))
    assert experiment.is_exact and experiment.training("teacher") == {}
    with pytest.raises(ValueError, match="8gaussians is a closed form: there is no network of it"):
        experiment.model("teacher")
