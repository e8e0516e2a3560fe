"""Records: what goes in comes out with mean and standard error; what cannot be a measurement is refused.

The committed ones are sound.
"""

import dataclasses
import json
import re
import time

import pytest

from traflow_lib.evaluation import records
from traflow_lib.evaluation.records import Record
from traflow_lib.files import paths


def record(**change):
    facts = {
        "recipe": "04_traflow_2d",
        "profile": "smoke",
        "dataset": "checkerboard",
        "method": "traflow",
        "nfe": 1,
        "sampler": "jumps",
        "metrics": {"paired_rmse": [1.0, 2.0, 6.0]},
        "seeds": [0, 1, 2],
        "n_generated": 10,
        "n_reference": 10,
        "split": "fresh sample",
        "hash": "0123456789",
    }
    return Record(**{**facts, **change})


def committed():
    return sorted(paths.committed("records").rglob("*.jsonl"))


def strings(content):
    """Every string inside nested JSON, keys included."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, (list, dict)):
        for item in [*content, *(content.values() if isinstance(content, dict) else [])]:
            yield from strings(item)


def test_record_comes_back_with_mean_and_standard_error(tmp_path):
    file = records.save(record(), tmp_path)
    (row,) = records.load(tmp_path)
    assert file == tmp_path / "smoke" / "04_traflow_2d.jsonl" and len(file.read_text().splitlines()) == 1
    assert (row["file"], row["key"]) == (
        "smoke/04_traflow_2d.jsonl",
        "checkerboard traflow jumps-1 seeds 0 1 2",
    )
    assert row["metric"] == "paired_rmse" and row["value"] == 3 and row["values"] == [1.0, 2.0, 6.0]
    assert row["spread"] == pytest.approx((7 / 3) ** 0.5)  # the variance over seeds is 7
    assert (row["method"], row["nfe"], row["seeds"]) == ("traflow", 1, [0, 1, 2])


def test_one_seed_has_no_spread(tmp_path):
    records.save(record(metrics={"a": [1.0], "b": [2.0]}, seeds=[0]), tmp_path)
    assert [(row["metric"], row["spread"]) for row in records.load(tmp_path)] == [("a", None), ("b", None)]


def test_saved_record_is_read_as_it_was(tmp_path):
    original = record(training={"steps": 5}, stand_in=True, checkpoint_sha256=["ab"])
    (found,) = records.read(records.save(original, tmp_path))
    assert dataclasses.asdict(found) == dataclasses.asdict(original)


def test_record_says_where_it_comes_from(tmp_path):
    found = records.read(records.save(record(), tmp_path))[0].provenance
    assert re.fullmatch("[0-9a-f]{40}|unknown", found["git_commit"]) and found["packages"]["torch"]
    assert {"git_dirty", "date", "python", "device", "command"} <= set(found)


def test_repeated_measurement_replaces_the_old_one(tmp_path):
    for value in (1.0, 2.0):
        records.save(record(metrics={"a": [value]}, seeds=[0]), tmp_path)
    assert [row["value"] for row in records.load(tmp_path)] == [2.0]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0)])
def test_more_seeds_take_the_place_of_fewer_and_nothing_else(tmp_path, order):
    """A contest that goes on from three seeds to five must not count the three twice."""
    new = [
        record(),
        record(seeds=[0, 1, 2, 3, 4], metrics={"paired_rmse": [1.0] * 5}),
        record(seeds=[7], metrics={"paired_rmse": [3.0]}),
        record(nfe=2),
    ]
    for number in order:
        records.save(new[number], tmp_path)
    found = {(row["nfe"], tuple(row["seeds"])) for row in records.load(tmp_path)}
    assert found == {(1, (0, 1, 2, 3, 4)), (1, (7,)), (2, (0, 1, 2))}


def test_no_committed_question_has_two_answers():
    for file in committed():
        questions = [one.question for one in records.read(file)]
        assert len(questions) == len(set(questions)), file


def test_records_go_to_the_results_of_this_run():
    assert records.save(record()).is_relative_to(paths.results()) and not paths.results().is_relative_to(
        paths.root()
    )


@pytest.mark.parametrize(
    "change, message",
    [
        ({"metrics": {}}, "no metric"),
        ({"metrics": {"a": [1.0, float("nan"), 2.0]}}, "finite numbers"),
        ({"metrics": {"a": [1.0, float("inf"), 2.0]}}, "finite numbers"),
        ({"metrics": {"a": [1.0, None, 2.0]}}, "finite numbers"),
        ({"metrics": {"a": []}, "seeds": []}, "finite numbers"),
        ({"metrics": {"a": [1.0]}}, "1 values for 3 seeds"),
    ],
    ids=["none", "nan", "inf", "null", "empty", "seeds"],
)
def test_what_cannot_be_a_measurement_is_refused(change, message):
    with pytest.raises(ValueError, match=f"traflow on checkerboard.*{message}"):
        record(**change)


@pytest.mark.parametrize("content", ["", "{", "[1]", "3", '{"method": "traflow"}', '{"colour": "red"}'])
def test_corrupt_file_is_named_in_one_line(tmp_path, content):
    records.save(record(), tmp_path)
    with open(tmp_path / "smoke" / "04_traflow_2d.jsonl", "a", encoding="utf-8") as file:
        file.write(content + "\n")
    with pytest.raises(ValueError, match="04_traflow_2d.jsonl, line 2, is not a result record") as error:
        records.load(tmp_path)
    assert "\n" not in str(error.value)


def test_every_committed_record_is_whole_and_in_its_place():
    folder = paths.committed("records")
    assert not [
        (file, record.key)
        for file in committed()
        for record in records.read(file)
        if file != folder / record.file
    ]


def test_lines_are_sorted_and_one_measurement_has_one():
    for file in committed():
        keys = [record.key for record in records.read(file)]
        assert keys == sorted(set(keys)), file.name


def test_records_of_one_file_are_kept_when_another_is_saved(tmp_path):
    """Also when several processes write: each takes the file's lock."""
    for method in ("b", "a", "c"):
        records.save(record(method=method), tmp_path)
    (file,) = tmp_path.rglob("*.jsonl")
    assert [found.method for found in records.read(file)] == ["a", "b", "c"]


def test_reading_all_committed_records_takes_under_half_a_second():
    times = []
    for _ in range(3):
        start = time.process_time()
        assert records.load(paths.committed("records"))
        times.append(time.process_time() - start)
    assert min(times) < 0.5


def test_no_committed_record_holds_an_absolute_path():
    absolute = re.compile(r"(^|[\s=:'\"])(/\w|~/|[A-Za-z]:\\)")
    assert absolute.search("python /home/me/x.py") and not absolute.search(
        "python -m traflow_lib bench --recipe 04_traflow_2d"
    )
    assert not [
        (file.name, text)
        for file in committed()
        for line in file.open()
        for text in strings(json.loads(line))
        if absolute.search(text)
    ]
