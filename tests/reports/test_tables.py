"""Tables: a row a sampler, a column an NFE, "not run" where nothing was measured, and no mixing."""

import pytest
from test_records import record

from traflow_lib.evaluation import records
from traflow_lib.reports import tables


def measured(**change):
    """One row as records.load gives it."""
    row = {
        "dataset": "digits",
        "profile": "laptop",
        "method": "traflow",
        "sampler": "jumps",
        "nfe": 1,
        "metric": "rmse",
        "value": 0.5,
        "spread": None,
        "seeds": [0],
    }
    return row | change


@pytest.mark.parametrize(
    "value, spread, shown",
    [
        (0.12345, None, "0.123"),
        (12.345, None, "12.3"),
        (1234.5, None, "1234"),
        (0.0012345, None, "0.00123"),
        (-0.5, None, "-0.500"),
        (0, None, "0"),
        (2.3456, 0.0123, "2.35 ± 0.01"),
        (0.05, 0.004, "0.0500 ± 0.0040"),
    ],
)
def test_numbers_have_three_significant_digits(value, spread, shown):
    assert tables.number(value, spread) == shown


def test_markdown_table():
    assert tables.markdown(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"


def test_pivot_has_a_row_a_method_and_a_column_an_nfe():
    two_seeds = {"seeds": [0, 1], "spread": 0.1}
    rows = [
        measured(nfe=2, value=0.25, **two_seeds),
        measured(**two_seeds),
        measured(method="reflow", value=1.0),
        measured(metric="other", nfe=8),
    ]
    header, lines = tables.pivot(rows, "rmse")
    assert header == ["method", "seeds", "1 call", "2 calls"]
    assert lines == [["reflow", "1", "1.00", "not run"], ["traflow", "2", "0.500 ± 0.100", "0.250 ± 0.100"]]


def test_real_data_and_the_teacher_come_first():
    rows = [
        measured(),
        measured(method="teacher", sampler="euler"),
        measured(method="real data", sampler="halves", nfe=0),
    ]
    assert [line[0] for line in tables.pivot(rows, "rmse")[1]] == [
        "real data, halves",
        "teacher, euler",
        "traflow",
    ]


def test_adaptive_solver_has_one_number_whatever_the_column():
    rows = [measured(), measured(nfe=2), measured(method="teacher", sampler="dopri5", nfe=44, value=0.1)]
    assert tables.pivot(rows, "rmse")[1][0] == ["teacher, dopri5 (44 calls)", "1", "0.100", "same"]


@pytest.mark.parametrize(
    "change", [{"dataset": "checkerboard"}, {"profile": "hour"}], ids=["data sets", "profiles"]
)
def test_mixing_is_refused(change):
    with pytest.raises(ValueError, match="one data set at one profile"):
        tables.pivot([measured(), measured(**change)], "rmse")


def test_columns_can_be_chosen_and_those_not_run_say_so():
    assert tables.pivot([measured()], "rmse", columns=["1", "4"]) == (
        ["method", "seeds", "1 call", "4 calls"],
        [["traflow", "1", "0.500", "not run"]],
    )


def test_tables_are_written_from_this_runs_records(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAFLOW_RESULTS", str(tmp_path))
    records.save(record(stand_in=True, recipe="zz_test"))
    (file,) = (
        file
        for file in tables.write_all(records.load(tmp_path / "records"), tmp_path / "tables")
        if "zz_test" in file.name
    )
    text = file.read_text()
    assert file == tmp_path / "tables" / "smoke" / "zz_test__checkerboard__paired_rmse.md"
    assert "Stand-in data" in text and "| traflow | 3 | 3.00 ± 1.53 |" in text
