"""What a recipe says is read, or refused in one line that names recipe, profile, key, value and what is
allowed.
"""

from copy import deepcopy

import pytest
import yaml

from traflow_lib.experiments import checking, recipes
from traflow_lib.training.config import TrainConfig

EVERY = [
    (name, profile)
    for name in recipes.names()
    for profile in yaml.safe_load((recipes.FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))["profiles"]
]


def refusal(recipe: dict) -> str:
    with pytest.raises(ValueError) as refused:
        checking.check(recipe)
    line = str(refused.value)
    assert "\n" not in line and len(line) < 1000, line
    assert line.startswith(f"recipe {recipe['recipe']}, profile {recipe['profile']}, "), line
    return line


def blocks(value, path=()):
    """Every block of a recipe, by its path."""
    if isinstance(value, dict):
        yield path
        for key, inner in value.items():
            yield from blocks(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from blocks(inner, (*path, number))


def at(recipe, path):
    for key in path:
        recipe = recipe[key]
    return recipe


@pytest.mark.parametrize("name, profile", EVERY)
def test_every_recipe_is_read_and_left_as_it_is(name, profile):
    recipe = recipes.load(name, profile)
    before = deepcopy(recipe)
    checking.check(recipe)
    assert recipe == before


# blocks whose keys are names that a recipe gives: an unknown one is no mistake
FREE = {("students",), ("search", "calls"), ("chosen",), ("step_cost",)}


@pytest.mark.parametrize("name", ["06_digits", "bench_2d", "fashion_mnist", "imagenet64", "cifar10"])
def test_an_unknown_key_is_refused_in_every_block(name):
    recipe = recipes.load(name, "smoke")
    for path in blocks(recipe):
        knobs = path[:2] in (("search", "knobs"), ("search", "shared"))
        if path in FREE or knobs or path[:1] == ("chosen",):
            continue
        changed = deepcopy(recipe)
        at(changed, path)["n_geomtry"] = 5
        line = refusal(changed)
        assert ".".join(map(str, [*path, "n_geomtry"])) + " is 5: no such key" in line


def test_a_misspelled_key_is_refused_with_what_was_meant():
    recipe = recipes.load("06_digits", "laptop")
    recipe["evaluate"]["n_geomtry"] = 5
    assert "evaluate.n_geomtry is 5: no such key; did you mean n_geometry? there are" in refusal(recipe)


@pytest.mark.parametrize("name", ["06_digits", "bench_2d", "fashion_mnist", "imagenet64"])
def test_a_word_for_a_number_is_refused_everywhere(name):
    recipe = recipes.load(name, "smoke")
    found = 0
    for path in blocks(recipe):
        if path[:1] == ("chosen",) or path[:2] == ("search", "knobs"):
            continue
        for key, value in at(recipe, path).items():
            if isinstance(value, (bool, int, float)):
                changed = deepcopy(recipe)
                at(changed, path)[key] = "many"
                assert ".".join(map(str, [*path, key])) + " is 'many': " in refusal(changed)
                found += 1
    assert found > 15


@pytest.mark.parametrize(
    "path, value, allowed",
    [
        ("evaluate.n", True, "valid integer"),
        ("evaluate.n", 0, "greater than or equal to 1"),
        ("evaluate.n", 5.5, "valid integer"),
        ("evaluate.nfe", [], "at least 1 item"),
        ("evaluate.nfe", [1, 0], "greater than or equal to 1"),
        ("evaluate.nfe", 4, "valid list"),
        ("evaluate.reference.method", "leapfrog", "'euler', 'midpoint'"),
        ("evaluate.reference.tol", float("nan"), "finite number"),
        ("pairs.n", -5, "greater than or equal to 1"),
        ("pairs", [1], "valid dictionary"),
        ("seeds", [], "at least 1 item"),
        ("seeds", [-1], "greater than or equal to 0"),
        ("precision", "fp8", "'fp32', 'bf16' or 'fp16'"),
        ("net.kind", "resnet", "one of mlp, ddpmpp"),
        ("net.width", "64", "valid integer"),
        ("teacher.train.ema", 1.5, "less than 1"),
        ("teacher.train.lr", -1.0, "greater than or equal to 0"),
        ("student.train.steps", 0, "greater than or equal to 1"),
        ("students.traflow.objective", "trafow", "there are alphaflow, cd"),
        ("students.traflow.options", {"distance": "l3"}, "distance is 'l3'; it must be one of"),
        ("students.traflow.options", {"out_put": 1.0}, "did you mean output?"),
        ("students.traflow.start", "nowhere", "'teacher', 'random' or 'truncated'"),
    ],
)
def test_wrong_values_are_refused_by_name(path, value, allowed):
    recipe = recipes.load("06_digits", "smoke")
    *block, key = path.split(".")
    inner = recipe
    for name in block:
        inner = inner[name]
    inner[key] = value
    line = refusal(recipe)
    assert allowed in line and line.startswith(f"recipe 06_digits, profile smoke, {path}"), line


def test_load_is_where_it_is_refused(tmp_path, monkeypatch):
    text = (recipes.FOLDER / "06_digits.yaml").read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    content["profiles"]["smoke"]["evaluate"] = {"n_geomtry": 5}
    (tmp_path / "06_digits.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    monkeypatch.setattr(recipes, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match="recipe 06_digits, profile smoke, evaluate.n_geomtry is 5"):
        recipes.load("06_digits", "smoke")


@pytest.mark.parametrize(
    "options, complaint",
    [
        ({"steps": 0}, "steps is 0: input should be greater than or equal to 1"),
        ({"steps": "5"}, "steps is '5': input should be a valid integer"),
        ({"schedule": "linear"}, "schedule is 'linear': input should be 'cosine' or 'constant'"),
        ({"ema": []}, "ema is \\[\\]"),
    ],
)
def test_a_training_refuses_by_name(options, complaint):
    with pytest.raises(ValueError, match=f"^training option {complaint}[^\n]*$"):
        TrainConfig.of({"steps": 1, "batch": 1} | options)
