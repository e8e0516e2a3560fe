"""The rooms of the library import one way only, nothing in a circle, and none of them an optional package."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "traflow_lib"
# from the bottom up: a room may import those of its own level and of the levels below
LEVELS = [
    {"files"},
    {"flow", "randomness"},
    {"nets", "jump", "solvers"},
    {"batch"},
    {"teachers", "data", "pairs"},
    {"objectives"},
    {"evaluation", "training"},
    {"student"},
    {"__init__"},
    {"experiments"},
    {"reports"},
    {"cli"},
    {"__main__"},
]
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}


def modules(package: Path) -> dict[str, Path]:
    """Every module's name below the package ("nets.mlp"; a folder's __init__ is the folder) and its file."""
    found = {}
    for path in package.rglob("*.py"):
        parts = path.relative_to(package).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)] = path
    return found


def imports(name: str, path: Path, known: set[str]) -> set[str]:
    """The package's modules that a module imports anywhere in its text, inside functions too."""
    package = name.split(".") if path.name == "__init__.py" and name != "__init__" else name.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            targets = [
                alias.name.split(".") for alias in node.names if alias.name.split(".")[0] == "traflow_lib"
            ]
            found |= {".".join(target[1:]) or "__init__" for target in targets}
        elif isinstance(node, ast.ImportFrom):
            base = node.module.split(".") if node.module else []
            if node.level:
                base = package[: len(package) - node.level + 1] + base
            elif base[:1] == ["traflow_lib"]:
                base = base[1:]
            else:
                continue
            for alias in node.names:
                whole = ".".join([*base, alias.name])
                found.add(whole if whole in known else ".".join(base) or "__init__")
    return found - {name}


def arrows(package: Path) -> dict[str, set[str]]:
    files = modules(package)
    return {name: imports(name, path, set(files)) for name, path in files.items()}


def upward(graph: dict[str, set[str]]) -> list[str]:
    """The imports that lead from a room to one above it."""

    def level(module: str) -> int:
        return LEVEL[module.split(".")[0]]

    return sorted(
        f"{one} imports {other}" for one in graph for other in graph[one] if level(other) > level(one)
    )


def circle(graph: dict[str, set[str]]) -> list[str]:
    """What is left when everything that imports nothing of the rest is taken away again and again.

    The circles.
    """
    left = dict(graph)
    while free := [name for name, needs in left.items() if not needs & left.keys()]:
        for name in free:
            del left[name]
    return sorted(left)


def rooms(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """The same arrows between rooms (the package's direct children)."""
    found = {}
    for name, needs in graph.items():
        room = name.split(".")[0]
        found.setdefault(room, set()).update({need.split(".")[0] for need in needs} - {room})
    return found


def test_every_room_has_its_level():
    assert {name.split(".")[0] for name in modules(PACKAGE)} <= LEVEL.keys(), (
        "a new room: give it a level here"
    )


def test_no_room_imports_one_above_it():
    assert upward(arrows(PACKAGE)) == []


def test_no_circle_of_modules_or_rooms():
    graph = arrows(PACKAGE)
    assert circle(graph) == []
    assert circle(rooms(graph)) == []


def test_the_top_of_the_package_can_be_read_at_a_glance():
    assert len([path for path in PACKAGE.iterdir() if path.name != "__pycache__"]) <= 20


@pytest.mark.parametrize(
    ("files", "faults"),
    [
        ({"flow.py": "from .evaluation import frechet"}, ["flow imports evaluation.frechet"]),
        (
            {"flow.py": "def f():\n    import traflow_lib.evaluation.frechet"},
            ["flow imports evaluation.frechet"],
        ),
        (
            {"nets/mlp.py": "from ..evaluation.frechet import distance"},
            ["nets.mlp imports evaluation.frechet"],
        ),
        ({"evaluation/frechet.py": "from ..flow import chord"}, []),
    ],
)
def test_the_reading_itself_finds_what_is_wrong(tmp_path, files, faults):
    start = {"flow.py": "", "nets/__init__.py": "", "evaluation/__init__.py": "", "evaluation/frechet.py": ""}
    for name, text in (start | files).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert upward(arrows(tmp_path)) == faults


def test_the_reading_itself_finds_circles(tmp_path):
    (tmp_path / "flow.py").write_text("from . import jump")
    (tmp_path / "jump.py").write_text("def late():\n    from .flow import chord")
    assert circle(arrows(tmp_path)) == ["flow", "jump"]


SCRIPT = '''
import sys

BLOCKED = {"jupyter", "ipykernel", "papermill", "cleanfid", "ot", "matplotlib", "seaborn", "nbformat",
           "snakemake", "torchdiffeq", "torchvision", "pandas", "jinja2", "typer", "diffusers",
           "torchmetrics", "timm", "lpips"}

class Without:
    """A finder that sees none of the blocked packages, so that they look as if they were not installed."""
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in BLOCKED else self.finder.find_spec(name, path, target)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
import importlib.util, pkgutil
import traflow_lib

for module in pkgutil.walk_packages(traflow_lib.__path__, "traflow_lib."):
    # tables, figures and the command line may ask for more: nothing that trains or measures imports them
    if not module.name.startswith(("traflow_lib.cli", "traflow_lib.reports", "traflow_lib.__main__")):
        importlib.import_module(module.name)
assert not BLOCKED & set(sys.modules)
assert not any(importlib.util.find_spec(name) for name in BLOCKED)

import torch
from traflow_lib.experiments import recipes
from traflow_lib.experiments.experiment import Experiment
from traflow_lib.pairs import sample_noise

torch.set_num_threads(1)
student = Experiment(recipes.load("04_traflow_2d", "smoke"), "checkerboard").student("traflow")
assert student.sample(sample_noise(0, 0, 5, (2,)), 2).isfinite().all()
print("sampled")
'''


def test_library_trains_and_samples_without_the_optional_packages(tmp_path):
    environment = os.environ | {"TRAFLOW_RUNS": str(tmp_path), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert (
        "training teacher" in result.stdout
        and "training traflow" in result.stdout
        and "sampled" in result.stdout
    )
