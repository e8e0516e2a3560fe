"""A student of anyone's network: its samples are its jumps, and what was saved is what was loaded."""

import pytest
import torch
from torch import nn

from traflow_lib import cli, nets
from traflow_lib.evaluation import records
from traflow_lib.files.checksums import tensor_sha256
from traflow_lib.flow import GaussianFlow, expand
from traflow_lib.jump import JumpMap
from traflow_lib.pairs import sample_labels, sample_noise
from traflow_lib.student import Student, load
from traflow_lib.teachers import save_network


class ExactJump(nn.Module):
    """The average velocity of a Gaussian flow, whose jump map is known in closed form; per class its own."""

    def __init__(self, classes: int = 0):
        super().__init__()
        means = [torch.full((2,), float(3 * label)) for label in range(max(classes, 1))]
        self.flows = [GaussianFlow(mean, torch.eye(2) * 0.25) for mean in means]
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x, t, s, label=None):
        label = torch.zeros(len(x), dtype=torch.long) if label is None else label
        gap = (s - t).clamp(max=-1e-6)
        jumps = torch.stack([flow.jump(x, t, s) for flow in self.flows])
        return self.scale * (jumps[label, torch.arange(len(x))] - x) / expand(gap, x)


def image_student(channels: int = 3) -> Student:
    torch.manual_seed(0)
    net = nets.build({"kind": "ddpmpp", "size": 8, "channels": channels, "width": 8, "multipliers": [1, 2],
                      "blocks": 1, "attention": []}, s_input=True)  # fmt: skip
    return Student(net, (channels, 8, 8))


@pytest.mark.parametrize("calls", [1, 2, 5])
def test_samples_of_the_exact_jump_are_the_flows_own(calls):
    student, noise = Student(ExactJump(), (2,)), sample_noise(4, 0, 50, (2,))
    exact = student.net.flows[0].jump(noise, torch.ones(50), torch.zeros(50))
    torch.testing.assert_close(student.sample(50, calls=calls, seed=4), exact, atol=1e-4, rtol=0)


def test_a_sample_depends_on_seed_and_index_alone(monkeypatch):
    student = Student(ExactJump(classes=3), (2,), classes=3)
    whole = student.sample(20, seed=1)
    monkeypatch.setattr("traflow_lib.student.student.chunk", lambda shape: 7)
    torch.testing.assert_close(student.sample(12, seed=1), whole[:12])
    assert not torch.equal(student.sample(12, seed=2), whole[:12])
    drawn = sample_labels(1, 0, 20, 3)
    torch.testing.assert_close(student.sample(20, seed=1, label=drawn), whole)


def test_a_class_that_is_asked_for_is_drawn():
    student = Student(ExactJump(classes=3), (2,), classes=3)
    for label in range(3):
        assert (student.sample(500, label=label).mean() - 3 * label).abs() < 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n is 0: a whole number of at least 1"),
        ({"n": 2.0}, "n is 2.0: a whole number"),
        ({"calls": 0}, "calls is 0: a whole number of at least 1"),
        ({"calls": (1, 2)}, r"calls is \(1, 2\): a whole number"),
        ({"seed": -1}, "seed is -1: a whole number of at least 0"),
        ({"seed": None}, "seed is None: a whole number"),
        ({"label": 3}, "label must be an integer from 0 to 2, or one for each of 4"),
        ({"label": 0.5}, "label must be an integer from 0 to 2, or one for each of 4"),
        ({"label": torch.zeros(3, dtype=torch.long)}, "label must be an integer from 0 to 2"),
    ],
)
def test_what_is_out_of_range_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        Student(ExactJump(classes=3), (2,), classes=3).sample(**{"n": 4} | options)


def test_a_label_for_a_student_without_classes_and_broken_weights_are_refused():
    student = Student(ExactJump(), (2,))
    with pytest.raises(ValueError, match="this network knows no classes"):
        student.sample(4, label=0)
    student.net.scale.data.fill_(float("nan"))
    with pytest.raises(ValueError, match="4 of 4 samples are NaN or infinite"):
        student.sample(4)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_pictures_hold_the_nearest_bytes_and_a_grid_puts_them_side_by_side(channels, mode):
    student = image_student(channels)
    x, pictures = student.sample(5, calls=2, seed=3), student.to_images(5, calls=2, seed=3)
    assert all(picture.mode == mode and picture.size == (8, 8) for picture in pictures)
    seen = torch.frombuffer(bytearray(pictures[4].tobytes()), dtype=torch.uint8).view(8, 8, channels)
    assert torch.equal(seen.permute(2, 0, 1), ((x[4] + 1) * 127.5).round().clamp(0, 255).to(torch.uint8))
    sheet = student.grid(5, calls=2, seed=3, columns=3)
    assert sheet.size == (24, 16) and sheet.crop((8, 8, 16, 16)).tobytes() == pictures[4].tobytes()


def test_points_are_no_pictures():
    with pytest.raises(ValueError, match="samples of shape .* are no pictures"):
        Student(ExactJump(), (2,)).grid()
    with pytest.raises(ValueError, match="columns is 0: a whole number"):
        image_student().grid(2, columns=0)


def test_what_was_saved_is_what_was_loaded(tmp_path):
    student = image_student()
    student.header["method"] = "traflow"
    file = student.save(str(tmp_path / "folder" / "mine.safetensors"))
    fresh = image_student().net
    nn.init.zeros_(next(fresh.parameters()))
    again = load(str(file), network=fresh)
    assert repr(again).startswith("Student of (3, 8, 8), ") and "\n" not in repr(again)
    assert torch.equal(again.sample(3, seed=5), student.sample(3, seed=5))
    assert again.header["method"] == "traflow" and again.shape == (3, 8, 8) and again.classes == 0
    assert torch.equal(load(file, network=lambda: image_student().net).sample(3), student.sample(3))


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (
            torch.zeros(3, 3, 8, 8, dtype=torch.uint8),
            {},
            "number of pictures is 3: a whole number of at least 4",
        ),
        (torch.zeros(9, 3, 8, 8, dtype=torch.uint8), {"n": 1}, "n is 1: a whole number of at least 4"),
        (torch.zeros(9, 3, 8, 8, dtype=torch.uint8), {"calls": 2}, r"calls is 2: a tuple of them, \(2,\)"),
        (torch.zeros(9, 1, 8, 8, dtype=torch.uint8), {}, "the data have samples of .*, the student of"),
        (torch.rand(9, 3, 8, 8), {}, "floats needs value_range"),
        ("pictures", {}, "unknown image data set 'pictures'"),
    ],
)
def test_what_cannot_be_measured_is_named(data, options, message):
    with pytest.raises(ValueError, match=message):
        image_student().evaluate(data, **options)


def test_records_name_the_data_and_whether_they_stand_in_for_others(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAFLOW_RESULTS", str(tmp_path / "results"))
    student, array = image_student(3), torch.arange(8 * 3 * 64).reshape(8, 3, 8, 8).to(torch.uint8)
    student.evaluate(array, calls=[1], n=8)
    assert not (tmp_path / "results").exists()  # a student without a file cannot be found again
    student.save(tmp_path / "mine.safetensors")
    for data in ("shapes8x3", array):
        student.evaluate(data, calls=[1], n=8)
    found = [row for row in records.load(tmp_path / "results/records") if row["method"] == "mine"]
    assert [(row["dataset"], row["stand_in"]) for row in found] == [
        (f"pictures-{tensor_sha256(array)[:10]}", False),
        ("shapes8x3", True),
    ]


def test_the_kits_own_students_need_no_network_and_yours_do(tmp_path, capsys):
    student = image_student()
    config = {"kind": "ddpmpp", "size": 8, "channels": 3, "width": 8, "multipliers": [1, 2], "blocks": 1,
              "attention": []}  # fmt: skip
    save_network(tmp_path / "kit.safetensors", student.net, config, s_input=True)
    assert torch.equal(load(tmp_path / "kit.safetensors").sample(3), student.sample(3))
    with pytest.raises(ValueError, match=r"load\(file, network=...\)"):
        load(student.save(tmp_path / "yours.safetensors"))
    with pytest.raises(ValueError, match="does not fit the network"):
        load(tmp_path / "yours.safetensors", network=image_student(1).net)
    for network in ("MyNet", lambda: None):
        with pytest.raises(ValueError, match="is, or makes, .*, not a torch module"):
            load(tmp_path / "yours.safetensors", network=network)
    with pytest.raises(ValueError, match="is a folder; name the file in it"):
        load(tmp_path)
    with pytest.raises(ValueError, match="is a folder; name a file"):
        student.save(tmp_path)
    assert cli.main(["sample", str(tmp_path / "yours.safetensors")]) == 2
    assert "the weights of a network of your own: in Python, traflow_lib.load" in capsys.readouterr().err
    with pytest.raises(FileNotFoundError, match="there is no checkpoint"):
        load(tmp_path / "none.safetensors")


def test_a_jump_map_is_what_a_student_holds():
    """Two calls of a student are two jumps of its map."""
    student, noise = image_student(), sample_noise(0, 0, 2, (3, 8, 8))
    jump = JumpMap(student.net.eval())
    with torch.no_grad():
        assert torch.allclose(student.sample(2, calls=2), jump(jump(noise, 1.0, 0.5), 0.5, 0.0), atol=1e-6)
