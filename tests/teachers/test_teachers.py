"""Checkpoints: what is saved comes back to the last bit, what is not whole or ours is refused in one line.

import-teacher makes a release's file this kit's: the same velocity, its origin in the header.
"""

import hashlib
import json

import pytest
import torch
from checkpoint_files import rectified_flow_content
from helpers import NETS, randomise
from safetensors.torch import load_file, save_file
from test_edm_files import saved as saved_edm
from test_rectified_flow_files import saved as saved_rectified_flow
from test_rectified_flow_files import tiny_tensors

from traflow_lib import cli, nets
from traflow_lib.jump import JumpMap
from traflow_lib.teachers import load_network, load_teacher, read_header, save_network


@pytest.fixture
def checkpoint(tmp_path):
    """A small MLP's file."""
    config, _ = NETS["mlp"]
    save_network(tmp_path / "model.safetensors", randomise(nets.build(config)), config)
    return tmp_path / "model.safetensors"


def rewritten(file, tensors):
    """The same header over other tensors."""
    save_file(tensors, file, metadata={"network": json.dumps(read_header(file)["network"])})


@pytest.mark.parametrize("s_input", [False, True])
@pytest.mark.parametrize("kind", NETS)
def test_saved_network_comes_back_to_the_last_bit(tmp_path, kind, s_input):
    config, shape = NETS[kind]
    net = randomise(nets.build(config, s_input=s_input))
    save_network(tmp_path / "new" / "model.safetensors", net, config, s_input=s_input, training={"steps": 7})
    back, header = load_network(tmp_path / "new" / "model.safetensors")
    x, t, s = torch.randn(3, *shape), torch.rand(3), torch.rand(3)
    assert torch.equal(back(x, t, s), net(x, t, s)) and not back.training
    assert header["network"] == config and header["training"] == {"steps": 7}


@pytest.mark.parametrize("kind", NETS)
def test_loaded_teacher_is_a_velocity_field_at_one_time_or_one_a_sample(tmp_path, kind):
    config, shape = NETS[kind]
    net = randomise(nets.build(config))
    save_network(tmp_path / "teacher.safetensors", net, config)
    teacher, x = load_teacher(str(tmp_path / "teacher.safetensors")), torch.randn(3, *shape)
    assert torch.equal(teacher(x, 0.3), net(x, torch.full((3,), 0.3))) and torch.equal(
        teacher(x, torch.full((3,), 0.3)), teacher(x, 0.3)
    )
    assert not teacher(x.requires_grad_(), 0.3).requires_grad


@pytest.mark.parametrize("kind", NETS)
def test_teacher_in_bf16_is_close_and_answers_in_float32(tmp_path, kind):
    config, shape = NETS[kind]
    save_network(tmp_path / "teacher.safetensors", randomise(nets.build(config)), config)
    x = torch.randn(3, *shape)
    exact, rounded = (
        load_teacher(tmp_path / "teacher.safetensors", precision)(x, 0.3) for precision in ("fp32", "bf16")
    )
    assert rounded.dtype == torch.float32 and 0 < (exact - rounded).norm() <= 0.05 * exact.norm()


def test_velocity_field_of_a_student_is_its_average_velocity_over_no_time(tmp_path):
    config, shape = NETS["mlp"]
    net = randomise(nets.build(config, s_input=True))
    save_network(tmp_path / "student.safetensors", net, config, s_input=True)
    x, t = torch.randn(5, *shape), torch.rand(5)
    assert torch.allclose(
        load_teacher(tmp_path / "student.safetensors")(x, t), JumpMap(net).average_velocity(x, t, t)
    )


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no checkpoint .*none.safetensors"):
        load_network(tmp_path / "none.safetensors")


@pytest.mark.parametrize("keep", [0, 5, 0.5, 0.99])
def test_truncated_file_is_refused_in_one_line(checkpoint, keep):
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[: keep if isinstance(keep, int) else int(keep * len(content))])
    with pytest.raises(ValueError, match="model.safetensors is not a whole safetensors file") as error:
        load_network(checkpoint)
    assert "\n" not in str(error.value)


def test_foreign_safetensors_file_is_refused_in_one_line(tmp_path):
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match="other.safetensors was not written by this kit") as error:
        load_network(tmp_path / "other.safetensors")
    assert "\n" not in str(error.value)


def renamed(tensors):
    return {("exit.weight" if name == "outlet.weight" else name): value for name, value in tensors.items()}


def missing(tensors):
    return {name: value for name, value in tensors.items() if name != "outlet.weight"}


def reshaped(tensors):
    return tensors | {"outlet.weight": tensors["outlet.weight"].T.contiguous()}


@pytest.mark.parametrize("damage", [renamed, missing, reshaped])
def test_tensors_that_do_not_fit_are_refused_in_one_line_that_names_one(checkpoint, damage):
    rewritten(checkpoint, damage(load_file(checkpoint)))
    with pytest.raises(ValueError, match="outlet.weight") as error:
        load_network(checkpoint)
    assert "\n" not in str(error.value)


def release(folder, kind):
    return (
        saved_rectified_flow(folder, rectified_flow_content(tiny_tensors()))
        if kind == "RectifiedFlow"
        else saved_edm(folder, kind)
    )


@pytest.mark.parametrize("kind", ["RectifiedFlow", "SongUNet", "DhariwalUNet"])
def test_imported_teacher_is_the_same_velocity_and_knows_its_source(tmp_path, capsys, kind):
    path, x = release(tmp_path, kind), torch.randn(2, 3, 16, 16)
    assert cli.main(["import-teacher", str(path), "--out", str(tmp_path / "new" / "own.safetensors")]) == 0
    assert capsys.readouterr().out.count("\n") == 1
    assert torch.equal(load_teacher(tmp_path / "new" / "own.safetensors")(x, 0.4), load_teacher(path)(x, 0.4))
    source = read_header(tmp_path / "new" / "own.safetensors")["source"]
    assert (
        source["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        and source["file"] == path.name
        and source["weights"] == "EMA"
    )


def test_default_place_is_beside_the_file_and_sample_draws_from_it(tmp_path, capsys):
    path = release(tmp_path, "SongUNet")
    assert cli.main(["import-teacher", str(path)]) == 0
    assert (
        cli.main(
            [
                "sample",
                str(tmp_path / "teacher.safetensors"),
                "--samples",
                "2",
                "--out",
                str(tmp_path / "x.pt"),
            ]
        )
        == 0
    )
    assert torch.load(tmp_path / "x.pt").shape == (2, 3, 16, 16)


@pytest.mark.parametrize(
    "name, reason",
    [
        ("none.pkl", "there is no checkpoint"),
        ("bad.pkl", "not a whole file"),
        ("own.safetensors", "no checkpoint of a release"),
    ],
)
def test_what_cannot_be_imported_is_one_line_on_stderr(tmp_path, capsys, name, reason):
    if name != "none.pkl":
        (tmp_path / name).write_bytes(b"\x80\x04")
    assert cli.main(["import-teacher", str(tmp_path / name)]) == 2
    err = capsys.readouterr().err
    assert reason in err and err.count("\n") == 1
