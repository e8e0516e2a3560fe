"""distill(): from a network and pictures that the kit has never seen to a saved student."""

import pytest
import torch
from torch import nn

from traflow_lib import cli
from traflow_lib.data.images import Images
from traflow_lib.files.checksums import file_sha256
from traflow_lib.flow import GaussianMixtureFlow
from traflow_lib.nets import with_target_time
from traflow_lib.nets.mlp import MLP
from traflow_lib.reports import evidence
from traflow_lib.reports.tables import number
from traflow_lib.student import distill, load
from traflow_lib.teachers.adapter import as_velocity

FLOW = GaussianMixtureFlow(torch.tensor([[2.0, 0.0], [-2.0, 0.0]]), 0.1 * torch.eye(2).expand(2, 2, 2))
QUICK = {"train": {"batch": 64, "lr": 0.01}, "pairs": {"n": 500, "steps": 8}}


class Theirs(nn.Module):
    """A small convolutional network as somebody else would write it, called as net(x, timestep)."""

    def __init__(self, channels=1, width=16):
        super().__init__()
        self.time_embed = nn.Sequential(nn.Linear(1, width), nn.SiLU(), nn.Linear(width, width))
        self.into, self.middle = (
            nn.Conv2d(channels, width, 3, padding=1),
            nn.Conv2d(width, width, 3, padding=1),
        )
        self.out = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, x, timestep):
        h = self.into(x) + self.time_embed(timestep[:, None])[:, :, None, None]
        return self.out(torch.relu(self.middle(torch.relu(h))))


def pictures(n=400, size=8):
    """Bright squares on black at random places."""
    random, pixels = torch.Generator().manual_seed(0), torch.zeros(n, 1, size, size, dtype=torch.uint8)
    for one, (row, column) in zip(pixels, torch.randint(0, size - 3, (n, 2), generator=random).tolist()):
        one[:, row : row + 4, column : column + 4] = 255
    return Images(pixels, None, False, "squares")


@pytest.fixture(scope="module")
def teacher():
    """Theirs, trained on the squares by their own convention: time 1 at the data, velocity towards them."""
    torch.manual_seed(0)
    net, data = Theirs(), pictures()
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(300):
        x = data[torch.randint(len(data), (64,))]
        noise, time = torch.randn_like(x), torch.rand(64)
        at = time[:, None, None, None]
        loss = (net(at * x + (1 - at) * noise, time) - (x - noise)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net


def test_a_strangers_network_and_pictures_become_a_student(teacher, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TRAFLOW_RESULTS", str(tmp_path / "results"))
    velocity, data, file = as_velocity(teacher, noise_at=0), pictures(), tmp_path / "mine.safetensors"
    student = distill(velocity, data, "traflow", steps=200, out=tmp_path / "mine", **QUICK)
    said = capsys.readouterr().out
    assert "s added to its layer 'time_embed'" in said and "your network fits noise_at=0" in said
    assert student.sample(5, calls=1, seed=0).shape == (5, 1, 8, 8) and student.shape == (1, 8, 8)
    before = type(student)(with_target_time(velocity), student.shape).evaluate(data, calls=[1], n=400)
    after = student.evaluate(data, calls=[1, 2], n=400)
    assert after.by_calls[1] < before.by_calls[1] and after.metric == "fd-random-cnn-seed0-uint8"
    assert 0 < after.halves < after.by_calls[1] and "halves of the data" in str(after)
    rows = evidence.here(profile="students")
    halves, *made = sorted(rows, key=lambda row: row["nfe"])  # nothing of the bare student, which has no file
    assert [(row["method"], row["nfe"], row["value"]) for row in made] == [
        ("mine", calls, value) for calls, value in after.by_calls.items()
    ]
    assert (halves["method"], halves["value"], halves["n_generated"]) == ("real data", after.halves, 200)
    weights = [file_sha256(tmp_path / "mine" / "student.safetensors")]
    for row in made:
        assert row["checkpoint_sha256"] == weights and row["training"]["steps"] == 200 and row["spread"] > 0
    again = load(student.save(file), network=Theirs)
    assert torch.equal(again.sample(3, seed=4), student.sample(3, seed=4))
    assert again.header["settings"]["method"] == "traflow" and again.header["training"]["steps"] == 200


def test_tables_are_made_of_what_students_were_evaluated_at(teacher, tmp_path, monkeypatch, capsys):
    """All students of one set of pictures in one table, a retrained one beside its predecessor."""
    monkeypatch.setenv("TRAFLOW_RESULTS", str(tmp_path / "results"))
    velocity, data = as_velocity(teacher, noise_at=0), pictures(64)
    for folder, method, seed in (("a", "distill", 0), ("b", "reflow", 0), ("other/a", "distill", 1)):
        options = {"steps": 2, "seed": seed, "out": tmp_path / folder} | QUICK
        distill(velocity, data, method, **options)
        for _ in range(2):  # measured twice, recorded once
            student = load(tmp_path / folder / "student.safetensors", network=Theirs)
            found = student.evaluate(data, calls=[1])
    assert cli.main(["tables"]) == 0
    table = "pictures-squares__fd-random-cnn-seed0-uint8.md"
    text = (
        tmp_path / f"results/tables/students/evaluate-student-random-cnn-seed0-native-64__{table}"
    ).read_text("utf-8")
    methods = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")][2:]
    assert methods[:2] == ["real data, halves", "a"] and methods[3:] == ["b"]
    assert methods[2].startswith("a-") and len(methods) == 4
    assert "students trained for 2 steps of 64" in text and f"| {number(found.by_calls[1])} ±" in text


def test_the_same_call_again_loads_the_student_and_another_is_refused(teacher, tmp_path):
    velocity, options = as_velocity(teacher, noise_at=0), {"steps": 3, "out": tmp_path / "one"} | QUICK
    first = distill(velocity, pictures(), "distill", **options)
    again = distill(velocity, pictures(), "distill", **options)
    assert torch.equal(first.sample(2), again.sample(2)) and len(list((tmp_path / "one").glob("pairs*"))) == 1
    with pytest.raises(ValueError, match="holds a student of other settings"):
        distill(velocity, pictures(), "distill", seed=1, **options)


def test_students_of_one_network_do_not_change_each_other(teacher, tmp_path):
    velocity = as_velocity(teacher, noise_at=0)
    network = with_target_time(velocity)
    options = {"steps": 3, "network": network} | QUICK
    first = distill(velocity, pictures(), "distill", out=tmp_path / "a", **options)
    before = first.sample(2)
    distill(velocity, pictures(), "distill", out=tmp_path / "b", **options)
    again = distill(velocity, pictures(), "distill", out=tmp_path / "a", **options)
    assert torch.equal(first.sample(2), before) and torch.equal(again.sample(2), before)
    assert network not in (first.net, again.net)


def test_further_averages_are_kept_beside_the_student(teacher, tmp_path):
    settings = QUICK | {"train": {"batch": 64, "ema": [0.9, 0.0]}}
    student = distill(as_velocity(teacher, noise_at=0), pictures(), steps=3, out=tmp_path / "a", **settings)
    last = load(tmp_path / "a" / "student-ema0.0.safetensors", network=Theirs)
    assert last.header["settings"] == student.header["settings"] and last.shape == student.shape
    assert not torch.equal(last.sample(2), student.sample(2))


def test_a_torch_dataset_is_data_too(teacher, tmp_path):
    data = torch.utils.data.TensorDataset(pictures(64).source, torch.zeros(64, dtype=torch.long))
    options = {"steps": 2, "out": tmp_path / "set"} | QUICK
    assert distill(as_velocity(teacher, noise_at=0), data, "distill", **options).shape == (1, 8, 8)


def test_a_wrong_time_direction_is_caught_before_anything_is_solved(teacher, tmp_path):
    with pytest.raises(ValueError, match="noise_at=0"):
        distill(as_velocity(teacher), pictures(), steps=3, out=tmp_path / "wrong", **QUICK)
    assert not (tmp_path / "wrong").exists()


def test_the_same_call_goes_on_where_it_was_interrupted(tmp_path, monkeypatch):
    def run(folder):
        torch.manual_seed(0)
        net, options = MLP(width=16, depth=2, s_input=True), {"batch": 16, "save_every": 4}
        return distill(
            FLOW, steps=12, out=tmp_path / folder, network=net, shape=(2,), train=options, pairs={"n": 50}
        )

    whole, calls, step = run("whole"), [], torch.optim.Adam.step

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return step(*arguments, **options)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(torch.optim.Adam, "step", interrupted)
        run("parts")
    again = run("parts")
    assert again.header["training"]["steps"] == 12 and torch.equal(again.sample(5), whole.sample(5))


@pytest.mark.parametrize("method", ["traflow", "distill", "cd"])
def test_a_closed_form_teaches_a_network_that_is_given(method, tmp_path):
    torch.manual_seed(0)
    data = Images(FLOW.sample(400), None, False, "points") if method == "cd" else None
    net, shape = MLP(width=64, depth=3, s_input=True), None if method == "cd" else (2,)
    student = distill(FLOW, data, method, steps=150, out=tmp_path / "a", network=net, shape=shape, **QUICK)
    x = student.sample(2_000)
    assert x[:, 0].gt(0).float().mean().item() == pytest.approx(0.5, abs=0.1)
    assert (x[:, 0].abs() - 2).abs().median() < 0.7 and x[:, 1].abs().median() < 0.7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": None}, "distill needs data, or the shape of a sample"),
        ({"method": "nothing"}, "unknown objective 'nothing'; there are alphaflow, "),
        ({"method": "cd"}, "Consistency with these options learns from real data: give some"),
        ({"pairs": {"m": 5}}, "pairs: unknown m; there are n, seed, method, steps, online, tol"),
        ({"train": {"speed": 5}}, "unknown training option"),
        ({"steps": 0}, "training option steps is 0"),
        ({"network": None}, "this teacher has no network to start from"),
    ],
)
def test_what_does_not_fit_is_named(options, message, tmp_path):
    given = {
        "shape": (2,),
        "network": MLP(width=8, depth=1, s_input=True),
        "steps": 2,
        "out": tmp_path / "out",
    }
    with pytest.raises(ValueError, match=message):
        distill(FLOW, **given | options)


def test_the_command_line_distils_a_network_that_a_function_makes(teacher, tmp_path, monkeypatch, capsys):
    module = "from test_distill import Theirs\ndef build():\n    return Theirs()\n"
    (tmp_path / "mypackage.py").write_text(module, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    torch.save(teacher.state_dict(), tmp_path / "my.pt")
    monkeypatch.setattr("traflow_lib.data.images.load", lambda name, split: (pictures(), None))
    monkeypatch.chdir(tmp_path)
    command = ["distill", "--teacher", "mypackage:build", "--weights", "my.pt", "--data", "digits"]
    command += ["--steps", "2", "--batch", "16", "--out", "mine"]
    assert cli.main([*command, "--noise-at", "0", "--method", "distill", "--seed", "3"]) == 0
    assert load("mine/distill-seed3/student.safetensors", network=Theirs).sample(2).shape == (2, 1, 8, 8)
    ctm = ["--noise-at", "0", "--method", "ctm", "--last-layer", "out"]
    assert cli.main([*command, *ctm]) == 0
    student = load("mine/ctm-seed0/student.safetensors", network=Theirs)
    assert student.net.last_layer is student.net.net.net.out.weight
    for options, message in (
        ([], "your network fits noise_at=0"),
        (["--layer", "nothing"], "no layer named 'nothing'"),
        ([*ctm, "--last-layer", "middle"], "ctm-seed0 holds a student of other settings"),
        (["--noise-at", "0", "--method", "ctm", "--seed", "1"], "or --last-layer NAME on the command line"),
        (["--last-layer", "nothing"], "last_layer=NAME), --last-layer NAME): the last with weights are "),
        (["--last-layer", "out", "--teacher", "my.pt"], "--last-layer goes with --teacher MODULE:FUNCTION"),
        (
            ["--recipe", "06_digits"],
            "--weights, --last-layer, --size and --pairs go with a teacher of your own",
        ),
        (["--weights", "none.pt"], "there are no weights none.pt"),
        (["--teacher", "mypackage:nope"], "has no attribute 'nope'"),
        (["--teacher", "nopackage:build"], "No module named 'nopackage'"),
    ):
        capsys.readouterr()
        assert cli.main([*command, *options]) == 2
        said = capsys.readouterr().err
        assert message in said and said.count("\n") == 1


def test_a_network_without_a_layer_for_its_time_names_what_could_be_one(tmp_path):
    velocity = as_velocity(nn.Conv2d(1, 1, 3, padding=1), call=lambda net, x, t, label: net(x))
    with pytest.raises(ValueError, match="no layer named 'time_embed'"):
        distill(velocity, steps=2, shape=(1, 8, 8), out=tmp_path / "out")
