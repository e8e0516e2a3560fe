"""EDM's .pkl: both U-Nets by their description, schemas of the three releases, the preconditioning as a
velocity, and what is refused.
"""

import builtins
import os

import pytest
import torch
from checkpoint_files import RunsCode, Stored, edm_network, fill, layout, network, schemas, write_pickle

from traflow_lib import nets
from traflow_lib.teachers import load_network, load_teacher, releases

SCHEMAS = schemas()
TINY = {
    "SongUNet": {
        "size": 16,
        "width": 8,
        "multipliers": (2, 1, 2),
        "blocks": 1,
        "attention": (8,),
        "augment": 9,
    },
    "DhariwalUNet": {
        "size": 16,
        "width": 64,
        "multipliers": (1, 2),
        "blocks": 1,
        "attention": (8,),
        "classes": 5,
    },
}
OFFICIAL = {
    "edm_cifar10_uncond_vp": {
        "size": 32,
        "width": 128,
        "multipliers": (2, 2, 2),
        "blocks": 4,
        "attention": (16,),
        "augment": 9,
    },
    "edm_ffhq64_uncond_vp": {
        "size": 64,
        "width": 128,
        "multipliers": (1, 2, 2, 2),
        "blocks": 4,
        "attention": (16,),
        "augment": 9,
    },
    "edm_imagenet64_cond_adm": {
        "size": 64,
        "width": 192,
        "multipliers": (1, 2, 3, 4),
        "blocks": 3,
        "attention": (32, 16, 8),
        "classes": 1000,
    },
}


def tensors_of(kind):
    return fill(layout(kind, **TINY[kind]))


def resampling(tensors):
    """The buffers of the blocks that resize."""
    blocks = {name.rsplit(".", 2)[0] for name in tensors if name.rsplit(".", 2)[0].endswith(("_down", "_up"))}
    return [
        [f"{block}.{part}.resample_filter", [1, 1, 2, 2]] for block in blocks for part in ("conv0", "skip")
    ]


def saved(folder, kind, tensors=None, protocol=4, **more):
    tensors = tensors_of(kind) if tensors is None else tensors
    content = {"ema": edm_network(kind, tensors, resampling(tensors), dropout=0.13)}
    extras = {
        "loss_fn": Stored("EDMLoss", P_mean=-1.2),
        "augment_pipe": None,
        "dataset_kwargs": {"path": "x"},
    }
    return write_pickle(folder / "teacher.pkl", content | extras | more, protocol)


def refusal(path) -> str:
    """The reason, in one line, why the file is not read."""
    with pytest.raises(ValueError) as error:
        load_teacher(path)
    assert "\n" not in str(error.value) and "teacher.pkl" in str(error.value)
    return str(error.value)


def theirs(kind, x, t, label=None):
    """The velocity by the denoiser as EDM writes it, in float64."""
    tensors, t = (
        {name: value.double() for name, value in tensors_of(kind).items()},
        torch.full((len(x),), t).double(),
    )
    sigma = (t / (1 - t))[:, None, None, None]
    y = x.double() * (1 + sigma)
    root = (sigma**2 + 0.25).sqrt()
    denoised = 0.25 / root**2 * y + 0.5 * sigma / root * network(
        kind, tensors, y / root, sigma.flatten().log() / 4, label
    )
    return ((x - denoised) / t[:, None, None, None]).float()


@pytest.mark.parametrize("name", OFFICIAL)
def test_official_schema_is_read_whole(name):
    """The reference lays out the release's tensors, and the reader turns exactly those into a network of the
    published size.
    """
    schema = SCHEMAS[name]
    kind = schema["init_kwargs"]["model_type"]
    rows = layout(kind, **OFFICIAL[name])
    assert sorted([f"model.{row[0]}", row[1]] for row in rows) == sorted(schema["parameters"])
    tensors = {row[0]: torch.empty(row[1], device="meta") for row in rows}
    assert sum(value.numel() for value in tensors.values()) == schema["n_parameters"]
    augment = tensors.pop("map_augment.weight", torch.empty(0)).numel()
    config, converted = releases.UNETS["EDMPrecond", kind](tensors, name)
    with torch.device("meta"):
        net = nets.build(config)
    nets.check_exactly({key: value.shape for key, value in net.state_dict().items()}, converted, name)
    assert sum(p.numel() for p in net.parameters()) + augment == schema["n_parameters"]
    assert {"edm_cifar10_uncond_vp": 55_733_891, "edm_ffhq64_uncond_vp": 61_805_571}.get(
        name, 295_899_267
    ) == schema["n_parameters"]


@pytest.mark.parametrize("t", [0.01, 0.3, 0.7, 0.99])
@pytest.mark.parametrize("kind", TINY)
def test_tiny_checkpoint_computes_what_is_described(tmp_path, kind, t):
    teacher, x = load_teacher(saved(tmp_path, kind)), torch.randn(2, 3, 16, 16)
    expected = theirs(kind, x, t)
    assert expected.std() > 0.1 and torch.allclose(teacher(x, t), expected, atol=1e-5)


def test_class_label_reaches_the_network(tmp_path):
    teacher, x, label = (
        load_teacher(saved(tmp_path, "DhariwalUNet")),
        torch.randn(2, 3, 16, 16),
        torch.tensor([4, 0]),
    )
    assert torch.allclose(teacher(x, 0.4, label=label), theirs("DhariwalUNet", x, 0.4, label), atol=1e-5)
    assert torch.equal(teacher(x, 0.4, label=2), teacher(x, 0.4, label=torch.tensor([2, 2])))
    assert not torch.allclose(teacher(x, 0.4, label=2), teacher(x, 0.4), atol=1e-2)


@pytest.mark.parametrize("label", [5, -1, 1.5, [1, 2, 3]], ids=str)
def test_label_that_is_no_class_is_refused(tmp_path, label):
    with pytest.raises(
        ValueError, match="label must be an integer from 0 to 4, or one for each of 2 samples"
    ):
        load_teacher(saved(tmp_path, "DhariwalUNet"))(torch.randn(2, 3, 16, 16), 0.4, label=label)


def test_label_for_a_network_without_classes_is_refused(tmp_path):
    with pytest.raises(ValueError, match="knows no classes"):
        load_teacher(saved(tmp_path, "SongUNet"))(torch.randn(2, 3, 16, 16), 0.4, label=1)


@pytest.mark.parametrize("protocol", [0, 2, 3, 5])
def test_any_pickle_protocol_gives_the_same_network(tmp_path, protocol):
    x = torch.randn(2, 3, 16, 16)
    expected = load_teacher(saved(tmp_path, "SongUNet"))(x, 0.4)
    assert torch.equal(load_teacher(saved(tmp_path, "SongUNet", protocol=protocol))(x, 0.4), expected)


def test_half_precision_weights_become_float32(tmp_path):
    half = {name: value.half() for name, value in tensors_of("SongUNet").items()}
    net, _ = load_network(saved(tmp_path, "SongUNet", half))
    assert {p.dtype for p in net.parameters()} == {torch.float32}


def test_header_tells_configuration_and_source(tmp_path):
    _, header = load_network(saved(tmp_path, "SongUNet"))
    inner = {
        "kind": "ddpmpp",
        "size": 16,
        "channels": 3,
        "width": 8,
        "multipliers": [2, 1, 2],
        "blocks": 1,
        "attention": [8],
        "dropout": 0.13,
    }
    assert header["network"] == {"kind": "edm", "sigma_data": 0.5, "net": inner | {"clock": "label"}}
    assert header["source"] == {
        "format": "EDM",
        "file": "teacher.pkl",
        "weights": "EMA",
        "network": "SongUNet",
    }


@pytest.mark.parametrize("kind", TINY)
def test_a_student_starts_from_the_release_exactly(tmp_path, kind):
    teacher, header = load_network(saved(tmp_path, kind))
    student = nets.warm_start(nets.build(header["network"], s_input=True), teacher).eval()
    x, t = torch.randn(2, 3, 16, 16), torch.rand(2)
    assert torch.equal(student(x, t, t / 2), teacher(x, t))


@pytest.mark.parametrize("kind", TINY)
@pytest.mark.parametrize(
    "name",
    ["map_layer1.bias", "enc.16x16_conv.weight", "enc.8x8_block0.conv0.weight", "dec.8x8_block1.proj.bias"],
)
def test_renamed_missing_extra_and_misshapen_tensors_are_named(tmp_path, kind, name):
    tensors = tensors_of(kind)
    rest = {key: value for key, value in tensors.items() if key != name}
    assert f"{name} is missing" in refusal(saved(tmp_path, kind, rest))
    assert f"{name} is missing" in refusal(saved(tmp_path, kind, rest | {f"{name}2": tensors[name]}))
    assert f"{name}2 is not part of the network" in refusal(
        saved(tmp_path, kind, tensors | {f"{name}2": tensors[name]})
    )
    if name.endswith("bias"):
        assert f"{name} has shape [3] instead of" in refusal(
            saved(tmp_path, kind, tensors | {name: torch.zeros(3)})
        )


def test_other_networks_and_resampling_filters_are_refused(tmp_path):
    tensors = tensors_of("SongUNet")
    network, filters = (
        edm_network("SongUNet", tensors, resampling(tensors)),
        edm_network("SongUNet", tensors, [["enc.8x8_down.conv0.resample_filter", [1, 1, 4, 4]]]),
    )
    network.class_name = "VPPrecond"
    for content in ({"ema": network}, {"ema": filters}, {"ema": edm_network("OtherUNet", tensors)}):
        assert "only EDMPrecond around SongUNet" in refusal(write_pickle(tmp_path / "teacher.pkl", content))
    for content in ({"ema": torch.zeros(2)}, {"net": 1}, [1, 2]):
        assert "not an EDM checkpoint" in refusal(write_pickle(tmp_path / "teacher.pkl", content))
    assert "class-conditional SongUNet" in refusal(
        saved(tmp_path, "SongUNet", tensors | {"map_label.weight": torch.zeros(8, 10)})
    )


@pytest.mark.parametrize("keep", [0, 1, 0.3, 0.999])
def test_truncated_file_is_refused(tmp_path, keep):
    path = saved(tmp_path, "SongUNet")
    data = path.read_bytes()
    path.write_bytes(data[: keep if isinstance(keep, int) else int(keep * len(data))])
    assert "not a whole file" in refusal(path)


@pytest.mark.parametrize(
    "call",
    [(os.mkdir, "posix.mkdir"), (builtins.exec, "builtins.exec"), (builtins.getattr, "builtins.getattr")],
    ids=lambda c: c[1],
)
def test_pickle_that_would_run_code_is_refused_and_does_not(tmp_path, call):
    arguments = {
        "posix.mkdir": (str(tmp_path / "made"),),
        "builtins.exec": (f"import os; os.mkdir({str(tmp_path / 'made')!r})",),
    }
    path = saved(tmp_path, "SongUNet", extra=RunsCode(call[0], *arguments.get(call[1], ({}, "clear"))))
    assert f"refused: it holds {call[1]}" in refusal(path) and not (tmp_path / "made").exists()
