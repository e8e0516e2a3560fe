"""Recipes: every shipped setting is one that the library takes, so a mistyped option cannot hide until the
GPU run.
"""

import pytest
import yaml

from traflow_lib import objectives
from traflow_lib.experiments import bench, recipes, search
from traflow_lib.experiments.recipes import with_choice
from traflow_lib.training.config import TrainConfig


def profiles(name):
    return list(yaml.safe_load((recipes.FOLDER / f"{name}.yaml").read_text())["profiles"])


ALL = [(name, profile) for name in recipes.names() for profile in profiles(name)]


def train_blocks(block, where=""):
    """Every `train` block of nested settings with where it stands."""
    for key, value in block.items():
        if isinstance(value, dict):
            if key == "train":
                yield f"{where}.{key}", value
            yield from train_blocks(value, f"{where}.{key}")


def students(recipe):
    """Each method's settings, over the shared ones, with those that the search chose."""
    chosen = recipe.get("chosen") or {}
    return {
        name: with_choice(recipes.merge(recipe["student"], change or {}), chosen.get(name, {}))
        for name, change in recipe.get("students", {}).items()
    }


def stages(recipe):
    """Each method's settings stage by stage, over the shared ones."""
    return {
        method: recipes.stages(student)
        for method, student in (students(recipe) if "student" in recipe else {}).items()
    }


def test_there_are_recipes():
    assert {"04_traflow_2d", "05_ablations", "06_digits", "bench_2d", "bench_digits"} <= set(recipes.names())


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_has_a_smoke_and_a_laptop_profile(name):
    assert {"smoke", "laptop"} <= set(profiles(name))


@pytest.mark.parametrize("name, profile", ALL)
def test_every_profile_loads_and_says_what_it_is(name, profile):
    recipe = recipes.load(name, profile)
    assert recipe["recipe"] == name and recipe["profile"] == profile and "profiles" not in recipe


@pytest.mark.parametrize("name, profile", ALL)
def test_every_train_block_is_accepted(name, profile):
    recipe = recipes.load(name, profile)
    shared = {key: value for key, value in recipe.items() if key != "students"}
    blocks = dict(train_blocks(shared)) | dict(train_blocks(students(recipe) if "student" in recipe else {}))
    assert blocks
    for where, block in blocks.items():
        assert TrainConfig.of(block).steps > 0, where


@pytest.mark.parametrize("name, profile", ALL)
def test_every_students_objective_can_be_built(name, profile):
    for method, parts in stages(recipes.load(name, profile)).items():
        for stage in parts:
            assert objectives.get(stage["objective"], **stage.get("options", {})), method


@pytest.mark.parametrize("name, profile", ALL)
def test_students_have_no_setting_that_nothing_reads(name, profile):
    recipe = recipes.load(name, profile)
    read = {"objective", "options", "train", "net", "n_pairs", "start"}
    for method, student in (students(recipe) if "student" in recipe else {}).items():
        assert set(student) <= read | {"stages"}, method
        for stage in student.get("stages", []):
            assert set(stage) <= read | {"share", "calls", "new_pairs"} and "share" in stage, method


@pytest.mark.parametrize("name, profile", ALL)
def test_stages_share_all_steps_of_their_method(name, profile):
    recipe = recipes.load(name, profile)
    for method, parts in stages(recipe).items():
        missing = students(recipe)[method]["train"]["steps"] - sum(stage["train"]["steps"] for stage in parts)
        assert abs(missing) < len(parts), method  # rounding
        assert all(TrainConfig.of(stage["train"]).steps > 0 for stage in parts), method


@pytest.mark.parametrize("name, profile", ALL)
def test_networks_of_progressive_distillation_halve_their_steps_and_fit_the_stored_paths(name, profile):
    recipe = recipes.load(name, profile)
    for parts in stages(recipe).values():
        if all(stage["objective"] == "progressive" for stage in parts):
            rounds = [stage["options"]["steps"] for stage in parts]
            assert rounds == [stage["calls"] for stage in parts] and all(
                a == 2 * b for a, b in zip(rounds, rounds[1:])
            )
            assert all(recipe["pairs"]["steps"] % steps == 0 for steps in rounds)


SEARCHED = [(name, profile) for name, profile in ALL if "search" in recipes.load(name, profile)]


@pytest.mark.parametrize("name", sorted({name for name, _ in SEARCHED}))
def test_search_offers_every_method_what_it_has_and_what_its_own_preset_says(name):
    recipe = recipes.load(name, "search")
    block, parts = recipe["search"], stages(recipe)
    assert set(block["knobs"]) | set(block["calls"]) <= set(recipe["methods"])
    for method in recipe["methods"]:
        offered, own = (
            search.space(recipe, method),
            search._defaults(recipe, method, search.space(recipe, method)),
        )
        assert list(offered)[:2] == ["lr", "distance"]
        for key, span in offered.items():
            known = [objectives.get(stage["objective"]).__dataclass_fields__ for stage in parts[method]]
            assert key == "lr" or any(key in fields for fields in known), (method, key)
            inside = span["low"] <= own[key] <= span["high"] if isinstance(span, dict) else own[key] in span
            assert inside, (method, key, own[key])  # the published default is the first trial


@pytest.mark.parametrize("name, profile", SEARCHED)
def test_chosen_settings_reach_the_stages_that_have_them(name, profile):
    recipe = recipes.load(name, profile)
    for method, choice in (recipe.get("chosen") or {}).items():
        for stage in stages(recipe)[method]:
            objective = objectives.get(stage["objective"], **stage["options"])
            assert stage["train"]["lr"] == choice["lr"]
            known = {key: value for key, value in choice.items() if key in objective.__dataclass_fields__}
            assert all(getattr(objective, key) == value for key, value in known.items()), method
        assert len(choice) > 1


def test_chosen_options_go_to_the_stages_that_have_them():
    student = {
        "train": {"lr": 1.0, "steps": 2},
        "stages": [{"objective": "reflow", "options": {"anneal": 0.5}}, {"objective": "distill"}],
    }
    choice = with_choice(student, {"lr": 2.0, "distance": "cauchy", "ends": 0.25})
    assert choice["train"] == {"lr": 2.0, "steps": 2}
    assert [stage["options"] for stage in choice["stages"]] == [
        {"anneal": 0.5, "distance": "cauchy", "ends": 0.25},
        {"distance": "cauchy"},
    ]
    assert student["train"]["lr"] == 1.0 and student["stages"][1] == {"objective": "distill"}


@pytest.mark.parametrize("name", sorted({name for name, _ in SEARCHED}))
def test_search_looks_at_other_seeds_and_noise_than_the_bench(name):
    bench_, search = recipes.load(name, "hour"), recipes.load(name, "search")
    assert (
        not set(bench_["seeds"]) & set(search["seeds"])
        and bench_["evaluate"]["seed"] != search["evaluate"]["seed"]
    )
    assert (
        bench_["pairs"] == search["pairs"]
        and bench_["teacher"] == search["teacher"]
        and bench_["net"] == search["net"]
    )


@pytest.mark.parametrize("name, profile", ALL)
def test_timed_methods_have_a_cost(name, profile):
    recipe = recipes.load(name, profile)
    if timed := recipe.get("timed"):
        assert set(timed) <= set(recipe["methods"]) and set(timed) | {recipe["time_of"]} <= set(
            recipe["step_cost"]
        )
        assert min(recipe["step_cost"].values()) > 0 and len(bench.methods(recipe)) == len(
            recipe["methods"]
        ) + len(timed)


@pytest.mark.parametrize("name, profile", ALL)
def test_methods_to_measure_are_students_of_the_recipe(name, profile):
    recipe = recipes.load(name, profile)
    assert set(recipe.get("methods", [])) <= set(recipe.get("students", {}))


@pytest.mark.parametrize(
    "name, profile, message",
    [
        ("99_none", "smoke", "unknown recipe '99_none'; there are .*04_traflow_2d"),
        ("04_traflow_2d", "huge", "unknown profile 'huge' for 04_traflow_2d; there are smoke, laptop"),
    ],
)
def test_unknown_names_are_refused_in_one_line_that_lists_what_exists(name, profile, message):
    with pytest.raises(ValueError, match=message) as error:
        recipes.load(name, profile)
    assert "\n" not in str(error.value)


def test_merge_replaces_leaves_and_keeps_the_rest_of_a_block():
    base = {"a": {"x": 1, "y": [1, 2]}, "b": 3}
    assert recipes.merge(base, {"a": {"y": [5]}, "c": {"z": 0}}) == {
        "a": {"x": 1, "y": [5]},
        "b": 3,
        "c": {"z": 0},
    }
    assert base == {"a": {"x": 1, "y": [1, 2]}, "b": 3}


def test_merge_replaces_a_block_by_a_leaf_and_a_leaf_by_a_block():
    assert recipes.merge({"a": {"x": 1}, "b": 2}, {"a": None, "b": {"y": 3}}) == {"a": None, "b": {"y": 3}}


def test_merged_settings_share_nothing_with_their_sources():
    base, change = {"a": [1]}, {"b": [2]}
    merged = recipes.merge(base, change)
    merged["a"].append(0)
    merged["b"].append(0)
    assert base == {"a": [1]} and change == {"b": [2]}


def test_a_profile_may_be_like_another_with_changes():
    paper, rehearsal = (recipes.load("cifar10", profile) for profile in ("paper", "rehearsal"))
    assert rehearsal["profile"] == "rehearsal" and "like" not in rehearsal
    assert (
        rehearsal["student"]["train"]["lr"] == paper["student"]["train"]["lr"]
        and rehearsal["student"]["train"]["steps"] == 2
    )


def test_a_teacher_file_takes_the_place_of_the_recipes_own(tmp_path):
    recipe = recipes.load("cifar10", "laptop", tmp_path / "mine.pth")
    assert recipe["teacher"] == {"kind": "checkpoint", "file": str(tmp_path / "mine.pth")}
    assert recipe["profile"] == "laptop" and recipes.load("cifar10", "laptop")["teacher"]["train"]
