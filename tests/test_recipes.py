"""Recipes: every shipped setting is one that the library takes, so a mistyped option cannot hide until the GPU run."""

import pytest
import yaml

from traflow_lib import objectives, recipes
from traflow_lib.training import TrainConfig


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
    """Each method's settings, over the shared ones."""
    return {method: recipes.merge(recipe["student"], change or {}) for method, change in recipe.get("students", {}).items()}


def test_there_are_recipes():
    assert {"04_traflow_2d", "06_digits"} <= set(recipes.names())


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
    recipe = recipes.load(name, profile)
    for method, student in (students(recipe) if "student" in recipe else {}).items():
        assert objectives.get(student["objective"], **student.get("options", {})), method


@pytest.mark.parametrize("name, profile", ALL)
def test_students_have_no_setting_that_nothing_reads(name, profile):
    recipe = recipes.load(name, profile)
    for method, student in (students(recipe) if "student" in recipe else {}).items():
        assert set(student) <= {"objective", "options", "train", "net", "n_pairs"}, method


@pytest.mark.parametrize("name, profile", ALL)
def test_methods_to_measure_are_students_of_the_recipe(name, profile):
    recipe = recipes.load(name, profile)
    assert set(recipe.get("methods", [])) <= set(recipe.get("students", {}))


@pytest.mark.parametrize("name, profile, message", [
    ("99_none", "smoke", "unknown recipe '99_none'; there are .*04_traflow_2d"),
    ("04_traflow_2d", "huge", "unknown profile 'huge' for 04_traflow_2d; there are smoke, laptop"),
])  # fmt: skip
def test_unknown_names_are_refused_in_one_line_that_lists_what_exists(name, profile, message):
    with pytest.raises(ValueError, match=message) as error:
        recipes.load(name, profile)
    assert "\n" not in str(error.value)


def test_merge_replaces_leaves_and_keeps_the_rest_of_a_block():
    base = {"a": {"x": 1, "y": [1, 2]}, "b": 3}
    assert recipes.merge(base, {"a": {"y": [5]}, "c": {"z": 0}}) == {"a": {"x": 1, "y": [5]}, "b": 3, "c": {"z": 0}}
    assert base == {"a": {"x": 1, "y": [1, 2]}, "b": 3}


def test_merge_replaces_a_block_by_a_leaf_and_a_leaf_by_a_block():
    assert recipes.merge({"a": {"x": 1}, "b": 2}, {"a": None, "b": {"y": 3}}) == {"a": None, "b": {"y": 3}}


def test_merged_settings_share_nothing_with_their_sources():
    base, change = {"a": [1]}, {"b": [2]}
    merged = recipes.merge(base, change)
    merged["a"].append(0)
    merged["b"].append(0)
    assert base == {"a": [1]} and change == {"b": [2]}


def test_fingerprint_ignores_the_order_of_keys_and_sees_every_value():
    one = {"a": {"x": 1, "y": 2}, "b": 3}
    assert recipes.fingerprint(one) == recipes.fingerprint({"b": 3, "a": {"y": 2, "x": 1}}) and len(recipes.fingerprint(one)) == 10
    assert recipes.fingerprint(one) != recipes.fingerprint({"a": {"x": 1, "y": 2.5}, "b": 3})
