"""Tables: a row a sampler, a column an NFE, "not run" where nothing was measured, and no mixing.

As files: what is escaped, what links where, and that LaTeX takes it.
"""

import csv
import io
import shutil
import subprocess

import pytest
from test_records import record

from traflow_lib.evaluation import records
from traflow_lib.reports import rendering, tables
from traflow_lib.reports.cells import Cell, Number, Table


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


NUMBER = Cell("0.50 ± 0.01", (Number("0.50 ± 0.01", "record", "hour/a_b.jsonl#k", "m"),), "hour/a_b.jsonl#k")
ODD = "a & b_c <50%> $x$ #1 {y} ~z^2 \\n | `code`"


def table(**change):
    rows = [
        {"na_me": ODD, "value": NUMBER},
        {"na_me": Cell("two", more=(Cell("entries"),)), "value": "not run"},
    ]
    return Table(
        **{
            "name": "t_1",
            "folder": "own/hour",
            "title": "T & U",
            "header": ["na_me", "value"],
            "rows": rows,
            "notes": ["100 % of `it`"],
        }
        | change
    )


def test_a_column_that_the_header_lacks_is_refused_and_one_that_a_row_lacks_is_a_dash():
    with pytest.raises(ValueError, match="table t_1: no column value; it has na_me, b"):
        table(header=["na_me", "b"])
    made = table(header=["na_me", "b", "value"])
    assert [row["b"] for row in made.rows] == [Cell("-")] * 2 and made.rows[0]["na_me"] == Cell(ODD)


def test_markdown_links_numbers_to_their_records():
    text = rendering.markdown(table(), "../../../records")
    assert (
        "| [0.50 ± 0.01](../../../records/hour/a_b.jsonl) |" in text
        and "\\| `code` |" in text
        and "| two; entries | not run |" in text
    )


def test_csv_holds_the_text_and_the_records():
    rows = list(csv.reader(io.StringIO(rendering.comma_separated(table()))))
    assert rows == [
        ["na_me", "value", "records"],
        [ODD, "0.50 ± 0.01", "hour/a_b.jsonl#k"],
        ["two; entries", "not run", ""],
    ]


def test_html_is_escaped_whole_and_refers_to_nothing_but_records():
    text = rendering.html([table()])
    assert "a &amp; b_c &lt;50%&gt;" in text and "<h2 id=" in text and "T &amp; U" in text
    assert (
        '<a href="../records/hour/a_b.jsonl">0.50 ± 0.01</a>' in text
        and '<td class="missing">not run</td>' in text
    )
    assert "http" not in text and "src=" not in text


def test_files_are_written_and_old_ones_go(tmp_path):
    stale = rendering.write([table(name="stale"), table(folder="paper", name="stale")], tmp_path)
    files = rendering.write([table()], tmp_path)
    assert {file.relative_to(tmp_path).as_posix() for file in files} == {
        "index.html",
        "all_tables.tex",
        *(f"own/hour/t_1.{end}" for end in ("md", "csv", "tex")),
    }
    assert {file for file in tmp_path.rglob("*.*") if file.is_file()} == set(files) < {*files, *stale}
    assert "](../../../records/hour/a_b.jsonl)" in (tmp_path / "own" / "hour" / "t_1.md").read_text()


@pytest.mark.skipif(
    shutil.which("pdflatex") is None,
    reason="pdflatex (Debian: texlive-latex-base, texlive-latex-recommended) is not installed",
)
def test_latex_compiles(tmp_path):
    from test_paper_tables import every_table

    rendering.write([table(), *every_table()], tmp_path)
    assert all(
        r"\caption{" in file.read_text() and r"\label{" in file.read_text()
        for file in tmp_path.rglob("own/*/*.tex")
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", rendering.DOCUMENT]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "all_tables.pdf").stat().st_size > 10_000
