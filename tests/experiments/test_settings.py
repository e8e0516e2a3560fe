"""Fingerprints are of resolved settings.

What decides a result is in them, what does not is not, and old ones are not lost.
"""

import dataclasses

import pytest
import yaml

from traflow_lib import nets, objectives
from traflow_lib.evaluation import records
from traflow_lib.experiments import recipes, settings
from traflow_lib.experiments.experiment import Experiment
from traflow_lib.files import checksums, paths
from traflow_lib.objectives import registry
from traflow_lib.reports import evidence
from traflow_lib.teachers import save_network
from traflow_lib.training.config import TrainConfig

CHECKPOINTS = sorted(paths.committed("checkpoints").glob("*.safetensors"))
RECORDS = sorted(paths.committed("records").glob("*/*.jsonl"))


def student(
    method="traflow", seed=0, recipe="04_traflow_2d", profile="laptop", dataset="8gaussians", **change
):
    return settings.student(recipes.merge(recipes.load(recipe, profile), change), dataset, method, seed)


def fingerprint(**change):
    return settings.identity(student(**change))


WRITTEN_OUT = {
    "clip": {"student": {"train": {"clip": 1.0}}},
    "clip as an integer": {"student": {"train": {"clip": 1}}},
    "one average": {"student": {"train": {"ema": [0.999]}}},
    "weight": {"students": {"traflow": {"options": {"velocity": 1.0}}}},
    "distance": {"students": {"traflow": {"options": {"distance": "pseudo_huber"}}}},
    "network": {"net": {"frequencies": 4}},
    "start": {"students": {"traflow": {"start": "teacher"}}},
    "pairs": {"pairs": {"online": False}},
    "data": {"data": {"split": "all", "flip": False}},
    "teacher": {"teacher": {"train": {"optimizer": "adam"}}},
}


@pytest.mark.parametrize("change", WRITTEN_OUT.values(), ids=WRITTEN_OUT)
def test_writing_a_default_out_changes_no_fingerprint(change):
    assert fingerprint() == fingerprint(**change)


NEUTRAL = {
    "micro_batch": 4,
    "watch_every": 5,
    "log_every": 7,
    "save_every": 9,
    "keep": 1,
    "precision": "bf16",
    "channels_last": True,
    "compile": True,
    "tensorboard": True,
}


@pytest.mark.parametrize("name, value", NEUTRAL.items(), ids=NEUTRAL)
def test_what_cannot_change_a_result_changes_no_fingerprint(name, value):
    assert (
        fingerprint()
        == fingerprint(student={"train": {name: value}})
        == fingerprint(teacher={"train": {name: value}}, precision="bf16")
    )


def test_every_other_training_option_changes_it():
    others = {
        "steps": 7,
        "batch": 3,
        "lr": 0.1,
        "optimizer": "adamw",
        "weight_decay": 0.1,
        "warmup": 3,
        "schedule": "constant",
        "clip": 2.0,
        "ema": 0.9,
    }
    assert (
        set(others) | set(NEUTRAL) == {field.name for field in dataclasses.fields(TrainConfig)}
        and set(NEUTRAL) <= settings.NEUTRAL
    )
    found = {
        fingerprint(),
        *(fingerprint(student={"train": {name: value}}) for name, value in others.items()),
    }
    assert len(found) == len(others) + 1


DECISIVE = [
    {"net": {"width": 64}},
    {"teacher": {"seed": 1}},
    {"pairs": {"steps": 5}},
    {"pairs": {"n": 5}},
    {"pairs": {"online": True}},
    {"data": {"flip": True}},
    {"students": {"traflow": {"options": {"on_policy": 0.5}}}},
    {"students": {"traflow": {"n_pairs": 5}}},
    {"seed": 3},
    {"dataset": "checkerboard"},
]


@pytest.mark.parametrize("change", DECISIVE, ids=str)
def test_what_decides_a_student_changes_its_fingerprint(change):
    assert fingerprint() != fingerprint(**change)


@pytest.mark.parametrize("preset", objectives.names())
def test_changing_a_presets_default_changes_the_fingerprints_of_its_students_and_of_no_others(
    preset, monkeypatch
):
    recipe = {
        "students": {
            "one": {"objective": preset},
            "other": {"objective": "distill" if preset == "reflow" else "reflow"},
        }
    }
    before = [fingerprint(method=method, **recipe) for method in recipe["students"]]
    kind, options = registry._METHODS[preset]
    other = {"distance": "l2" if objectives.get(preset).distance == "cauchy" else "cauchy"}
    monkeypatch.setitem(registry._METHODS, preset, (kind, options | other))
    after = [fingerprint(method=method, **recipe) for method in recipe["students"]]
    assert after[0] != before[0] and after[1] == before[1]


def test_a_default_of_the_training_or_of_a_network_is_part_of_the_fingerprint(monkeypatch):
    before = fingerprint()
    monkeypatch.setattr(nets.MLP.__init__, "__defaults__", (2, 128, 4, 5, False))
    settings._arguments.cache_clear()
    assert fingerprint() != before
    monkeypatch.undo()
    settings._arguments.cache_clear()
    assert fingerprint() == before


def test_an_objective_is_built_again_from_its_description():
    for name in objectives.names():
        objective = objectives.get(name)
        assert objectives.build(objectives.described(objective)) == objective


def test_fingerprint_ignores_the_order_of_keys_and_sees_every_value():
    one = {"a": {"x": 1, "y": 2}, "b": 3}
    assert (
        checksums.fingerprint(one) == checksums.fingerprint({"b": 3, "a": {"y": 2, "x": 1}})
        and len(checksums.fingerprint(one)) == 10
    )
    assert checksums.fingerprint(one) != checksums.fingerprint({"a": {"x": 1, "y": 2.5}, "b": 3})


def of_today():
    """Fingerprints of every model that a recipe of today makes, by data set and role."""
    found = {}
    for name in recipes.names():
        for profile in yaml.safe_load((recipes.FOLDER / f"{name}.yaml").read_text())["profiles"]:
            recipe = recipes.load(name, profile)
            if recipe["teacher"].get("kind") == "checkpoint":
                continue
            for dataset in recipe.get("datasets") or [recipe["dataset"]]:
                found[f"{dataset}-teacher-{settings.identity(settings.teacher(recipe, dataset))}"] = (
                    name,
                    profile,
                )
                if "classifier" in recipe:
                    found[
                        f"{dataset}-classifier-{settings.identity(settings.classifier(recipe, dataset))}"
                    ] = (name, profile)
                for method in recipe.get("methods", []):
                    for seed in recipe["seeds"]:
                        for stage in settings.student(recipe, dataset, method, seed):
                            found[f"{dataset}-{method}-seed{seed}-{settings.identity(stage)}"] = (
                                name,
                                profile,
                            )
    return found


def test_every_committed_checkpoint_belongs_to_a_recipe_of_today():
    today = of_today()
    assert len(CHECKPOINTS) >= 14 and not [file.name for file in CHECKPOINTS if file.stem not in today]


@pytest.mark.parametrize("file", RECORDS, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_every_committed_record_counts_and_comes_from_a_clean_commit(file):
    found = records.read(file)
    assert found and not [(record.key, evidence.stale(record)) for record in found if evidence.stale(record)]
    unclean = [
        record.key
        for record in found
        if record.provenance["git_dirty"] is not False or len(record.provenance["git_commit"]) != 40
    ]
    assert not unclean


def test_every_earlier_fingerprint_leads_to_a_committed_checkpoint_or_record():
    known = {file.stem.rpartition("-")[2] for file in CHECKPOINTS} | {
        record.hash for file in RECORDS for record in records.read(file)
    }
    lost = {old: new for old, new in settings.renamed().items() if new not in known}
    assert settings.renamed() and not lost


def test_a_model_of_this_machine_from_before_fingerprints_changed_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAFLOW_RUNS", str(tmp_path))
    (own,) = student()
    monkeypatch.setattr(settings, "renamed", lambda: {"0123456789": settings.identity(own)})
    facts = {"s_input": True, "training": {"steps": 1, "seconds": 0.0}}
    save_network(
        tmp_path / "8gaussians-traflow-seed0-0123456789" / "model.safetensors",
        nets.build(own["net"], s_input=True),
        own["net"],
        **facts,
    )
    experiment = Experiment(recipes.load("04_traflow_2d", "laptop"), "8gaussians")
    experiment.student("traflow")
    assert experiment.model("traflow").file.parent.name == "8gaussians-traflow-seed0-0123456789"
