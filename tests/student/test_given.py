"""What a hostile or careless user gives to distill() is named before anything is solved, or taken rightly.

So are networks of diffusers and torchcfm.
"""

import copy

import pytest
import torch
from test_distill import Theirs, pictures
from torch import nn

from traflow_lib import cli
from traflow_lib.data.images import ImageArray
from traflow_lib.nets import with_target_time
from traflow_lib.nets.mlp import MLP
from traflow_lib.pairs import PairCache, make_pairs
from traflow_lib.student import distill, load
from traflow_lib.teachers import VelocityField
from traflow_lib.teachers.adapter import as_velocity

SHAPE = (1, 8, 8)


def quickly(teacher, out, data=None, method="distill", **options):
    given = {
        "steps": 2,
        "shape": None if data is not None else SHAPE,
        "train": {"batch": 8},
        "pairs": {"n": 9, "steps": 2},
    }
    return distill(teacher, data, method, out=out, **given | options)


def net() -> Theirs:
    torch.manual_seed(0)
    return Theirs()


class Gives(Theirs):
    """What a network may answer in place of a velocity."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def forward(self, x, timestep):
        return self.change(super().forward(x, timestep))


ANSWERS = [
    (lambda v: (v,), "gives tuple for x"),
    (lambda v: None, "gives NoneType for x"),
    (lambda v: {"sample": v}, "gives dict for x"),
    (lambda v: v.detach().numpy(), "gives ndarray for x"),
    (lambda v: v[:1], r"gives \(1, 1, 8, 8\) for x"),
    (lambda v: v.flatten(1), "gives .*64.* for x"),
    (lambda v: v * torch.nan, "gives NaN or infinite numbers at t = 1"),
    (lambda v: v / 0, "gives NaN or infinite numbers at t = 1"),
    (lambda v: v.detach(), "the student's network cannot learn"),
]


@pytest.mark.parametrize(("change", "message"), ANSWERS)
@pytest.mark.parametrize("wrapped", [True, False], ids=["module", "function"])
def test_a_teacher_that_answers_something_else_is_named(change, message, wrapped, tmp_path):
    if wrapped:
        teacher, options = as_velocity(Gives(change)), {}
    elif "learn" in message:
        pytest.skip("a closed form has no weights")
    else:
        teacher, options = lambda x, t: change(x.clone()), {"network": with_target_time(as_velocity(net()))}
        message = message.replace(" for x", " for samples").replace(r"\(1, 1, 8, 8\)", r"\(1, 8, 8\)")
    with pytest.raises(ValueError, match=message):
        quickly(teacher, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def shared():
    mine = as_velocity(net())
    return {"teacher": mine, "network": mine.net}


WRONG = [
    (
        lambda: {"teacher": net()},
        "forward.. takes 3 positional arguments .*wrap a network of yours by as_vel",
    ),
    (lambda: {"teacher": None}, "'NoneType' object is not callable"),
    (lambda: {"teacher": net().state_dict()}, "object is not callable"),
    (lambda: {"teacher": as_velocity(net().double())}, "fails on samples .*dtype|float"),
    (lambda: {"teacher": as_velocity(Theirs(3))}, "fails on samples of .1, 8, 8.: .*3 channels"),
    (lambda: {"data": pictures(8).source.expand(-1, 3, -1, -1)}, "fails on samples of .3, 8, 8."),
    (lambda: {"data": []}, "a list that is no array|is not clearly one of"),
    (lambda: {"network": net()}, r"the student's network, called as F\(x, t, s\), fails on samples"),
    (lambda: {"network": Theirs}, "network must be a torch module"),
    (lambda: {"network": as_velocity(net())}, "takes no target time"),
    (lambda: {"network": MLP(width=8, depth=1, s_input=True)}, "the student's network, called as"),
    (shared, "shares weights with the teacher"),
    (lambda: {"shape": 8}, "shape is 8: that of a sample"),
    (lambda: {"shape": (0, 8, 8)}, "each side of shape is 0"),
    (lambda: {"shape": (4, 1, 8, 8)}, "fails on samples of .4, 1, 8, 8."),
    (lambda: {"seed": -1}, "seed is -1"),
    (lambda: {"seed": "a"}, "seed is 'a'"),
    (lambda: {"pairs": 50}, "pairs is 50: a dict"),
    (lambda: {"pairs": {"n": 0}}, "n of pairs is 0"),
    (lambda: {"pairs": {"n": 2.5}}, "n of pairs is 2.5"),
    (lambda: {"pairs": {"n": 9, "seed": -1}}, "seed of pairs is -1"),
    (lambda: {"pairs": "nowhere"}, "nowhere has 0 files of pairs"),
    (lambda: {"method": "ct"}, "learns from real data: give some"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_what_does_not_fit_is_named_before_anything_is_solved(options, message, tmp_path):
    with pytest.raises(ValueError, match=message) as caught:
        quickly(**{"teacher": as_velocity(net()), "out": tmp_path / "out"} | options())
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()


def test_a_network_that_changes_its_input_is_named(tmp_path):
    """It would change the noise of its own pairs."""
    teacher = as_velocity(net(), call=lambda net, x, t, label: net(x.mul_(0.5), t))
    with pytest.raises(ValueError, match="changes its input in place"):
        quickly(teacher, tmp_path / "out")


class Labelled(Theirs):
    def forward(self, x, timestep, y):
        return super().forward(x, timestep) + y[:, None, None, None]


@pytest.mark.parametrize(
    ("labels", "message"),
    [(None, "the data have no labels"), (torch.arange(8) % 4, "a label of the data is 3")],
)
def test_labels_that_the_teacher_does_not_know_are_named(labels, message, tmp_path):
    data = ImageArray(pictures(8).source, labels)
    with pytest.raises(ValueError, match=f"{message}, but the teacher has classes 0 to 2"):
        quickly(as_velocity(Labelled(), classes=3), tmp_path / "out", data)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda x, t: -x, lambda x, t: 3 * x),
        (lambda net, x, t, label: net(x, t), lambda net, x, t, label: 3 * net(x, t)),
    ],
    ids=["function", "call"],
)
def test_two_teachers_of_one_kind_are_two(one, other, tmp_path):
    """Neither may find the other's student in a folder: told apart by answers, and by the call's code."""

    def student(form):
        own = form.__code__.co_argcount == 2
        teacher = as_velocity(form) if own else as_velocity(net(), call=form)
        return quickly(teacher, tmp_path / "out", network=with_target_time(as_velocity(net())))

    first = student(one)
    assert torch.equal(student(one).sample(2), first.sample(2))
    with pytest.raises(ValueError, match="holds a student of other settings"):
        student(other)


def test_a_network_that_a_function_calls_is_known_again(tmp_path):
    """The function's address in memory, another one in every process, is no part of it."""

    def teacher():
        return as_velocity(net(), call=lambda net, x, t, label: net(x, t))

    one, other = teacher(), teacher()
    assert repr(one) != repr(other)
    first = quickly(one, tmp_path / "a")
    assert torch.equal(quickly(other, tmp_path / "a").sample(2), first.sample(2))
    file = tmp_path / "a" / "student.safetensors"
    with pytest.raises(ValueError, match=r"a function of yours calls its network: network=as_velocity"):
        load(file, network=Theirs)
    assert torch.equal(load(file, network=teacher()).sample(2), first.sample(2))


def test_two_students_share_the_pairs_that_are_solved(tmp_path, monkeypatch):
    teacher = as_velocity(net())
    first = quickly(teacher, tmp_path / "a")
    file = next((tmp_path / "a").glob("pairs-*"))
    with monkeypatch.context() as patched:
        # nothing more is solved
        patched.setattr("traflow_lib.pairs.make_pairs", None)
        for number, place in enumerate((tmp_path / "a", str(file))):
            second = quickly(teacher, tmp_path / f"b{number}", pairs=place)
            assert torch.equal(second.sample(2), first.sample(2))
            assert second.header["fingerprint"] == first.header["fingerprint"]
            assert not list((tmp_path / f"b{number}").glob("pairs-*"))
        given = quickly(teacher, tmp_path / "c", pairs=PairCache.load(file))
        assert torch.equal(given.sample(2), first.sample(2))
    strange = copy.deepcopy(teacher)
    nn.init.ones_(strange.net.out.bias)
    with pytest.raises(ValueError, match="has 1 files of pairs, 0 of them of this teacher"):
        quickly(strange, tmp_path / "d", pairs=tmp_path / "a")


def test_pairs_that_are_damaged_or_do_not_fit_are_named(tmp_path):
    teacher = as_velocity(net())
    pairs = make_pairs(VelocityField(teacher), 9, SHAPE, 1, method="euler", steps=2)
    for wrong, message in (
        (pairs, "this method follows the teacher's paths, which these pairs lack"),
        (pairs.first(0), "number of pairs is 0"),
        (PairCache(pairs.x1[..., :4], pairs.x0[..., :4]), r"the pairs are of \(1, 8, 4\), without classes"),
        (PairCache(pairs.x1, pairs.x0, None, torch.zeros(9).long()), r"with classes; the teacher's of"),
        (PairCache(pairs.x1, pairs.x0 * torch.nan), "9 of 9 samples are NaN"),
    ):
        with pytest.raises(ValueError, match=message):
            quickly(teacher, tmp_path / "out", method="traflow", pairs=wrong)
    quickly(teacher, tmp_path / "cut")
    (tmp_path / "cut" / "student.safetensors").unlink()
    file = next((tmp_path / "cut").glob("pairs-*"))
    file.write_bytes(file.read_bytes()[:-9])
    for options in ({}, {"pairs": tmp_path / "cut"}):
        with pytest.raises(ValueError, match="pairs-.*.safetensors is not a whole safetensors file .*delete"):
            quickly(teacher, tmp_path / "cut", **options)


MODULE = """
from test_distill import Theirs
number = 3
def build(): return Theirs()
def needs(width): return Theirs()
def nothing(): return None
"""


@pytest.fixture
def command(tmp_path, monkeypatch):
    """The command distill on a network of a stranger's module, in a folder of its own."""
    (tmp_path / "stranger.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("traflow_lib.data.images.load", lambda name, split: (pictures(64), None))
    monkeypatch.setattr("traflow_lib.teachers.convention.Fit.require", lambda self: self)
    monkeypatch.chdir(tmp_path)
    words = ["distill", "--data", "digits", "--steps", "2", "--batch", "8", "--method", "distill"]
    return lambda *more: cli.main([*words, "--teacher", "stranger:build", "--out", "mine", *more])


def test_the_command_solves_pairs_once_for_all_students(command, tmp_path):
    torch.manual_seed(0)
    torch.save(Theirs().state_dict(), "my.pt")
    assert (
        command("--weights", "my.pt", "--pairs", "9", "--method", "traflow", "--seed", "1", "--seed", "2")
        == 0
    )
    folders = sorted(folder.name for folder in tmp_path.glob("mine/*"))
    assert folders == [f"{name}-seed{seed}" for name in ("distill", "traflow") for seed in (1, 2)]
    assert len(list(tmp_path.glob("mine/*/pairs-*"))) == 1
    more = ["--pairs", "mine/distill-seed1", "--seed", "3", "--weights", "my.pt"]
    assert command(*more) == 0 and len(list(tmp_path.glob("mine/*/pairs-*"))) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--teacher", "stranger:needs"], "missing 1 required positional argument"),
        (["--teacher", "stranger:number"], "'int' object is not callable"),
        (["--teacher", "stranger:nothing"], "gives NoneType, not a torch module"),
        (["--teacher", ":build"], "Empty module name"),
        (["--weights", "stranger.py"], "stranger.py is not a whole file of its format"),
        (["--weights", "whole.pt"], "whole.pt is refused: it holds test_distill.Theirs, which is code"),
        (["--pairs", "nowhere"], "nowhere has 0 files of pairs"),
        (["--pairs", "0"], "n of pairs is 0"),
        (["--seed", "-1"], "seed is -1"),
        (["--out", "stranger.py"], "Not a directory|File exists"),
        (["--size", "0"], "size"),
    ],
)
def test_the_command_says_what_does_not_fit_in_one_line(command, words, message, capsys):
    torch.save(Theirs(), "whole.pt")
    assert command(*words) == 2
    said = capsys.readouterr().err
    assert any(part in said for part in message.split("|")) and said.count("\n") == 1


def of_diffusers():
    diffusers = pytest.importorskip("diffusers")
    blocks = {"down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "block_out_channels": (16, 32)}
    blocks |= {
        "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
        "attention_head_dim": 8,
        "norm_num_groups": 4,
    }
    return diffusers.UNet2DModel(16, 1, 1, layers_per_block=1, **blocks)


def of_torchcfm():
    unet = pytest.importorskip("torchcfm.models.unet.unet")
    return unet.UNetModelWrapper((1, 16, 16), 32, 1, (1,))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "layer", "called"),
    [
        (of_diffusers, "time_embedding", lambda net, time, x: net(x, 1000 * time).sample),
        (of_torchcfm, "time_embed", lambda net, time, x: net(time, x)),
    ],
)
def test_from_a_bare_module_to_a_saved_student(make, layer, called, tmp_path):
    """Trained by their own convention, noise at time 0; 200 steps of distillation at size 16."""
    torch.manual_seed(0)
    net, data = make(), pictures(300, 16)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(150):
        x = data[torch.randint(len(data), (16,))]
        noise, time = torch.randn_like(x), torch.rand(len(x))
        at = time[:, None, None, None]
        loss = (called(net, time, at * x + (1 - at) * noise) - (x - noise)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    scale = 1000 if make is of_diffusers else 1
    teacher = as_velocity(net, noise_at=0, scale=scale)
    with pytest.raises(ValueError, match="noise_at=0"):
        as_velocity(net, scale=scale).check(data).require()
    options = {"train": {"batch": 16}, "pairs": {"n": 200, "steps": 6}, "out": tmp_path / "mine"}
    student = distill(teacher, data, steps=200, network=with_target_time(teacher, layer), **options)
    again = load(student.save(tmp_path / "mine.safetensors"), network=make)
    assert torch.equal(again.sample(4, calls=2), student.sample(4, calls=2))
    start = type(student)(with_target_time(teacher, layer), student.shape)
    assert student.evaluate(data, [1]).by_calls[1] < start.evaluate(data, [1]).by_calls[1]
