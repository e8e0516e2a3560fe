"""Tables of the paper and of this kit.

Every number leads to its source, nothing mixes, what was not measured says so.
"""

import functools
import re
from collections import Counter

import pytest
from table_sources import lines_of, published_lines, text_of
from test_records import record

from traflow_lib import cli
from traflow_lib.evaluation import records
from traflow_lib.experiments import recipes
from traflow_lib.files import paths
from traflow_lib.reports import cells, cost_tables, evidence, own_tables, paper_tables, rendering

OURS = list(paper_tables.OURS.values())  # columns of what was measured here, gpu and paper
FID = {
    "dataset": "cifar10",
    "recipe": "evaluate-inception-clean-train-50000",
    "method": "traflow_v4",
    "metrics": {"fid-clean": [2.5]},
    "seeds": [0],
    "n_generated": 50000,
    "n_reference": 50000,
    "split": "train",
    "errors": {"fid-clean": [0.02]},
    "parameters": 56061443,
    "training": {"steps": 1000, "batch": 512, "seconds": 4000.0, "parameters": 56061443},
    "extractor": "inception 0123",
    "mode": "clean, uint8",
}


def saved(**change):
    """A record in this run's results; its file below the records folder."""
    return records.save(record(**FID | change)).relative_to(paths.results() / "records").as_posix()


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Empty results of this run, and no committed records beside them."""
    monkeypatch.setenv("TRAFLOW_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(
        paths,
        "committed",
        lambda *parts: (
            paths.root().joinpath("results", *parts) if parts != ("records",) else tmp_path / "none"
        ),
    )
    return tmp_path / "results"


def own():
    """All measurements in this run's results, whether their recipe asks for them or not."""
    return records.load(paths.results() / "records")


def entries(made):
    return [
        (table, name, entry)
        for table in made
        for row in table.rows
        for name, cell in row.items()
        for entry in cell.entries
    ]


def every_table(reference=False):
    measured = evidence.reference() if reference else own()
    return paper_tables.build(measured) + cost_tables.build(measured) + own_tables.build(measured)


def check_sources(made, folders):
    """Every number is what its source says, and no column of numbers holds a digit that has no source."""
    resolve = functools.cache(lambda number: text_of(number, folders))
    for table, name, entry in entries(made):
        rest = entry.text
        for number in entry.numbers:
            assert number.text == resolve(number), f"{table.name}, {name}: {number}"
            assert number.text in rest
            rest = rest.replace(number.text, "", 1)
        assert name in cells.PROSE or not re.search(r"\d", rest), (
            f"{table.name}, {name}: '{entry.text}' has digits without a source"
        )


def test_every_number_of_every_committed_table_resolves():
    made = every_table(reference=True)
    check_sources(made, [paths.committed("records")])
    found = [number for _, _, entry in entries(made) for number in entry.numbers]
    assert len(found) > 2000 and {number.kind for number in found} == {
        "record",
        "published",
        "recipe",
        "network",
    }


def test_our_fids_stand_in_their_profiles_column(results):
    saved(profile="gpu")
    saved(profile="paper", nfe=2, metrics={"fid-clean": [2.3]}, n_generated=10000)
    saved(
        profile="paper",
        nfe=2,
        metrics={"fid-legacy_tensorflow": [2.4]},
        recipe="evaluate-inception-legacy_tensorflow-train-50000",
    )
    made = every_table()
    table = next(table for table in made if table.name == "table_2_cifar10")
    ours = {
        row["calls"].text: [row[column].full_text for column in OURS]
        for row in table.rows
        if row["method"].text == paper_tables.SCOT
    }
    assert ours["1"] == ["2.50 ± 0.02 (fid-clean, n = 50,000)", "not run"]
    assert ours["2"] == [
        "not run",
        "2.30 ± 0.02 (fid-clean, n = 10,000); 2.40 (fid-legacy_tensorflow, n = 50,000)",
    ]
    costs = next(table for table in made if table.name == "table_11_cost")
    (timed,) = [
        row
        for row in costs.rows
        if (row["data set"].text, row["network or loss"].text)
        == ("cifar10", "this kit: traflow_v4, all its losses")
    ]
    assert timed[OURS[0]].text.startswith("128 (batch 512, 56.1M parameters, ")
    check_sources(made, [results / "records"])


def test_the_throughput_benchmark_stands_beside_the_papers(results):
    speed = {
        "recipe": "throughput",
        "dataset": "shapes32x1",
        "stand_in": True,
        "sampler": "training",
        "nfe": 0,
        "errors": {},
        "training": {"steps": 40},
    }
    saved(
        **speed
        | {"profile": "gpu", "method": "velocity loss, bf16", "metrics": {"images_per_second": [300.0]}}
    )
    table = cost_tables.cost(own())
    (row,) = [row for row in table.rows if row["network or loss"].text == "this kit: velocity loss, bf16"]
    assert row[OURS[0]].text.startswith("300 (56.1M parameters, ") and row[OURS[1]].text == "not run"
    check_sources([table], [results / "records"])


def test_deleting_a_record_turns_its_cell_into_not_run(results):
    file = saved(profile="gpu")

    def shown():
        return [
            row[OURS[0]].text
            for row in paper_tables.build(own())[0].rows
            if (row["method"].text, row["calls"].text) == (paper_tables.SCOT, "1")
        ]

    assert shown() == ["2.50 ± 0.02 (fid-clean, n = 50,000)"]
    (results / "records" / file).write_text("")
    assert shown() == ["not run"]


NO_FIDS = {
    "stand-in": {"stand_in": True},
    "profile": {"profile": "laptop"},
    "other metric": {"metrics": {"fd-cifar10-cnn": [2.5]}},
    "extrapolated": {"metrics": {"fid-infinity-clean": [2.5]}},
}


@pytest.mark.parametrize("change", NO_FIDS.values(), ids=NO_FIDS)
def test_what_is_no_fid_on_the_real_data_stays_out_of_the_papers_tables(results, change):
    saved(**{"profile": "gpu"} | change)
    assert not [entry for _, _, entry in entries(paper_tables.build(own())) if entry.record]


def test_other_methods_and_metrics_get_rows_of_their_own(results):
    saved(profile="gpu", method="compact_7.0M", metrics={"recall-clean": [0.5]}, errors={})
    table = paper_tables.build(own())[0]
    (row,) = [
        row
        for row in table.rows
        if (row["metric"].text, row["method"].text) == ("recall", "this kit: compact_7.0M")
    ]
    assert [row[name].text for name in ("params (M)", "calls")] == ["56.1", "1"]
    assert row[OURS[0]].text == "0.500 (recall-clean, n = 50,000)"


def test_what_was_not_run_comes_with_its_command(results):
    notes = {table.name: " ".join(table.notes) for table in paper_tables.build([])}
    for name, notebook in {
        "table_2_cifar10": "08_cifar10",
        "v1_celeba64": "09_celeba64",
        "v1_ffhq64": "10_ffhq64_imagenet64",
    }.items():
        for profile in ("gpu", "paper"):
            assert f"`python -m traflow_lib notebook {notebook} --profile {profile}`" in notes[name]


def table_called(name):
    return next(
        table for table in [*paper_tables.build(own()), *cost_tables.build(own())] if table.name == name
    )


def test_ablations_take_students_of_their_iterations(results):
    saved(profile="paper", dataset="imagenet64", method="traflow_v4_fixed-5000", nfe=2, n_generated=6000)
    rows = table_called("table_6_ablation").rows
    filled = [(row["method"].text, row["iterations"].text) for row in rows if row[OURS[1]].record]
    assert filled == [("SCoT, velocity weight none", "5000")]


def test_an_ablation_with_another_number_of_samples_stays_out(results):
    saved(profile="paper", dataset="imagenet64", method="traflow_v4_fixed-5000", nfe=2, n_generated=50000)
    assert not [row for row in table_called("table_6_ablation").rows if row[OURS[1]].record]


WITH_ABLATION = {"n": 6000, "metrics": ["fid", "sfid", "is", "pr"]}


@pytest.mark.parametrize(
    "change, said",
    [
        ({"n": 50000}, "no command fills these cells yet: `python -m traflow_lib bench"),
        ({"n": 50000}, "measures 50,000 images, without sFID."),
        (WITH_ABLATION, "Not run at profile paper; to run it: `python"),
        (WITH_ABLATION | {"metrics": ["fid"]}, "to run it, without sFID and IS and precision"),
    ],
)
def test_ablations_say_what_their_command_fills(results, monkeypatch, change, said):
    load = recipes.load
    plain = {"fid": {"n": 50000, "split": "train", "metrics": ["fid", "is", "pr"]}}
    monkeypatch.setattr(recipes, "load", lambda *of: load(*of) | plain | {"ablation": change})
    assert said in " ".join(table_called("table_4_ablation").notes)


NAMES = {"fid": "FID", "sfid": "sFID", "is": "IS"}


def expected(row):
    """A line of Tables 2 to 6 as published.csv has it."""
    own = "same" if row["printed"] == row["value"] else row["value"] or "-"
    printed = f"({row['printed']})" if row["reading"] == "inferred" else row["printed"] or "-"
    size = (
        (row["iterations"],)
        if row["iterations"]
        else (row["params_m"] or "-", own, row["source"], row["evidence"])
    )
    return (
        NAMES.get(row["metric"], row["metric"]),
        row["method"],
        row["nfe"] or "-",
        printed,
        row["note"],
        *size,
    )


def shown(line):
    size = (
        (line["iterations"],)
        if "iterations" in line
        else (line["params (M)"], line["its source says"], line["source"], line["evidence"])
    )
    return line["metric"], line["method"], line["calls"], line["as printed"], line["note"], *size


def test_the_papers_tables_are_published_csv_line_by_line():
    """Read from the Markdown, without the cells; no row is missing and none is added."""
    texts = [rendering.markdown(table) for table in paper_tables.build([])]
    wanted = Counter(
        expected(row)
        for row in published_lines()
        if row["metric"] in {*NAMES, "precision", "recall"}
        and row["dataset"] in paper_tables.NOTEBOOKS
        and not row["table"].startswith("text")
    )

    def read(texts):
        return Counter(
            shown(line)
            for text in texts
            for line in lines_of(text)
            if not line["method"].startswith("this kit")
        )

    assert read(texts) == wanted and len(wanted) > 150
    assert read([text.replace("(2.93)", "2.93") for text in texts]) != wanted
    assert read([text.replace("| 15.39 | 8.95 |", "| 8.95 | 8.95 |") for text in texts]) != wanted


def test_the_settings_say_what_ours_leaves_out():
    lines = {
        (line["data set"], line["setting"]): line
        for line in lines_of(rendering.markdown(cost_tables.settings()))
    }
    ours = "ours, recipe at profile paper"
    for dataset in ("cifar10", "imagenet64"):
        assert (
            lines[dataset, "precision"][ours] == "fp16"
            and "derivative of the velocity loss is taken in float32" in lines[dataset, "precision"]["note"]
        )
        distance = lines[dataset, "distance D"]
        assert (distance["as printed"], distance["its source says"], distance[ours]) == (
            "-",
            "LPIPS",
            "squared error",
        )
        assert (
            "traflow_anchored pseudo-Huber" in distance["note"]
            and "traflow_v1 squared error" in distance["note"]
        )
    assert all("precision" in recipes.load(dataset, "paper") for dataset in ("cifar10", "imagenet64"))


def test_own_tables_keep_recipes_apart_and_mark_stand_in_data(results):
    image = {
        "dataset": "shapes64",
        "profile": "laptop",
        "stand_in": True,
        "metrics": {"fd-shapes64-cnn": [0.5], "paired_rmse": [0.1]},
        "errors": {},
        "method": "traflow",
    }
    for recipe in ("celeba64", "imagenet64"):
        saved(**image | {"recipe": recipe})
    made = own_tables.build(own())
    assert [table.name for table in made] == ["celeba64__shapes64", "imagenet64__shapes64"]
    assert all(
        "stand-in data" in table.title and all("stand-in" in row["data"].text for row in table.rows)
        for table in made
    )
    assert "class-conditional" in made[1].title and "class-conditional" not in made[0].title
    check_sources(made, [results / "records"])


def test_mixing_is_refused(results):
    saved(profile="laptop", recipe="celeba64")
    saved(profile="hour", recipe="celeba64")
    with pytest.raises(ValueError, match="one recipe and data set at one profile"):
        own_tables.compare(own(), "x", "x")


@pytest.mark.parametrize(
    "old, new",
    [
        ('"nfe": 1', '"nfe": "one"'),
        ('"method"', '"mehtod"'),
        ('"parameters": 56061443', '"parameters": "many"'),
    ],
    ids=["type", "field", "flag"],
)
def test_the_command_refuses_a_broken_record_by_name(results, capsys, old, new):
    file = results / "records" / saved(profile="gpu")
    file.write_text(file.read_text().replace(old, new))
    assert cli.main(["tables"]) == 2
    message = capsys.readouterr().err
    assert (
        message.startswith(f"error: {file.name}, line 1, is not a result record") and message.count("\n") == 1
    )
