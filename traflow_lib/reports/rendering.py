"""Tables as files: Markdown, CSV and LaTeX (booktabs) of each, one LaTeX and one HTML page of all."""

import csv
import io
import re
import shutil
from html import escape
from pathlib import Path

from . import tables
from .cells import Cell, Table

PAGE = "index.html"
DOCUMENT = "all_tables.tex"
CSS = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; padding: 0 1.5rem; max-width: 90rem;
  color: #222 }
h1 { font-size: 1.5rem }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .4rem }
nav { columns: 2 26rem; font-size: .9rem }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: .82rem; border-top: 2px solid #444;
  border-bottom: 2px solid #444 }
th { text-align: left; vertical-align: bottom; border-bottom: 1px solid #444 }
th, td { padding: .2rem .55rem }
td { vertical-align: top }
tbody tr:nth-child(even) { background: #f5f6f8 }
td.number { white-space: nowrap; font-variant-numeric: tabular-nums }
td.missing { color: #999 }
p.note { margin: .25rem 0; font-size: .82rem; color: #555; max-width: 70rem }
a { color: #0a58a6; text-decoration: none }
"""
LONG = 24  # characters: longer entries are broken into lines
SPECIAL = {character: f"\\{character}" for character in "&%$#_{}"}
SPECIAL |= {
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    "±": r"$\pm$",
    "`": "",
}
PREAMBLE = r"""\documentclass{article}
\usepackage[a3paper,landscape,margin=12mm]{geometry}
\usepackage{booktabs,longtable,array}
\setlength{\tabcolsep}{3pt}
\begin{document}
\scriptsize
"""


def markdown(table: Table, to_records: str = "../../records") -> str:
    """A heading, the table with every measured number linked to its record, and the notes.

    to_records: the way from the reader to records/.
    """

    def show(cell: Cell) -> str:
        return "; ".join(
            f"[{entry.text}]({to_records}/{_file(entry)})" if entry.record else entry.text
            for entry in cell.entries
        ).replace("|", "\\|")

    body = tables.markdown(table.header, [[show(cell) for cell in row] for row in table.rows])
    return "\n\n".join([f"# {table.title}", body.rstrip(), *table.notes]) + "\n"


def _file(entry: Cell) -> str:
    return entry.record.partition("#")[0]


def comma_separated(table: Table) -> str:
    """The cells as they are shown, with a last column that names the records of the row."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*table.header, "records"])
    for row in table.rows:
        writer.writerow(
            [
                *(cell.full_text for cell in row),
                "; ".join(
                    dict.fromkeys(entry.record for cell in row for entry in cell.entries if entry.record)
                ),
            ]
        )
    return out.getvalue()


def _tex(text: str) -> str:
    return text.translate(str.maketrans(SPECIAL))


def latex(table: Table) -> str:
    """A longtable with booktabs rules, caption and label, and its notes.

    For a document that loads booktabs, longtable and array.
    """
    longest = [
        max(len(cell.full_text) for cell in (Cell(name), *column))
        for name, column in zip(table.header, zip(*table.rows))
    ]
    columns = "".join(
        r">{\raggedright\arraybackslash}p{3.2cm}" if length > LONG else "l" for length in longest
    )
    line = lambda texts: " & ".join(map(_tex, texts)) + r" \\"  # noqa: E731
    caption = rf"\caption{{{_tex(table.title)}}}\label{{tab:{anchor(table)}}} \\"
    body = [line(cell.full_text for cell in row) for row in table.rows]
    notes = [rf"\noindent {_tex(note)}\par" for note in table.notes]
    opening = [
        rf"\begin{{longtable}}{{{columns}}}",
        caption,
        r"\toprule",
        line(table.header),
        r"\midrule",
        r"\endhead",
    ]
    return "\n".join([*opening, *body, r"\bottomrule", r"\end{longtable}", *notes]) + "\n"


def html(made: list[Table], to_records: str = "../records") -> str:
    """One page of all tables that needs no other file; measured numbers link to their records."""
    contents = "\n".join(f'<a href="#{anchor(table)}">{escape(table.title)}</a><br>' for table in made)
    sections = "\n".join(_section(table, to_records) for table in made)
    head = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>TraFlow-lab: '
        f"tables</title><style>{CSS}</style></head>"
    )
    intro = (
        "<p>Measured numbers link to their records; published ones are quoted from results/published.csv. No "
        "table mixes profiles or data sets of ours.</p>"
    )
    return (
        f"{head}\n<body><h1>TraFlow-lab: "
        f"tables</h1>\n{intro}\n<nav>{contents}</nav>\n{sections}\n</body></html>\n"
    )


def anchor(table: Table) -> str:
    """The name of a table's section on the page, and of its label."""
    return f"{table.folder}-{table.name}".replace("/", "-").replace("_", "-")


def _section(table: Table, to_records: str) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in table.header)
    body = "\n".join(
        "<tr>"
        + "".join(_td(cell, name in table.prose, to_records) for name, cell in zip(table.header, row))
        + "</tr>"
        for row in table.rows
    )
    marked = (re.sub("`([^`]+)`", r"<code>\1</code>", escape(note)) for note in table.notes)
    notes = "".join(f'<p class="note">{note}</p>' for note in marked)
    title = f'<h2 id="{anchor(table)}">{escape(table.title)}</h2>'
    return (
        f"{title}\n<div "
        f'class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>\n{notes}'
    )


def _td(cell: Cell, is_prose: bool, to_records: str) -> str:
    shown = "; ".join(
        f'<a href="{to_records}/{escape(_file(e))}">{escape(e.text)}</a>' if e.record else escape(e.text)
        for e in cell.entries
    )
    kind = "missing" if cell.text in (tables.NOT_RUN, "-") else "number"
    return f"<td>{shown}</td>" if is_prose or len(cell.text) > LONG else f'<td class="{kind}">{shown}</td>'


def write(made: list[Table], folder: Path) -> list[Path]:
    """Every table as Markdown, CSV and LaTeX below `folder`, and all as one LaTeX document and HTML page.

    What was there is replaced.
    """
    for old in ("paper", "own"):
        shutil.rmtree(folder / old, ignore_errors=True)
    inputs = "\n".join(rf"\input{{{table.folder}/{table.name}}}\clearpage" for table in made)
    files = {folder / PAGE: html(made), folder / DOCUMENT: f"{PREAMBLE}{inputs}\n\\end{{document}}\n"}
    for table in made:
        place, up = folder / table.folder / table.name, "../" * (table.folder.count("/") + 2)
        files |= {
            place.with_suffix(".md"): markdown(table, f"{up}records"),
            place.with_suffix(".csv"): comma_separated(table),
            place.with_suffix(".tex"): latex(table),
        }
    for file, text in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return list(files)
