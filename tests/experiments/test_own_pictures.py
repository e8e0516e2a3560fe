"""A recipe on a person's own folder of pictures: from the pictures to a student."""

import numpy as np
import pytest
from image_files import picture_of

from traflow_lib.cli import main
from traflow_lib.data import images
from traflow_lib.evaluation.features import to_uint8
from traflow_lib.experiments import recipes
from traflow_lib.experiments.experiment import Experiment
from traflow_lib.experiments.settings import identity

pytestmark = [
    pytest.mark.usefixtures("generated_files"),
    pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated"),  # Inception's weights
]


@pytest.fixture
def pictures(tmp_path):
    for number in range(20):
        picture_of(tmp_path / "my pictures" / "ab"[number % 2] / f"{number}.png", "L", (12, 10), number)
    return tmp_path / "my pictures"


def test_a_recipe_takes_a_folder_and_knows_its_contents(pictures, tmp_path):
    recipe = recipes.load("06_digits", "smoke")
    recipe = {key: value for key, value in recipe.items() if key not in ("classifier", "watch", "dataset")}
    experiment = Experiment(recipe, f"folder:{pictures}@8")
    assert experiment.shape == (1, 8, 8) and experiment.data(3, seed=0).shape == (3, 1, 8, 8)
    model = experiment.model("traflow", 0)
    assert model.was_trained and model.file.parent.parent == tmp_path / "runs"
    assert model.file.parent.name.startswith("folder-my-pictures@8-traflow-seed0-")
    (tmp_path / "new").mkdir()
    moved = Experiment(recipe, f"folder:{pictures.rename(tmp_path / 'new' / pictures.name)}@8")
    assert moved.model("traflow", 0).file == model.file
    before = identity(moved.teacher_settings())
    picture_of(tmp_path / "new" / pictures.name / "a" / "0.png", "L", (12, 10), 99)
    assert identity(moved.teacher_settings()) != before


def test_the_command_data_prepares_a_folder(pictures, capsys):
    (pictures / "IMG_1.heic").write_bytes(b"")
    assert main(["data", f"folder:{pictures}@8"]) == 0
    out = capsys.readouterr().out
    assert "20 images of shape (1, 8, 8), 2 classes (a, b), 1 files of other kinds left out, cache " in out
    assert main(["data", f"folder:{pictures}@80"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "0.png has 12x10 pixels, fewer than size 80" in line and "(and 19 more of 20 files)" in line


def test_a_folder_is_a_reference_to_measure_with(pictures, tmp_path, stand_in, capsys):
    own = f"folder:{pictures}@8"
    found = images.load(own)[0]
    np.savez(tmp_path / "samples.npz", to_uint8(found[:]).permute(0, 2, 3, 1).numpy())
    assert main(["evaluate", str(tmp_path / "samples.npz"), "--data", own, "--metric", "kid"]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert "| samples, files: 20 images" in line and f"against 20 of {own} (all)" in line
