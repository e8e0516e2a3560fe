"""Tables as files: Markdown, CSV and LaTeX (booktabs) of each, one LaTeX and one HTML page of all.

HTML and LaTeX are written from templates/.
"""

import shutil
from functools import cache
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader

from . import tables
from .cells import Cell, Table

PAGE = "index.html"
DOCUMENT = "all_tables.tex"
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
WRAPPED = r">{\raggedright\arraybackslash}p{3.2cm}"


def markdown(table: Table, to_records: str = "../../records") -> str:
    """A heading, the table with every measured number linked to its record, and the notes.

    to_records: the way from the reader to records/.
    """

    def show(cell: Cell) -> str:
        links = (
            f"[{entry.text}]({to_records}/{_file(entry)})" if entry.record else entry.text
            for entry in cell.entries
        )
        return "; ".join(links).replace("|", "\\|")

    body = tables.markdown(table.header, [[show(cell) for cell in row] for row in table.rows])
    return "\n\n".join([f"# {table.title}", body.rstrip(), *table.notes]) + "\n"


def _file(entry: Cell) -> str:
    return entry.record.partition("#")[0]


def comma_separated(table: Table) -> str:
    """The cells as they are shown, with a last column that names the records of the row."""
    shown = pd.DataFrame([[cell.full_text for cell in row] for row in table.rows], columns=table.header)
    shown["records"] = [
        "; ".join(dict.fromkeys(entry.record for cell in row for entry in cell.entries if entry.record))
        for row in table.rows
    ]
    return shown.to_csv(index=False, lineterminator="\n")


def _tex(text: str) -> str:
    return text.translate(str.maketrans(SPECIAL))


def latex(table: Table) -> str:
    """A longtable with booktabs rules, caption and label, and its notes.

    For a document that loads booktabs, longtable and array.
    """
    columns = [[name, *(cell.full_text for cell in cells)] for name, *cells in zip(table.header, *table.rows)]
    kinds = "".join(WRAPPED if max(map(len, texts)) > LONG else "l" for texts in columns)
    return _environment("tex").get_template("table.tex.j2").render(table=table, columns=kinds)


def html(made: list[Table], to_records: str = "../records") -> str:
    """One page of all tables that needs no other file; measured numbers link to their records."""
    return _environment("html").get_template("page.html.j2").render(tables=made, to_records=to_records)


@cache
def _environment(kind: str) -> Environment:
    """Jinja for HTML (whatever is put in is escaped) or LaTeX (other brackets, since TeX needs braces)."""
    brackets = {
        "block_start_string": "<%",
        "block_end_string": "%>",
        "variable_start_string": "<<",
        "variable_end_string": ">>",
        "comment_start_string": "<#",
        "comment_end_string": "#>",
    }
    own = {"autoescape": True} if kind == "html" else {"trim_blocks": True, **brackets}
    made = Environment(loader=PackageLoader(__package__), keep_trailing_newline=True, **own)
    made.filters["tex"] = _tex
    made.globals |= {"anchor": anchor, "file_of": _file, "tex": _tex, "zip": zip, "long": LONG}
    made.globals["missing"] = (tables.NOT_RUN, "-")
    return made


def anchor(table: Table) -> str:
    """The name of a table's section on the page, and of its label."""
    return f"{table.folder}-{table.name}".replace("/", "-").replace("_", "-")


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
