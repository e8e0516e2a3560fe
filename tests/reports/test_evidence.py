"""What counts as evidence: a record of today's recipe.

And what a reproduction says about numbers that differ.
"""

import pytest
from test_records import record

from traflow_lib import cli
from traflow_lib.evaluation import records
from traflow_lib.experiments import recipes, settings
from traflow_lib.files import paths
from traflow_lib.reports import evidence

RECIPE, PROFILE, DATASET = "04_traflow_2d", "laptop", "8gaussians"


def of_today(method="traflow", seeds=(0,), **change):
    """A record that the recipe of today would make."""
    recipe = recipes.load(RECIPE, PROFILE)
    facts = {
        "recipe": RECIPE,
        "profile": PROFILE,
        "dataset": DATASET,
        "method": method,
        "seeds": list(seeds),
        "metrics": {"paired_rmse": [0.5] * len(seeds)},
    }
    return record(
        **facts
        | {"hash": settings.identity(settings.measurement(recipe, DATASET, method, list(seeds)))}
        | change
    )


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Empty results of this machine and an empty reference."""
    monkeypatch.setenv("TRAFLOW_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(paths, "committed", lambda *parts: tmp_path.joinpath("committed", *parts))
    return tmp_path


def commit(found, folder):
    records.save(found, folder / "committed" / "records")


def test_a_record_of_todays_recipe_counts(results):
    records.save(of_today())
    commit(of_today(metrics={"paired_rmse": [0.4]}), results)
    assert [row["value"] for row in evidence.here()] == [0.5] and [
        row["value"] for row in evidence.reference(RECIPE, PROFILE)
    ] == [0.4]
    assert evidence.here("bench_2d") == evidence.here(profile="hour") == []


STALE = {
    "other settings": ({"hash": "0123456789", "nfe": 2}, "its recipe has changed"),
    "other seeds": ({"seeds": [1]}, "its recipe has changed"),
    "calls": ({"nfe": 64}, "does not ask for 64 calls"),
    "unknown method": ({"method": "nope"}, "its recipe has changed"),
    "unknown profile": ({"profile": "nope"}, "unknown profile 'nope'"),
    "unknown recipe": ({"recipe": "nope"}, "unknown recipe 'nope'"),
}


@pytest.mark.parametrize("change, why", STALE.values(), ids=STALE)
def test_what_the_recipe_does_not_ask_for_any_more_is_named_and_left_out(results, change, why, capsys):
    good = of_today()
    records.save(good)
    records.save(of_today(**{"hash": good.hash} | change))
    assert [row["hash"] for row in evidence.here()] == [good.hash]
    assert "left out: 1 records of" in (said := capsys.readouterr().err) and why in said


@pytest.mark.parametrize(
    "change",
    [{"student": {"train": {"steps": 999}}}, {"evaluate": {"n": 999}}, {"pairs": {"n": 999}}],
    ids=["budget", "n", "pairs"],
)
def test_a_recipe_that_changes_makes_its_records_stale(change, monkeypatch):
    assert evidence.stale(of_today()) is None
    changed = recipes.merge(recipes.load(RECIPE, PROFILE), change)
    today = of_today()
    monkeypatch.setattr(evidence, "_recipe", lambda *names: changed)
    evidence._today.cache_clear()
    assert evidence.stale(today) == "its recipe has changed"
    evidence._today.cache_clear()


def test_a_records_teacher_from_a_file_is_part_of_its_fingerprint():
    recipe = recipes.load("cifar10", "paper")
    imported = {"net": recipe["net"], "sha256": "ab" * 32}
    hashed = settings.identity(settings.measurement(recipe, "cifar10", "traflow", [0], imported))
    made = record(
        recipe="cifar10",
        profile="paper",
        dataset="cifar10",
        seeds=[0],
        metrics={"a": [1.0]},
        hash=hashed,
        teacher=imported,
    )
    assert evidence.stale(made) is None
    made.teacher = imported | {"sha256": "cd" * 32}
    assert evidence.stale(made) == "its recipe has changed"


def seeds_vary(folder, values):
    """The records of several seeds that tell how much a number varies."""
    made = of_today(seeds=range(len(values)), metrics={"paired_rmse": values})
    made.profile = evidence.SEEDS
    commit(made, folder)


def verdicts(monkeypatch, value, reference, spread, loaded=False):
    """The verdict on one number beside its reference."""
    made, there = (
        of_today(metrics={"paired_rmse": [number]}, checkpoint_sha256=["ab" if loaded else where])
        for number, where in ((value, "here"), (reference, "there"))
    )
    monkeypatch.setattr(evidence, "here", lambda profile: records.rows(made))
    known = {PROFILE: records.rows(there), evidence.SEEDS: varying(spread)}
    monkeypatch.setattr(evidence, "reference", lambda profile: known[profile])
    return evidence.comparison(PROFILE)[1][0][-1]


def varying(spread):
    """A record of three seeds whose standard deviation is this share of its mean of 1."""
    return (
        []
        if spread is None
        else records.rows(of_today(seeds=range(3), metrics={"paired_rmse": [1 - spread, 1.0, 1 + spread]}))
    )


@pytest.mark.parametrize(
    "value, spread, verdict",
    [
        (1.0, 0.1, "same"),
        (1.29, 0.1, "same"),
        (1.31, 0.1, "DIFFERS"),
        (0.69, 0.1, "DIFFERS"),
        (1.0, None, "spread not known"),
    ],
)
def test_a_trained_students_number_may_differ_by_three_standard_deviations(
    monkeypatch, value, spread, verdict
):
    assert verdicts(monkeypatch, value, 1.0, spread) == verdict


@pytest.mark.parametrize("value, verdict", [(1.009, "same"), (1.02, "DIFFERS")])
def test_a_loaded_models_number_may_hardly_differ(monkeypatch, value, verdict):
    assert verdicts(monkeypatch, value, 1.0, 0.5, loaded=True) == verdict


def test_the_comparison_says_what_differs_and_what_has_no_reference(results, monkeypatch, capsys):
    monkeypatch.setattr(evidence, "stale", lambda record: None)
    seeds_vary(results, [1.0, 1.1, 0.9])
    for nfe, here, there in ((1, 1.0, 1.05), (2, 2.0, 1.0), (4, 1.0, None)):
        records.save(of_today(nfe=nfe, metrics={"paired_rmse": [here]}, checkpoint_sha256=["here"]))
        if there:
            commit(of_today(nfe=nfe, metrics={"paired_rmse": [there]}, checkpoint_sha256=["there"]), results)
    header, lines = evidence.comparison(PROFILE)
    assert [(line[3], line[-2], line[-1]) for line in lines] == [
        ("1", "0.952", "same"),
        ("2", "2.000", "DIFFERS"),
        ("4", "-", "no reference"),
    ]
    assert cli.main(["compare", "--profile", PROFILE]) == 0
    said = capsys.readouterr().out
    assert "3 numbers: 1 same, 1 DIFFERS, 1 no reference" in said and "| DIFFERS |" in said
    assert (paths.results() / "tables" / f"reproduction-{PROFILE}.md").exists()


def test_beside_shows_here_reference_and_ratio():
    here, there = (records.rows(of_today(metrics={"paired_rmse": [value]})) for value in (0.5, 0.4))
    assert evidence.beside(here, there, "paired_rmse")[1] == [["traflow", "1", "0.500", "0.400", "1.250"]]
    assert evidence.beside(here, [], "paired_rmse")[1] == [["traflow", "1", "0.500", "not run", "-"]]
    assert evidence.beside(here, there, "other")[1] == []


def test_comparing_nothing_is_one_clear_line(results, capsys):
    assert cli.main(["compare"]) == 2
    assert "there is nothing to compare: no record of profile laptop" in capsys.readouterr().err
