"""Tables as files: Markdown, CSV and LaTeX (booktabs) of each, one LaTeX and one HTML page of all."""

from functools import cache
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, Template

from . import tables
from .cells import DASH, NOT_RUN, PROSE, Cell, Table

PAGE = "index.html"
DOCUMENT = "all_tables.tex"
# the document of all tables, before and after the line that each of them has
BEGIN = r"""\documentclass{article}
\usepackage[a3paper,landscape,margin=12mm]{geometry}
\usepackage{booktabs,longtable,array}
\setlength{\tabcolsep}{3pt}
\begin{document}
\scriptsize
"""
END = "\\end{document}\n"
LONG = 24  # characters: longer entries are broken into lines
# what TeX reads as something else
SPECIAL = {sign: f"\\{sign}" for sign in "&%$#_{}"} | {sign: f"${sign}$" for sign in "<>|"}
SPECIAL |= {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
SPECIAL |= {"±": r"$\pm$", "`": ""}
# TeX needs the braces that Jinja's own brackets are made of
TEX_BRACKETS: dict = {"block_start_string": "<%", "block_end_string": "%>"}
TEX_BRACKETS |= {"variable_start_string": "<<", "variable_end_string": ">>"}
TEX_BRACKETS |= {"comment_start_string": "<#", "comment_end_string": "#>"}


def markdown(table: Table, to_records: str = "../../records") -> str:
    """A heading, the table with numbers linked to their records, which lie at to_records/, and the notes."""

    def show(cell: Cell) -> str:
        links = (
            f"[{entry.text}]({to_records}/{_file(entry)})" if entry.record else entry.text
            for entry in cell.entries
        )
        return "; ".join(links).replace("|", "\\|")

    body = tables.markdown(table.header, [list(map(show, row.values())) for row in table.rows])
    return "\n\n".join([f"# {table.title}", body.rstrip(), *table.notes]) + "\n"


def _file(entry: Cell) -> str:
    return entry.record.partition("#")[0]


def comma_separated(table: Table) -> str:
    """The cells as they are shown, with a last column that names the records of the row."""
    shown = pd.DataFrame(table.rows, columns=table.header).map(lambda cell: cell.full_text)
    records = [[entry.record for cell in row.values() for entry in cell.entries] for row in table.rows]
    shown["records"] = ["; ".join(dict.fromkeys(filter(None, names))) for names in records]
    return shown.to_csv(index=False, lineterminator="\n")


def latex(table: Table) -> str:
    """A longtable with its notes, for a document that loads booktabs, longtable and array."""
    texts = {name: [name, *(row[name].full_text for row in table.rows)] for name in table.header}
    wrapped = [max(map(len, column)) > LONG for column in texts.values()]
    return template("table.tex.j2").render(table=table, wrapped=wrapped)


def html(made: list[Table], to_records: str = "../records") -> str:
    """One page of all tables that needs no other file; measured numbers link to their records."""
    return template("page.html.j2").render(tables=made, to_records=to_records)


@cache
def template(name: str) -> Template:
    """One of templates/: for HTML (what is put in is escaped) or TeX (whose brackets differ)."""
    made = Environment(
        loader=PackageLoader(__package__),
        keep_trailing_newline=True,
        trim_blocks=True,
        autoescape=name.endswith("html.j2"),
        **(TEX_BRACKETS if name.endswith("tex.j2") else {}),
    )
    made.filters |= {"tex": lambda text: text.translate(str.maketrans(SPECIAL)), "file": _file}
    made.filters["anchor"] = lambda table: f"{table.folder}-{table.name}".replace("/", "-").replace("_", "-")
    made.globals |= {"long": LONG, "missing": (NOT_RUN, DASH), "prose": PROSE}
    return made.get_template(name)


def write(made: list[Table], folder: Path) -> list[Path]:
    """Every table as Markdown, CSV and LaTeX below `folder`, and all as one LaTeX document and HTML page.

    Those that were there are replaced. tables.write_all has its own in the same folders: profiles are called
    paper and own, too.
    """
    for old in list(folder.rglob("*.tex")):  # which those of write_all lack
        for end in (".md", ".csv", ".tex"):
            old.with_suffix(end).unlink(missing_ok=True)
    inputs = "".join(rf"\input{{{table.folder}/{table.name}}}\clearpage" + "\n" for table in made)
    files = {folder / PAGE: html(made), folder / DOCUMENT: BEGIN + inputs + END}
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
