"""Tables as files: what is escaped, what links where, and that LaTeX takes it."""

import csv
import io
import shutil
import subprocess

import pytest

from traflow_lib.reports import rendering
from traflow_lib.reports.cells import Cell, Number, Table

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
