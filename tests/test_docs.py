"""The documents are true: equations lead to code, settings to models; examples that they show run."""

import importlib
import json
import re
from dataclasses import fields

import pytest
import torch
from PIL import Image
from test_distill import Theirs, pictures
from typer.main import get_command

import traflow_lib
from traflow_lib import ImageFolder, cli, objectives
from traflow_lib.evaluation import records
from traflow_lib.experiments import bench, recipes
from traflow_lib.experiments.experiment import Experiment
from traflow_lib.files import paths
from traflow_lib.objectives import registry
from traflow_lib.objectives.traflow import TraFlow
from traflow_lib.reports import plots, settings_page, tables

PAGE = (paths.root() / "docs" / "equations.md").read_text(encoding="utf-8")
NAMES = re.findall(r"`((?:\w+\.)+\w+)`", PAGE)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_the_page_exists_and_is_documented(name):
    place, found = name.split("."), importlib.import_module("traflow_lib")
    for depth, part in enumerate(place):
        if not hasattr(found, part):
            importlib.import_module(".".join(["traflow_lib", *place[: depth + 1]]))
        found = getattr(found, part)
    assert callable(found) and (found.__doc__ or name.endswith("forward"))


def test_every_option_of_the_page_is_one_of_the_objective():
    known = {field.name for field in fields(TraFlow)}
    options = re.findall(r"option `(\w+)`", PAGE)
    assert len(options) >= 4 and set(options) <= known
    assert set(re.findall(r"form `(\w+)`", PAGE)) == set(TraFlow.choices["velocity_form"])


def test_the_page_is_up_to_date():
    written = (paths.root() / "docs" / "settings.md").read_text(encoding="utf-8")
    again = "python -m traflow_lib settings > docs/settings.md"
    assert written == settings_page.page(), f"a setting changed: {again}"


def test_every_setting_of_the_recipes_is_on_it():
    page = settings_page.page()

    def keys(block):
        for key, value in block.items():
            yield key
            if isinstance(value, dict) and key not in ("students", "chosen", "step_cost", "search"):
                yield from keys(value)

    for name in recipes.names():
        for key in keys(recipes.load(name, "smoke")):
            assert f"| `{key}` |" in page, key


TEXT = (paths.root() / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.fixture
def example(monkeypatch, tmp_path):
    monkeypatch.setattr(registry, "_METHODS", dict(registry._METHODS))
    monkeypatch.setenv("TRAFLOW_RUNS", str(tmp_path))
    exec(re.search(r"```python\n(.*?)```", TEXT, re.DOTALL).group(1), {"__name__": "my_file"})


def test_the_method_of_the_page_is_trained_by_the_bench_and_stands_in_a_table(example):
    assert "mine" in objectives.names()
    own = {"students": {"mine": {"objective": "mine"}}, "methods": ["mine", "distill"]}
    experiment = Experiment(recipes.merge(recipes.load("bench_2d", "smoke"), own), "checkerboard")
    found = bench.run(experiment, ["mine", "distill"])
    rows = [row for record in found for row in records.rows(record)]
    table = tables.markdown(*tables.pivot(rows, "paired_rmse"))
    assert "| mine |" in table and plots.colour("mine") != plots.colour("distill")


README = (paths.root() / "README.md").read_text(encoding="utf-8")
EXAMPLE = re.search(r"```python\n(.*?)```", README, re.DOTALL).group(1)


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A folder of colour pictures below the working folder, and a network that was trained on them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRAFLOW_RUNS", str(tmp_path / "runs"))
    (tmp_path / "pictures").mkdir()
    for number, one in enumerate(pictures(300, 16).source):
        pixels = torch.cat([one, one // 2, 255 - one]).permute(1, 2, 0).numpy()
        Image.fromarray(pixels).resize((20, 20)).save(tmp_path / "pictures" / f"{number}.png")
    torch.manual_seed(0)
    net, data = Theirs(channels=3), ImageFolder("pictures", size=16)
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(150):
        x = data[torch.randint(len(data), (64,))]
        noise, time = torch.randn_like(x), torch.rand(64)
        at = time[:, None, None, None]
        loss = (net((1 - at) * x + at * noise, time) - (noise - x)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {"my_unet": net, "MyUNet": lambda: Theirs(channels=3)}


def test_the_example_runs_start_to_saved_student(world, tmp_path, capsys):
    small = EXAMPLE.replace("64)", "16)").replace("20_000", "200").replace("grid(64", "grid(6")
    small = small.replace('out="mine"', 'out="mine", train={"batch": 64}, pairs={"n": 300, "steps": 6}')
    assert "size=16" in small and "steps=200" in small
    exec(compile(small, "README.md", "exec"), world)
    said = capsys.readouterr().out
    assert "noise_at=1, predicts='velocity'" in said and "halves of the data" in said
    assert world["student"].sample(3, calls=2).shape == (3, 3, 16, 16)
    assert Image.open(tmp_path / "grid.png").mode == "RGB" and (tmp_path / "mine.safetensors").exists()


def test_every_name_of_the_front_door_is_exported_and_has_a_page_of_help():
    imported = re.search(r"from traflow_lib import (.*)", EXAMPLE).group(1).split(", ")
    assert set(imported) <= set(traflow_lib.__all__)
    assert all(len(getattr(traflow_lib, name).__doc__) > 80 for name in traflow_lib.__all__)


def test_the_first_screen_fits():
    lines = README.splitlines()
    assert max(len(line) for line in lines if line.startswith("|")) <= 100
    assert [line for line in lines[:60] if line.startswith("![")] and "make reproduce" in "\n".join(
        lines[:30]
    )
    assert len(README.encode()) < 8_192


PAGES = {
    name: (paths.root() / name).read_text(encoding="utf-8")
    for name in ["README.md", "CONTRIBUTING.md", "data/README.md", "course/plan.md"]
    + [f"docs/{file.name}" for file in sorted((paths.root() / "docs").glob("*.md"))]
}
LINKS = r"\]\((?!https?:)([^)\s]*)\)|^\[[^\]]+\]: (?!https?:)(\S+)$"  # [text](place), [text]: place


def commands(text):
    """The lines of a page's fences, without remarks, and what stands in backticks elsewhere."""
    fences = "".join(re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)).replace("\\\n", " ")
    spans = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return [line.split(" #")[0] for line in fences.splitlines()] + [" ".join(one.split()) for one in spans]


def anchors(text):
    """The names that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_somewhere(page):
    text = re.sub(r"`[^`\n]*`", "", PAGES[page])
    for place in map("".join, re.findall(LINKS, text, re.MULTILINE)):
        file, _, anchor = place.partition("#")
        target = (paths.root() / page).parent / file if file else paths.root() / page
        assert target.exists(), place
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), place


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_exists_with_its_options(page):
    known = get_command(cli.app).commands
    makefile = (paths.root() / "Makefile").read_text(encoding="utf-8")
    for line in commands(PAGES[page]):
        for name in re.findall(r"-m traflow_lib ([a-z][\w-]*)", line):
            assert name in known, line
            options = {flag for option in known[name].params for flag in option.opts}
            assert set(re.findall(r"(?<=\s)--[a-z-]+", line.partition(f"lib {name}")[2])) <= options, line
        for target in re.findall(r"^make ([a-z-]+)", line):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), line


FAQ = PAGES["docs/faq.md"]
# number of the page -> file of records, method, sampler, calls, and the metric or field
QUOTED = {
    "631": "hour/06_digits traflow jumps 1 seconds",
    "200": "images/fashion_mnist traflow jumps 1 seconds",
    "0.00208": "hour/06_digits traflow jumps 1 fd-digits-cnn",
    "0.00182": "hour/06_digits traflow jumps 2 fd-digits-cnn",
    "0.00176": "hour/06_digits traflow jumps 4 fd-digits-cnn",
    "0.00713": "images/fashion_mnist traflow jumps 1 fd-fashion_mnist-cnn-uint8",
    "0.00517": "images/fashion_mnist traflow jumps 2 fd-fashion_mnist-cnn-uint8",
    "0.00414": "images/fashion_mnist traflow jumps 4 fd-fashion_mnist-cnn-uint8",
    "0.00213": "images/fashion_mnist teacher midpoint 24 fd-fashion_mnist-cnn-uint8",
    "0.111": "hour/06_digits distill jumps 1 paired_rmse",
    "0.230": "hour/06_digits distill jumps 2 paired_rmse",
    "0.278": "hour/06_digits distill jumps 4 paired_rmse",
    "0.102": "hour/06_digits traflow jumps 2 paired_rmse",
    "0.106": "hour/06_digits traflow jumps 4 paired_rmse",
    "91.1": "hour/fashion_mnist distill jumps 1 seconds",
    "97.7": "hour/fashion_mnist traflow jumps 1 seconds",
    "177": "hour/fashion_mnist traflow_anchored jumps 1 seconds",
    "275": "hour/fashion_mnist traflow_v1 jumps 1 seconds",
    "19.8": "gpu/gpu-check traflow training 0 peak_memory_gib",
    "41.8": "gpu/gpu-check traflow_v4 training 0 peak_memory_gib",
    "4200": "gpu/gpu-check one-call-in-bf16 jumps 1 images_per_second",
    "3598": "gpu/gpu-check one-call-in-fp32 jumps 1 images_per_second",
    "0.0154": "gpu/gpu-check one-call-in-bf16 jumps 1 relative_error",
    "0.00107": "gpu/gpu-check one-call-in-fp32 jumps 1 relative_error",
    "0.00505": "laptop/06_digits teacher dopri5 62 fd-digits-cnn",
    "0.00141": "hour/06_digits teacher dopri5 62 fd-digits-cnn",
    "0.00318": "hour/evaluate-digits-cnn-native-all-10000 traflow-3000-steps jumps 1 fd-digits-cnn-uint8",
    "899": "hour/06_digits real-data halves 0 n_generated",
    "898": "hour/06_digits real-data halves 0 n_reference",
    "0.00549": "hour/06_digits real-data halves 0 fd-digits-cnn",
}


@pytest.mark.parametrize("shown", QUOTED)
def test_every_number_of_the_questions_page_is_that_of_its_record(shown):
    file, method, sampler, calls, what = QUOTED[shown].split()
    data = ("cifar10",) if file.startswith("gpu/") else ("digits", "fashion_mnist")
    (record,) = (
        record
        for record in records.read(paths.committed("records", f"{file}.jsonl"))
        if (record.method.replace(" ", "-"), record.sampler, record.nfe) == (method, sampler, int(calls))
        and record.dataset in data
    )
    values = record.metrics.get(what) or [
        record.training["seconds"] if what == "seconds" else getattr(record, what)
    ]
    assert f"`{file}`" in FAQ and re.search(rf"(?<![\w.,]){re.escape(shown)}(?![\w]|\.\d)", FAQ)
    decimals = len(shown.partition(".")[2])
    assert abs(float(shown) - sum(values) / len(values)) <= 0.51 * 10**-decimals


def test_the_questions_page_has_no_number_without_a_record():
    settings = {"0.999", "0.9999"}
    found = set(re.findall(r"(?<![\w.])\d+\.\d+(?!\.?\d)", FAQ))
    assert found - settings <= set(QUOTED) and len(FAQ.splitlines()) <= 150


GLOSSARY = (paths.root() / "docs" / "glossary.md").read_text(encoding="utf-8")
LINK = r"\[(\d\d)\]\(\.\./(notebooks/\w+\.ipynb)\) \|$"
TERMS = re.findall(rf"^\| ([^|$]+?) \| [^|]+ \| {LINK}", GLOSSARY.split("## Symbols")[0], re.MULTILINE)
SYMBOLS = re.findall(rf"^\| ([^|]+?) \| [^|]+ \| ([^|]+) \| {LINK}", GLOSSARY, re.MULTILINE)
NO_PROSE = r"(?m)^#.*$|`[^`]*`|<[^>]+>|\*\*Level:\*\*"  # headings, code, tags, a label of first cells
BOLD = r"\*\*.+?\*\*"
MATH = r"\$\$.+?\$\$|\$[^$]+\$"


def lessons():
    """The Markdown cells of lessons 00 to 06 in the order in which they are read: [(lesson, cell, text)]."""
    cells = []
    for file in sorted((paths.root() / "notebooks").glob("0[0-6]_*.ipynb")):
        for number, cell in enumerate(json.loads(file.read_text(encoding="utf-8"))["cells"]):
            if cell["cell_type"] == "markdown":
                text = "".join(cell["source"]).split("## References")[0]
                text = re.sub(NO_PROSE, " ", text)
                cells.append((file.name[:2], number, text))
    return cells


def first_met(term, lesson, cells):
    """Where a reader meets a term first: (lesson, cell, words there, whether they define it).

    What a lesson's own first cell announces is not met yet.
    """
    words = r"\s+".join(map(re.escape, term.split()))
    words = words[:-1] + "(?:y|ies)" if words.endswith("y") else words + "(?:s|es)?"
    words = re.compile(rf"(?<![\w-]){words}(?![\w+])", re.IGNORECASE)
    for where, number, text in cells:
        text = re.sub(MATH, lambda formula: " " * len(formula[0]), text, flags=re.DOTALL)
        if found := words.search(text):
            bold = any(
                span.start() < found.start() and found.end() < span.end()
                for span in re.finditer(BOLD, text, re.DOTALL)
            )
            if bold or (where, number) != (lesson, 0):
                return where, number, " ".join(text[found.start() :].split()[:8]), bold
    return None


def holds(symbol, text):
    """Whether a formula of the text has the symbol."""
    formulas = " ".join(re.findall(MATH, text, re.DOTALL))
    if symbol.startswith("$"):  # else it is a word, and stands among these
        formulas = re.sub(r"\\(?:text|mathrm)\{\w*\}", " ", formulas)
    return re.search(rf"(?<![A-Za-z\\]){re.escape(symbol.strip('$'))}(?![A-Za-z])", formulas)


def glossary_faults(cells):
    """What keeps a reader of these cells from meeting each term and symbol at its definition first."""
    faults, defined = [], {}
    for term, lesson, _ in TERMS:
        met = first_met(term, lesson, cells)
        if met is None:
            faults.append(f"{term}: in no lesson from 00 to 06")
            continue
        where, number, words, bold = met
        defined[term] = where, number
        if not bold:
            faults.append(f"{term}: used before it is defined, notebook {where}, cell {number}: {words} ...")
        elif where != lesson:
            faults.append(
                f"{term}: docs/glossary.md says lesson {lesson}, notebook {where}, cell {number} has it"
            )
    for symbol, term, *_ in SYMBOLS:
        at = next(cell[:2] for cell in cells if holds(symbol, cell[2]))
        if at != defined.get(term):
            place = "notebook {}, cell {}".format(*defined.get(term, ("?", "?")))
            faults.append(
                f"{symbol}: first in notebook {at[0]}, cell {at[1]}, but {term} is defined in {place}"
            )
    return faults


def test_a_reader_meets_no_term_before_its_definition():
    assert len(TERMS) >= 50 and len(SYMBOLS) >= 14
    names = [term for term, *_ in TERMS]
    assert names == sorted(names, key=str.lower)
    for *_, lesson, file in TERMS + SYMBOLS:
        assert file.startswith(f"notebooks/{lesson}_") and (paths.root() / file).is_file(), file
    faults = glossary_faults(lessons())
    assert not faults, "\n".join(["define (in **bold**) where a reader meets it first:", *faults])


@pytest.mark.parametrize("term, lesson", [("chord", "00"), ("curvature", "02"), ("bootstrapping", "03")])
def test_a_definition_behind_a_use_is_found(term, lesson):
    cells = lessons()
    where, number, *_ = first_met(term, lesson, cells)
    place = next(i for i, cell in enumerate(cells) if cell[:2] == (where, number))
    cells.append(cells.pop(place))
    faults = [fault for fault in glossary_faults(cells) if fault.startswith(f"{term}: ")]
    assert len(faults) == 1 and re.search(r"used before .* notebook 0\d, cell \d+: \w+", faults[0])


@pytest.mark.parametrize("use", ["Chords", "PAIRED ERRORS", "a jump\nmap", "| Euler steps |", "$\\hat x_0$"])
def test_a_use_before_the_definition_is_found(use):
    faults = glossary_faults([("00", 1, use), *lessons()])
    assert faults and "notebook 00, cell 1" in faults[0]


def test_what_is_no_use_is_none():
    passing = "# Chords\n`jump map` sub-paths, unpaired errors, pathos, 2-RF+++"
    assert not glossary_faults([("00", 1, re.sub(NO_PROSE, " ", passing)), *lessons()])


NOTEBOOKS = sorted((paths.root() / "notebooks").glob("[0-9][0-9]_*.ipynb"))
HEADER = r"""# {number} · [^\n]+

\*\*Question\.\*\* [^#*]+\?

\*\*You will be able to\*\*

(?:- [^#*]+(?:\*not\*[^#*]+)?\n){{2,3}}
\*\*Needs:\*\* [^*]+\*\*Level:\*\* (?:introductory|intermediate|advanced)\b[^*]*\*\*Time\b.+

> .*\*\*t = 0 is data, t = 1 is noise"""


def written_cells(file):
    """The cells of a notebook but its exercises, which the course writes."""
    cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if "exercise" not in cell["metadata"].get("tags", [])]


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_opens_with_question_aims_needs_level_and_time(file):
    first = "".join(written_cells(file)[0]["source"])
    assert re.match(HEADER.format(number=file.name[:2]), first, re.DOTALL), first
    assert len(first.splitlines()) <= 16


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_no_code_cell_is_longer_than_a_screen(file):
    for cell in written_cells(file):
        lines = "".join(cell["source"]).splitlines()
        if cell["cell_type"] == "code":
            assert len(lines) <= 25, f"{cell['id']}: {len(lines)} lines; split it where a thought ends"
        assert all(len(line) <= 110 or line.startswith("|") for line in lines), cell["id"]


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_what_a_reader_is_to_predict_is_answered(file):
    said = "\n".join("".join(cell["source"]) for cell in written_cells(file))
    turns = re.findall(r"^\*\*(Predict|Answer):\*\*", said, re.MULTILINE)
    at_least = 2 if file.name[:2] in ("00", "01", "02", "03", "06") else 1
    assert len(turns) >= 2 * at_least and turns == ["Predict", "Answer"] * (len(turns) // 2)
