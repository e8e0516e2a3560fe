"""The command sample: class, solver, and a file that is what its name says."""

import numpy as np
import pytest
import torch
from PIL import Image

from traflow_lib import nets
from traflow_lib.cli import main
from traflow_lib.data import sample_files
from traflow_lib.evaluation.features import to_uint8
from traflow_lib.files import paths
from traflow_lib.jump import JumpMap
from traflow_lib.pairs import sample_noise
from traflow_lib.solvers import solve
from traflow_lib.teachers import VelocityField, load_network, save_network

STUDENT = paths.committed("checkpoints", "digits-traflow-seed0-587dafc3db.safetensors")
TEACHER = paths.committed("checkpoints", "digits-teacher-91fe64c61e.safetensors")


def sample(checkpoint, out, *words) -> int:
    return main(["sample", str(checkpoint), "--samples", "5", "--out", str(out), *map(str, words)])


@pytest.fixture
def conditional(tmp_path):
    """A small network of three classes."""
    config = {"kind": "adm", "size": 8, "width": 8, "multipliers": [1], "blocks": 1, "attention": []}
    config |= {"classes": 3}
    file = tmp_path / "conditional.safetensors"
    net = nets.build(config)
    with torch.no_grad():
        for weight in net.parameters():
            weight.normal_(0, 0.2)
    save_network(file, net, config)
    return file


@pytest.mark.parametrize("name", ["x.pt", "x.npz", "x"])
def test_every_name_holds_the_same_samples(tmp_path, name, capsys):
    assert sample(STUDENT, tmp_path / name) == 0
    assert f"5 samples with 1 call each, shape (5, 1, 8, 8), in {tmp_path / name}" in capsys.readouterr().out
    net, _ = load_network(STUDENT)
    expected = to_uint8(JumpMap(net).sample(sample_noise(0, 0, 5, (1, 8, 8))))
    assert torch.equal(to_uint8(sample_files.read(tmp_path / name)[:]), expected)


def test_a_png_is_one_picture_of_all(tmp_path):
    assert sample(STUDENT, tmp_path / "x.png") == 0
    with Image.open(tmp_path / "x.png") as image:
        assert image.format == "PNG" and image.size == (24, 16) and image.mode == "L"


@pytest.mark.parametrize("solver, options, steps, calls", [
    ("heun", ("--steps", 3), {"steps": 3}, 6), ("euler", ("--steps", 5), {"steps": 5}, 5),
    ("dopri5", ("--tol", "1e-2"), {"tol": 1e-2}, None),
])  # fmt: skip
def test_a_solver_follows_the_teachers_flow(tmp_path, capsys, solver, options, steps, calls):
    if solver == "dopri5":
        pytest.importorskip("torchdiffeq")
    assert sample(TEACHER, tmp_path / "x.pt", "--solver", solver, *options) == 0
    out = capsys.readouterr().out
    assert f" by {solver}, shape" in out and "is a teacher" not in out
    assert calls is None or f"with {calls} calls each" in out
    velocity = VelocityField(load_network(TEACHER)[0])
    expected = solve(velocity, sample_noise(0, 0, 5, (1, 8, 8)), method=solver, **steps).x
    assert torch.allclose(torch.load(tmp_path / "x.pt"), expected, atol=1e-5)


@pytest.mark.parametrize("checkpoint, is_said", [(TEACHER, True), (STUDENT, False)])
def test_a_teacher_in_one_step_is_said_to_be_one(tmp_path, capsys, checkpoint, is_said):
    assert sample(checkpoint, tmp_path / "x.pt") == 0
    assert ("is a teacher, whose flow 1 call cannot follow" in capsys.readouterr().out) == is_said


@pytest.mark.parametrize("options", [(), ("--solver", "midpoint", "--steps", 2)])
def test_one_class_is_drawn_when_it_is_asked_for(tmp_path, conditional, options):
    drawn = []
    for label in ((), ("--label", 0), ("--label", 2)):
        out = tmp_path / f"{len(drawn)}.npz"
        assert sample(conditional, out, *options, *label) == 0
        drawn.append(np.load(out))
    anything, zeros, twos = drawn
    assert zeros["arr_1"].tolist() == [0] * 5 and twos["arr_1"].tolist() == [2] * 5
    assert (zeros["arr_0"] != twos["arr_0"]).any()
    same = anything["arr_1"] == 2
    assert same.any() and np.array_equal(anything["arr_0"][same], twos["arr_0"][same])


@pytest.mark.parametrize("words, complaint", [
    (("--label", 3), "--label is 3; classes of conditional.safetensors are 0 to 2"),
    (("--label", -1), "--label is -1; classes"), (("--solver", "leapfrog"), "unknown solver 'leapfrog'"),
    (("--steps", 0), "--steps is 0"), (("--samples", 0), "--samples is 0 and --batch 500"),
    (("--out", "x.jpg"), "samples cannot be written as x.jpg; there are .pt, .npz, .png"),
])  # fmt: skip
def test_wrong_options_are_one_line_and_leave_nothing(tmp_path, conditional, capsys, words, complaint):
    assert sample(conditional, tmp_path / "x.pt", *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert complaint in line and not (tmp_path / "x.pt").exists()
    assert sample(STUDENT, tmp_path / "x.pt", "--label", 0) == 2
    assert "has no classes: leave --label out" in capsys.readouterr().err
