"""RectifiedFlow's .pth: the full network in its exact format, any size by the described network, and what is
refused.
"""

import os

import pytest
import torch
from checkpoint_files import RunsCode, fill, rectified_flow_content, schemas
from test_nets import Reference

from traflow_lib import nets
from traflow_lib.nets.ddpmpp import DDPMpp
from traflow_lib.teachers import load_network, load_teacher

SCHEMA = schemas()["rectified_flow_cifar10"]
TINY = {"width": 8, "multipliers": (1, 2), "blocks": 1, "attention": (16,)}


def tiny_tensors(**changes):
    with torch.device("meta"):
        net = DDPMpp(**TINY | changes)
    return fill([[name, list(value.shape)] for name, value in net.named_parameters()])


@pytest.fixture
def content():
    return rectified_flow_content(tiny_tensors())


def saved(folder, content):
    torch.save(content, folder / "teacher.pth")
    return folder / "teacher.pth"


def refusal(path) -> str:
    """The reason, in one line, why the file is not read."""
    with pytest.raises(ValueError) as error:
        load_teacher(path)
    assert "\n" not in str(error.value) and "teacher.pth" in str(error.value)
    return str(error.value)


def theirs(tensors, x, t, **layout):
    """The release's velocity in our time: -v(x, 1 - t)."""
    return -Reference(tensors, **layout)(x, 1 - t)


def test_full_official_checkpoint_loads_and_computes_what_is_described(tmp_path):
    tensors = fill(SCHEMA["parameters"])
    path = saved(tmp_path, rectified_flow_content(tensors))
    net, header = load_network(path)
    path.unlink()  # half a gigabyte
    assert sum(p.numel() for p in net.parameters()) == 61_804_419
    assert header["network"] == {
        "kind": "ddpmpp",
        "size": 32,
        "channels": 3,
        "width": 128,
        "multipliers": [1, 2, 2, 2],
        "blocks": 4,
        "attention": [16],
        "clock": "1-t",
    }
    assert header["source"] == {
        "format": "RectifiedFlow",
        "file": "teacher.pth",
        "weights": "EMA",
        "ema_decay": 0.999999,
        "step": 600_000,
    }
    x, t = torch.randn(1, 3, 32, 32), torch.tensor([0.3])
    with torch.no_grad():
        expected = theirs(tensors, x, t, width=128, multipliers=(1, 2, 2, 2), blocks=4, attention=(16,))
        assert expected.std() > 0.1 and torch.allclose(net(x, t), expected, atol=1e-4)


@pytest.mark.parametrize("t", [0.0, 0.01, 0.3, 0.7, 0.99, 1.0])
def test_tiny_checkpoint_computes_what_is_described_at_every_time(tmp_path, content, t):
    teacher, x = load_teacher(saved(tmp_path, content)), torch.randn(2, 3, 32, 32)
    expected = theirs(tiny_tensors(), x, torch.full((2,), t), **TINY)
    assert expected.std() > 0.1 and torch.allclose(teacher(x, t), expected, atol=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {"multipliers": (1, 1, 2), "blocks": 2},
        {"multipliers": (2, 2, 2)},
        {"attention": (32, 16)},
        {"channels": 1},
    ],
    ids=str,
)
def test_the_layout_is_found_from_the_tensors(tmp_path, changes):
    tensors = tiny_tensors(**changes)
    teacher = load_teacher(saved(tmp_path, rectified_flow_content(tensors)))
    x, t = torch.randn(2, changes.get("channels", 3), 32, 32), torch.rand(2)
    layout = {name: value for name, value in (TINY | changes).items() if name != "channels"}
    assert torch.allclose(teacher(x, t), theirs(tensors, x, t, **layout), atol=1e-4)


def test_a_student_starts_from_the_release_exactly(tmp_path, content):
    teacher, header = load_network(saved(tmp_path, content))
    student = nets.warm_start(nets.build(header["network"], s_input=True), teacher).eval()
    x, t = torch.randn(2, 3, 32, 32), torch.rand(2)
    assert torch.equal(student(x, t, t / 2), teacher(x, t))


def test_weights_saved_without_data_parallel_are_the_same(tmp_path, content):
    content["model"] = {name.removeprefix("module."): value for name, value in content["model"].items()}
    load_teacher(saved(tmp_path, content))


@pytest.mark.parametrize(
    "name",
    [
        "all_modules.0.weight",
        "all_modules.3.Conv_0.weight",
        "all_modules.4.Conv_2.bias",
        "all_modules.6.NIN_1.W",
    ],
)
def test_renamed_key_is_named(tmp_path, content, name):
    content["model"]["module.other." + name] = content["model"].pop("module." + name)
    assert f"{name} is missing" in refusal(saved(tmp_path, content))


def test_extra_key_is_named(tmp_path, content):
    content["model"]["module.extra.weight"] = torch.zeros(2)
    assert "extra.weight is not part of the network" in refusal(saved(tmp_path, content))


@pytest.mark.parametrize("part", ["model", "ema"])
def test_wrong_shape_is_named(tmp_path, content, part):
    name = "all_modules.3.Dense_0.bias"
    if part == "model":
        content["model"]["module." + name] = torch.zeros(5)
    else:
        content["ema"]["shadow_params"][list(tiny_tensors()).index(name)] = torch.zeros(5)
    assert f"{name} has shape [5] instead of [8]" in refusal(saved(tmp_path, content))


@pytest.mark.parametrize("index", [0, 11, -1])
def test_missing_shadow_tensor_is_refused(tmp_path, content, index):
    n = len(content["ema"]["shadow_params"])
    del content["ema"]["shadow_params"][index]
    assert f"shadow_params) has {n - 1} tensors instead of {n}" in refusal(saved(tmp_path, content))


@pytest.mark.parametrize("key", ["model", "ema"])
def test_file_without_a_part_is_refused(tmp_path, content, key):
    del content[key]
    assert f"'{key}'" in refusal(saved(tmp_path, content))


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.999])
def test_truncated_file_is_refused(tmp_path, content, keep):
    path = saved(tmp_path, content)
    data = path.read_bytes()
    path.write_bytes(data[: keep if isinstance(keep, int) else int(keep * len(data))])
    assert "not a whole file" in refusal(path)


def test_file_that_would_run_code_is_refused_and_does_not(tmp_path, content):
    content["step"] = RunsCode(os.mkdir, str(tmp_path / "made"))
    assert "refused: it holds posix.mkdir" in refusal(saved(tmp_path, content))
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "model",
    [
        {},
        {"module.all_modules.0.weight": torch.zeros(())},
        {"module.all_modules.3.Conv_0.weight": torch.zeros(8)},
        5,
    ],
    ids=str,
)
def test_other_content_is_refused(tmp_path, content, model):
    reason = refusal(saved(tmp_path, content | {"model": model}))
    assert "does not fit the network" in reason or "not a RectifiedFlow checkpoint" in reason


def test_torchcfm_checkpoint_is_refused_by_name(tmp_path):
    assert "TorchCFM" in refusal(
        saved(tmp_path, {"net_model": {}, "ema_model": {}, "sched": {}, "optim": {}, "step": 1})
    )
