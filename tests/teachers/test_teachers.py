"""Checkpoints: what is saved comes back to the last bit, and a file that is not whole or not ours is refused
in one line.
"""

import json

import pytest
import torch
from helpers import NETS, randomise
from safetensors.torch import load_file, save_file

from traflow_lib import nets
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
