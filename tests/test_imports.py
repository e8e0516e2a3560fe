"""The library needs none of the optional packages to train and sample: GPU machines often lack them."""

import os
import subprocess
import sys

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
