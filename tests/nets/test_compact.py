"""Compact students: SlimFlow's published sizes, the start from a bigger teacher's leading channels."""

import pytest
import torch
from helpers import randomise

from traflow_lib import nets
from traflow_lib.nets.compact import truncate
from traflow_lib.nets.sizes import NETWORKS, of_size

BIG = {"kind": "ddpmpp", "size": 32, "width": 16, "multipliers": [1, 2, 2, 2], "blocks": 3}


@pytest.mark.parametrize(
    "millions, parameters",
    [("27.9", 27_906_179), ("15.7", 15_707_235), ("7.0", 6_989_891), ("3.4", 3_437_123)],
)
def test_sizes_are_the_published_ones(millions, parameters):
    with torch.device("meta"):
        net = nets.build(NETWORKS[of_size("cifar10", millions)][2])
    assert sum(p.numel() for p in net.parameters()) == parameters and f"{parameters / 1e6:.1f}" == millions


@pytest.mark.parametrize(
    "config", [BIG, {"kind": "edm", "net": BIG | {"clock": "label"}}], ids=lambda c: c["kind"]
)
def test_student_of_the_same_size_is_the_teacher(config):
    teacher = randomise(nets.build(config))
    student = truncate(nets.build(config, s_input=True), teacher).eval()
    x, t = torch.randn(2, 3, 32, 32), torch.rand(2)
    assert torch.equal(student(x, t, t / 2), teacher(x, t))


def module(net, name, kind):
    """The module of this kind at EDM's name for its place."""
    return next(m for n, m in zip(net.names, net.all_modules) if n == name and type(m).__name__ == kind)


def test_blocks_take_leading_channels_of_their_counterparts():
    teacher = randomise(nets.build(BIG))
    student = truncate(
        nets.build(BIG | {"width": 12, "multipliers": [1, 2, 2], "blocks": 2}, s_input=True), teacher
    )
    ours, theirs = (
        module(student, "enc.16x16_block1", "ResBlock"),
        module(teacher, "enc.16x16_block1", "ResBlock"),
    )
    assert torch.equal(ours.Conv_0.weight, theirs.Conv_0.weight[:24, :24]) and torch.equal(
        ours.Dense_0.weight, theirs.Dense_0.weight[:24, :48]
    )
    # middle: whatever its resolution; its attention too
    assert torch.equal(
        module(student, "dec.8x8_in0", "Attention").NIN_1.W,
        module(teacher, "dec.4x4_in0", "Attention").NIN_1.W[:24, :24],
    )
    # decoder: the first, and counted from the last, which reads the same skip; h (24 of 32 channels) and skip
    # (12 of 16) are cut apart
    ours, theirs = (
        module(student, "dec.32x32_block0", "ResBlock"),
        module(teacher, "dec.32x32_block0", "ResBlock"),
    )
    columns = [*range(24), *range(32, 44)]
    assert torch.equal(ours.Conv_0.weight, theirs.Conv_0.weight[:12, columns])
    ours, theirs = (
        module(student, "dec.16x16_block2", "ResBlock"),
        module(teacher, "dec.16x16_block3", "ResBlock"),
    )
    assert torch.equal(ours.Conv_0.weight, theirs.Conv_0.weight[:24, columns]) and torch.equal(
        ours.Conv_2.weight, theirs.Conv_2.weight[:24, columns]
    )
    assert torch.equal(ours.GroupNorm_0.weight, theirs.GroupNorm_0.weight[columns])
    # time embedding: columns of the nearest frequencies, sines (8 -> 6) and cosines apart
    nearest = [0, 1, 3, 4, 6, 7, 8, 9, 11, 12, 14, 15]
    assert torch.equal(student.all_modules[0].weight, teacher.all_modules[0].weight[:48, nearest])


def test_skip_that_the_teacher_passes_unchanged_is_cut_from_the_identity():
    teacher = randomise(nets.build(BIG | {"multipliers": [2, 2, 2]}))
    student = truncate(nets.build(BIG | {"multipliers": [1, 2, 2]}), teacher)
    skip = module(student, "enc.16x16_block0", "ResBlock").Conv_2
    assert torch.equal(skip.weight[:, :, 0, 0], torch.eye(32)[:, :16]) and not skip.bias.any()


@pytest.mark.parametrize("name", [name for name in NETWORKS if name.startswith("SlimFlow")])
def test_every_published_size_can_start_from_the_official_layouts(name):
    scaled = NETWORKS[name][2] | {"width": NETWORKS[name][2]["width"] // 8}
    for multipliers in ([1, 2, 2, 2], [2, 2, 2]):
        teacher = randomise(nets.build({"kind": "ddpmpp", "width": 16, "multipliers": multipliers}))
        student = truncate(nets.build(scaled, s_input=True), teacher).eval()
        x, t = torch.randn(1, 3, 32, 32), torch.rand(1)
        out = student(x, t, t / 2)
        assert out.isfinite().all() and out.std() > 0 and torch.equal(out, student(x, t, t))


@pytest.mark.parametrize(
    "change",
    [
        {"width": 24},
        {"blocks": 4},
        {"size": 64},
        {"multipliers": [1, 2, 2, 2, 2]},
        {"attention": [8]},
        {"multipliers": [1, 2, 3]},
    ],
    ids=str,
)
def test_layout_the_teacher_has_nothing_for_is_refused_and_nothing_changes(change):
    student = nets.build(BIG | change)
    before = {name: value.clone() for name, value in student.state_dict().items()}
    with pytest.raises(
        ValueError,
        match=r"the student is no part of the teacher, which has too little for all_modules\.\d+\.",
    ):
        truncate(student, nets.build(BIG))
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())


def test_other_clocks_and_kinds_are_refused():
    with pytest.raises(ValueError, match='the teacher reads its time as "1-t" and the student as "t"'):
        truncate(nets.build(BIG), nets.build(BIG | {"clock": "1-t"}))
    with pytest.raises(ValueError, match="got DDPMpp, MLP"):
        truncate(nets.build(BIG), nets.build({"kind": "mlp"}))
