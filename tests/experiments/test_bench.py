"""The bench on a tiny recipe.

What is recorded, what is skipped, the search, equal time, and methods trained in stages.
"""

from itertools import count

import pytest
import torch

from traflow_lib.evaluation import records
from traflow_lib.experiments import bench, recipes, settings
from traflow_lib.experiments.experiment import Experiment
from traflow_lib.files import paths
from traflow_lib.files.checksums import file_sha256
from traflow_lib.pairs import PairCache, sample_noise
from traflow_lib.solvers import solve
from traflow_lib.teachers import VelocityField

pytest.importorskip("ot")
pytest.importorskip("torchdiffeq")

TINY = {
    "net": {"width": 8, "depth": 2},
    "teacher": {"train": {"steps": 3}},
    "pairs": {"n": 64},
    "evaluate": {"n": 64, "n_exact": 20, "reference": {"tol": 1e-2}, "nfe": [1, 2, 4], "teacher_nfe": [2]},
}
SPLIT = [{"objective": "reflow", "share": 0.75, "calls": 2}, {"objective": "distill", "share": 0.25}]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAFLOW_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("TRAFLOW_RESULTS", str(tmp_path / "results"))
    # measurements are told apart by their date, which counts whole seconds
    numbers, provenance = count(), records.provenance
    monkeypatch.setattr(records, "provenance", lambda: provenance() | {"date": next(numbers)})


def tiny(*methods, **change):
    recipe = recipes.merge(recipes.load("bench_2d", "smoke"), TINY)
    return Experiment(
        recipes.merge(recipe, {"methods": list(methods), "chosen": None, "timed": [], **change}), "8gaussians"
    )


def run(experiment, *which, **options):
    """Records by (method, sampler, nfe)."""
    found = bench.run(experiment, *which, **options)
    return {(r.method, r.sampler, r.nfe): r for r in found}


def written():
    """Each record of this machine with the moment of its measurement."""
    return {
        record.key: record.provenance["date"]
        for file in paths.results().rglob("*.jsonl")
        for record in records.read(file)
    }


def weights(jump):
    return torch.cat(
        [value.flatten() for name, value in jump.net.state_dict().items() if not name.startswith("s_")]
    )


def test_run_writes_one_record_a_method_sampler_and_number_of_calls():
    found = run(tiny("distill", "cd"))
    teacher = {key for key in found if key[0] == "teacher"}
    assert {key[1] for key in teacher} == {"euler", "dopri5"} and ("teacher", "euler", 2) in teacher
    assert {key for key in found if key[1] == "jumps"} == {("distill", "jumps", nfe) for nfe in (1, 2, 4)}
    # cd knows no s, so only fresh noise takes it further
    assert {key for key in found if key[1] == "renoised"} == {("cd", "renoised", nfe) for nfe in (1, 2, 4)}
    assert "paired_rmse" in found["cd", "renoised", 1].metrics
    assert "paired_rmse" not in found["cd", "renoised", 2].metrics  # another sample than its noise's
    assert not {"straightness", "self_consistency"} & found["cd", "renoised", 1].metrics.keys()
    assert len(written()) == len(found)


@pytest.mark.parametrize("reference", [{}, {"method": "heun", "steps": 4, "tol": None}])
def test_second_run_trains_and_measures_nothing_unless_asked(reference, said):
    change = {"evaluate": {"reference": reference}}
    first = run(tiny("distill", **change))
    times = written()
    trained = [line for line in said if "training" in line]
    second = run(tiny("distill", **change))
    assert (
        written() == times
        and [line for line in said if "training" in line] == trained
        and {key: r.metrics for key, r in first.items()} == {key: r.metrics for key, r in second.items()}
    )
    third = run(tiny("distill", **change), again=True)
    assert (
        all(time > times[name] for name, time in written().items())
        and [line for line in said if "training" in line] == trained
    )  # measured anew, from the networks that exist
    assert {key: r.metrics for key, r in third.items()} == {key: r.metrics for key, r in first.items()}


def test_changed_option_measures_its_method_again_and_no_other(said):
    run(tiny("distill", "lmd"))
    times = written()
    said.clear()
    run(tiny("distill", "lmd", students={"distill": {"options": {"distance": "pseudo_huber"}}}))
    assert {name for name, time in written().items() if time != times[name]} == {
        f"8gaussians distill jumps-{nfe} seeds 0" for nfe in (1, 2, 4)
    }
    trained = [line for line in said if "training" in line]
    assert trained == ["8gaussians: training distill-seed0 for 8 steps"]


def test_only_some_methods_and_never_an_unknown_one():
    assert {key[0] for key in run(tiny("distill", "lmd"), ["lmd"])} == {"lmd"}
    with pytest.raises(ValueError, match="unknown method 'nope'"):
        run(tiny("distill"), ["nope"])


def test_the_teacher_alone_may_be_asked_for(said):
    found = run(tiny("distill"), ["teacher"])
    assert (
        {key[0] for key in found} == {"teacher"}
        and ("teacher", "euler", 2) in found
        and any(line.endswith("teacher done") for line in said)
    )


def test_progressive_is_measured_with_the_network_of_each_round():
    experiment = tiny("progressive", evaluate={"nfe": [1, 2, 4, 8]})
    found = run(experiment, ["progressive"])
    by_calls = {nfe: found["progressive", "jumps", nfe] for nfe in (1, 2, 4, 8)}
    assert {nfe: r.training["steps"] for nfe, r in by_calls.items()} == {8: 2, 4: 4, 2: 6, 1: 8}
    for number, nfe in enumerate((8, 4, 2, 1)):
        (file,) = paths.runs().glob(f"*-progressive-seed0-stage{number}-*/model.safetensors")
        assert by_calls[nfe].checkpoint_sha256 == [file_sha256(file)]
    assert len({r.checkpoint_sha256[0] for r in by_calls.values()}) == 4


def test_equal_time_gives_steps_in_proportion_to_the_cost_of_a_step():
    cost = {
        "step_cost": {"distill": 1.0, "lmd": 2.0, "reflow_distill": 0.5},
        "time_of": "lmd",
        "timed": ["distill", "lmd", "reflow_distill"],
    }
    experiment = tiny("distill", "lmd", "reflow_distill", **cost)
    assert bench.methods(experiment.recipe) == [
        "distill",
        "lmd",
        "reflow_distill",
        "distill@time",
        "lmd@time",
        "reflow_distill@time",
    ]
    assert bench.methods(tiny("distill").recipe) == ["distill"]
    found = run(experiment, ["distill@time", "lmd@time", "reflow_distill@time"])
    assert {name: found[f"{name}@time", "jumps", 1].training["steps"] for name in cost["step_cost"]} == {
        "distill": 16,
        "lmd": 8,
        "reflow_distill": 32,
    }
    with pytest.raises(ValueError, match="unknown method 'distill@tide'"):
        experiment.student("distill@tide")
    with pytest.raises(ValueError, match="time"):  # this recipe does not say what steps cost
        tiny("distill", step_cost=None).student("distill@time")


def test_cost_of_a_step_is_recorded_for_every_method():
    relative = bench.step_costs(tiny("distill", "progressive"), repeats=3)
    found = {r.method: r for file in paths.results().rglob("*.jsonl") for r in records.read(file)}
    assert set(found) == set(relative) == {"distill", "progressive"} and min(relative.values()) == 1
    for record in found.values():
        assert (
            record.sampler == "training"
            and record.nfe == 0
            and len(record.seeds) == 3
            and min(record.metrics["ms_per_step"]) > 0
        )


def test_later_stage_starts_from_the_weights_of_the_one_before():
    experiment = tiny(students={"two": {"stages": [SPLIT[0], SPLIT[1] | {"train": {"lr": 0.0}}]}})
    first, last = experiment.student("two", 0, calls=2), experiment.student("two", 0)
    teacher = weights(VelocityField(experiment.teacher().net))
    assert torch.equal(weights(first), weights(last)) and not torch.equal(weights(first), teacher)
    assert experiment.model("two").header["training"]["steps"] == 8
    assert experiment.training("two")["steps"] == 8 and not experiment.training("two", seed=5)
    other = tiny(students={"two": {"stages": SPLIT}})
    assert not torch.equal(weights(first), weights(other.student("two", 0)))


def test_shares_divide_the_steps_and_an_earlier_stages_settings_decide_the_later_one():
    parts = [
        tiny(students={"two": {"stages": [SPLIT[0] | {"train": {"lr": lr}}, SPLIT[1]]}}).student_settings(
            "two", 0
        )
        for lr in (1e-3, 2e-3)
    ]
    assert [stage["train"]["steps"] for stage in parts[0]] == [6, 2] and [
        stage["objective"]["kind"] for stage in parts[0]
    ] == ["Reflow", "Distill"]
    assert settings.identity(parts[0][1]) != settings.identity(parts[1][1])


@pytest.mark.parametrize("new", [True, False])
def test_new_pairs_are_those_of_the_previous_stages_flow(new):
    again = {"objective": "reflow", "share": 0.25, "new_pairs": new, "train": {"lr": 1e-2}}
    experiment = tiny(students={"twice": {"stages": [SPLIT[0], again]}})
    first = experiment.student("twice", 0, calls=2)
    experiment.student("twice", 0)
    flows = {"teacher": experiment.teacher(), "first stage": VelocityField(first.net)}
    ends = {
        name: solve(flow, sample_noise(1, 0, 64, (2,)), method="rk4", steps=8).x
        for name, flow in flows.items()
    }
    made = [PairCache.load(file).x0 for file in paths.runs().glob("*-pairs-*.safetensors")]
    origins = sorted(
        name for name, x in ends.items() for pairs in made if torch.allclose(pairs, x, atol=1e-5)
    )
    assert len(made) == len(origins) and origins == (["first stage", "teacher"] if new else ["teacher"])
    assert not torch.allclose(ends["teacher"], ends["first stage"], atol=1e-3)
