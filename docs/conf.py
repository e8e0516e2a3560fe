"""The site of the course (`make site`): what was written and run becomes pages, nothing is executed.

The sources are the repository's own files where they lie, so links between them hold here as they do there.
A link to any other file of the repository becomes a copy of that file.
"""

import os
import re
import shutil
from importlib.util import find_spec
from pathlib import Path
from textwrap import shorten

from docutils import nodes

ROOT = Path(__file__).parents[1]
RUNS = Path(os.environ.get("TRAFLOW_RUNS") or ROOT / "runs")
DEMO = RUNS / "demo"

project = "TraFlow-lab"
copyright = "the authors of TraFlow-lab, MIT licence"
html_title = project
language = "en"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
html_theme = "furo"
root_doc = "README"
include_patterns = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/*.md",
    "notebooks/*.ipynb",
    "course/plan.md",
    "data/README.md",
    "results/tables/paper/*.md",
]
html_show_sphinx = False
html_copy_source = False
html_use_index = html_domain_indices = False  # the search finds names, too

# notebooks as they are stored
nb_execution_mode = "off"
nb_merge_streams = False  # a caption stays at its table
nb_render_markdown_format = "myst"  # links in what a cell shows are links of the site
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 4
copybutton_exclude = ".linenos, .gp, .go"

# MathJax lies in the site: no page asks the network for anything
MATHJAX = Path(find_spec("sphinx-mathjax-offline").submodule_search_locations[0]) / "static"
html_static_path = [str(MATHJAX)]
mathjax_path = "mathjax/tex-chtml.js"
exclude_patterns = ["runs", ".venv", "mathjax/sre", "mathjax/*-svg*", "mathjax/*mml*"]

add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints = "description"

# wide enough for code of 110 characters where there is room; a figure on paper, in the dark too
LOOKS = """<style>
body { --mystnb-source-margin-color: var(--color-brand-primary); --mystnb-source-border-width: 0; }
body { --mystnb-source-bg-color: var(--color-code-background); --mystnb-stdout-bg-color: transparent; }
body { --mystnb-stdout-border-color: var(--color-background-border); }
div.cell details.hide > summary { background: var(--color-background-secondary) !important; border: 0; }
div.cell details.hide p.admonition-title { background: none !important; }
div.cell details.hide p.admonition-title::before { background: var(--color-foreground-muted); }
.cell_output img { background: white; border-radius: .25rem; padding: .25rem; }
.content td p { margin: 0; }
.content td:first-child a { white-space: nowrap; }
#settings .table-wrapper td:last-child { min-width: 14em; }
.content td a { overflow-wrap: anywhere; }
@media (min-width: 75em) and (max-width: 82em), (min-width: 104em) { .main .content { width: 58em; } }
</style>"""

CONTENTS = """

```{toctree}
:hidden:
:caption: Lessons
:glob:

notebooks/*
```

```{toctree}
:hidden:
:caption: Around them

docs/faq
docs/glossary
docs/equations
docs/results
course/plan
```

```{toctree}
:hidden:
:caption: The kit

docs/guide
docs/api
docs/settings
docs/pipeline
docs/gpu
data/README
CONTRIBUTING
```

```{toctree}
:hidden:
:caption: The paper's tables
:glob:

results/tables/paper/*
```
"""
PICTURE_ENDS = "notebook 07 draws it.*\n"
TRY = '\n<a href="demo/index.html">Draw one yourself, here in the browser.</a>\n'


def add_contents(app, page, source):
    """Give the landing page, which is README, its contents, and a link to the demo where one was built."""
    if page == root_doc:
        source[0] = source[0].replace(PICTURE_ENDS, PICTURE_ENDS + TRY * DEMO.exists()) + CONTENTS


def describe_figures(app, doctree):
    """Give each figure of a notebook, which has none, a text in its place: the sentences that lead to it."""
    heading, text = "", ""
    for node in doctree.findall(lambda node: isinstance(node, nodes.title | nodes.paragraph | nodes.image)):
        if isinstance(node, nodes.image):
            if not node.get("alt"):
                before = re.split(r"(?<=[.:?]) (?=[A-Z])", " ".join(text.split()))[-2:]
                node["alt"] = shorten(f"Figure of '{heading}'. {' '.join(before)}", 400, placeholder=" ...")
        elif isinstance(node, nodes.title):
            heading = text = node.astext()
        elif not node.astext().startswith(("Predict:", "Answer:")):
            text = node.astext()


def keep_numbers_whole(app, doctree):
    """Let no line of a table end between a number and its spread."""
    for entry in doctree.findall(nodes.entry):
        for text in list(entry.findall(nodes.Text)):
            text.parent.replace(text, nodes.Text(text.astext().replace(" ± ", "\u00a0±\u00a0")))


def escape(app, what, name, it, options, lines):
    """Let a docstring's [B, *shape], |x| and cd@time stand as they are: they are no markup."""
    lines[:] = [re.sub(r"[*|@]", r"\\\g<0>", line) for line in lines]


def finish(app, error):
    """Put the demo beside the pages, and make the landing page what a server shows first."""
    if not error:
        site = Path(app.outdir)
        shutil.copy(site / f"{root_doc}.html", site / "index.html")
        if DEMO.exists():
            shutil.copytree(DEMO, site / "demo", dirs_exist_ok=True)


def dress(app, page, template, context, doctree):
    """Put the few rules on looks into a page."""
    context["metatags"] = context.get("metatags", "") + LOOKS


def setup(app):
    """What Sphinx calls first."""
    app.connect("source-read", add_contents)
    app.connect("doctree-read", describe_figures)
    app.connect("doctree-read", keep_numbers_whole)
    app.connect("autodoc-process-docstring", escape, priority=400)  # before napoleon
    app.connect("html-page-context", dress)
    app.connect("build-finished", finish)
