"""Wrong input of every kind: one line that names what is wrong, never a traceback, and nothing is left.

A row is what is given and words that the line must hold. What a recipe may say is in experiments/test_schema.
"""

import math
import re

import pytest
import torch
from helpers import random_student

import traflow_lib
from traflow_lib import batch, flow, nets, objectives, solvers
from traflow_lib.cli import main
from traflow_lib.data import images, toys
from traflow_lib.evaluation.frechet import feature_distance
from traflow_lib.evaluation.scores import Scoring
from traflow_lib.evaluation.transport import mmd, sliced_wasserstein2, wasserstein2
from traflow_lib.experiments import recipes
from traflow_lib.files import paths
from traflow_lib.pairs import PairCache, make_pairs
from traflow_lib.reports import notebooks
from traflow_lib.teachers import import_teacher, load_network, load_teacher
from traflow_lib.training.config import TrainConfig

STUDENT = paths.committed("checkpoints", "digits-traflow-seed0-587dafc3db.safetensors")
TEACHER = paths.committed("checkpoints", "digits-teacher-91fe64c61e.safetensors")
CLASSIFIER = paths.committed("checkpoints", "digits-classifier-64d0c0f442.safetensors")
POINTS = paths.committed("checkpoints", "8gaussians-teacher-b94ac5e02f.safetensors")
PLACES = {"STUDENT": STUDENT, "TEACHER": TEACHER, "CLASSIFIER": CLASSIFIER, "POINTS": POINTS}
ROOT = paths.root()
PLACES["TEXT"] = ROOT / "README.md"

SHORT = {
    "SCORE": "evaluate STUDENT --data digits --extractor cnn",
    "DISTIL": "distill --teacher TEACHER --data digits",
}
COMMANDS = [
    # no such thing
    ("smaple STUDENT", "No such command 'smaple'. Did you mean 'sample'"),
    ("sample", "Missing argument 'checkpoint'"),
    ("sample STUDENT TEACHER", "unexpected extra argument"),
    ("sample STUDENT --bacht 3", "No such option: --bacht"),
    ("train --recipe 06_digits --device tpu", "No such option: --device"),
    ("train", "Missing option '--recipe'"),
    ("evaluate STUDENT --extractor cnn", "Missing option '--data'"),
    ("evaluate STUDENT --data", "'--data' requires an argument"),
    ("distill", "needs --recipe, or --teacher and --data"),
    ("distill --teacher TEACHER", "needs --recipe, or --teacher and --data"),
    ("sample nowhere.safetensors", "there is no checkpoint nowhere.safetensors"),
    ("sample nowhere.pkl", "there is no checkpoint nowhere.pkl"),
    ("evaluate nowhere.npz --data digits --extractor cnn", "there is no file or folder nowhere.npz"),
    ("evaluate nowhere.pt --data digits --extractor cnn", "there is no file or folder nowhere.pt"),
    ("evaluate STUDENT --data digitz --extractor cnn", "unknown image data set 'digitz'; there are"),
    ("evaluate STUDENT --data shapes0 --extractor random", "unknown image data set 'shapes0'"),
    ("evaluate STUDENT --data folder:nowhere --extractor random", "there is no folder nowhere"),
    ("evaluate STUDENT --data digits --extractor resnet", "unknown extractor 'resnet'; there are inception"),
    ("evaluate STUDENT --data digits --extractor torchvision:resnet18", "there are inception, cnn"),
    ("evaluate STUDENT --data digits --extractor torchvision:resnet18=x.pth", "no weights x.pth"),
    ("train --recipe ../x", "unknown recipe '../x'; there are 00_quickstart"),
    ("train --recipe 06_digits --profile nope", "unknown profile 'nope' for 06_digits; there are smoke"),
    ("train --recipe 06_digits --profile smoke --data cifar10", "no data set 'cifar10'; it has digits"),
    ("train --recipe 06_digits --profile smoke --precision fp8", "precision is 'fp8': input should be"),
    ("DISTIL --method trafow", "unknown objective 'trafow'; there are alphaflow"),
    ("DISTIL --precision fp8", "precision is 'fp8'"),
    ("distill --teacher nowhere:f --data digits", "--teacher nowhere:f: No module named 'nowhere'"),
    ("distill --teacher os:getcwd --data digits", "--teacher os:getcwd gives str, not a torch module"),
    ("DISTIL --pairs nowhere", "nowhere has 0 files of pairs"),
    ("search --recipe 00_quickstart", "unknown profile 'search' for 00_quickstart"),
    ("search --recipe bench_2d --method nope", "unknown method 'nope'; there are traflow"),
    ("notebook ../evil", "unknown notebook '../evil'; there are 00_quickstart"),
    ("notebook 00_quickstart --teacher TEACHER", "notebook 00_quickstart has no parameter teacher"),
    ("doctor --recipe nope", "unknown recipe 'nope'"),
    ("data nope", "unknown image data set 'nope'"),
    # another type
    ("sample STUDENT --steps 1.5", "'--steps': Input should be a valid integer, .*given: 1.5"),
    ("sample STUDENT --samples many", "'--samples': Input should be a valid integer, .*given: many"),
    ("sample STUDENT --seed 1e3", "'--seed': .*given: 1e3"),
    ("evaluate STUDENT --data digits --nfe one", "'--nfe': .*given: one"),
    ("DISTIL --lr fast", "'--lr': .*given: fast"),
    ("notebook 00_quickstart --seed 1.5", "'--seed': .*given: 1.5"),
    # out of range
    ("sample STUDENT --steps -1", "--steps is -1: a whole number of at least 1"),
    ("sample STUDENT --samples -3", "--samples is -3 and --batch 500; both are at least 1"),
    ("sample STUDENT --batch 0", "--samples is 64 and --batch 0; both are at least 1"),
    ("sample STUDENT --seed -1", "--seed is -1: a whole number"),
    ("sample TEACHER --solver dopri5 --tol 0", "tol=, a number above 0, .*it is 0.0"),
    ("sample TEACHER --solver dopri5 --tol -1", "tol=, a number above 0, .*it is -1.0"),
    ("sample TEACHER --solver dopri5 --tol nan", "tol=, a number above 0, .*it is nan"),
    ("sample TEACHER --solver dopri5 --tol inf", "tol=, a number above 0, .*it is inf"),
    ("SCORE --samples 1", "n is 1: .*greater than or equal to 2"),
    ("SCORE --batch 0", "batch is 0: .*greater than or equal to 1"),
    ("SCORE --seed -1", "seeds.0 is -1: .*greater than or equal to 0"),
    ("SCORE --tol nan", "tol is nan: input should be a finite number"),
    ("SCORE --samples 9 --profile ../x", "profile is '../x'; a name"),
    ("data folder:. --root x", "no image files|damaged"),
    ("data folder:.@0", "size is 0: a whole number of pixels"),
    ("distill --recipe 00_quickstart --profile smoke --seed -1", "--seed is -1: a whole number"),
    ("DISTIL --steps 0", "steps is 0: .*greater than or equal to 1"),
    ("DISTIL --batch -2", "batch is -2: .*greater than or equal to 1"),
    ("DISTIL --lr nan", "lr is nan: input should be a finite number"),
    ("DISTIL --lr -1", "lr is -1.0: .*greater than or equal to 0"),
    ("DISTIL --pairs 0", "n of pairs is 0: a whole number of at least 1"),
    # what does not go together
    ("sample CLASSIFIER", "a classifier, which makes no samples; name a teacher or a student"),
    ("evaluate CLASSIFIER --data digits --extractor cnn", "a classifier, which makes no samples"),
    ("train --recipe 06_digits --profile smoke --teacher CLASSIFIER", "a classifier, which makes no"),
    ("distill --recipe 06_digits --profile smoke --teacher CLASSIFIER", "a classifier, which makes no"),
    ("distill --teacher CLASSIFIER --data digits", "a classifier, which makes no samples"),
    ("train --recipe 06_digits --profile smoke --teacher POINTS", r"samples of the shape \(2,\); digits has"),
    ("distill --teacher POINTS --data digits", r"samples of the shape \(2,\), but these are of \(1, 8, 8\)"),
    ("distill --teacher TEACHER --data shapes16x1", r"shape \(1, 8, 8\), but these are of \(1, 16, 16\)"),
    ("distill --teacher TEACHER --data shapes8", r"shape \(1, 8, 8\), but these are of \(3, 8, 8\)"),
    ("evaluate STUDENT --data shapes32 --extractor random", r"\(1, 8, 8\), and shapes32 has \(3, 32"),
    ("sample POINTS --out x.png", "samples cannot be written as x.png; there are .pt, .npz"),
    ("sample STUDENT --out TEXT", "samples cannot be written as README.md; there are .pt"),
    ("sample STUDENT --out TEXT/x.pt", "x.pt could not be written"),
    ("sample .", "is a folder; name the file in it"),
    ("sample TEXT", "README.md is not a whole safetensors file"),
    ("sample /dev/null", "/dev/null is not a whole safetensors file"),
    ("SCORE --mode legacy_pytorch", "--mode legacy_pytorch is Inception's"),
    ("evaluate STUDENT --data digits --extractor random --metric is", "gives no class scores"),
    ("evaluate STUDENT --data digits --extractor torchvision:resnet18=TEXT", "not a whole file of its"),
    ("distill --recipe 00_quickstart --weights x.pt", "--weights, .* go with a teacher of your own"),
    ("DISTIL --noise-at 0", "--noise-at goes with --teacher MODULE:FUNCTION"),
    ("DISTIL --weights x.pt", "--weights goes with --teacher MODULE:FUNCTION"),
    ("DISTIL --size 4", "unknown image data set 'digits@4'"),
    ("import-teacher STUDENT", "no checkpoint of a release: their files end in .pth"),
    ("import-teacher nowhere.pkl", "there is no checkpoint nowhere.pkl"),
]  # fmt: skip


@pytest.mark.parametrize("words, complaint", COMMANDS, ids=[words for words, _ in COMMANDS])
def test_a_command_says_in_one_line_what_is_wrong(words, complaint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(paths, "root", lambda: ROOT)  # whatever the working folder
    for short, long in SHORT.items():
        words = words.replace(short, long)
    given = [word.replace(name, str(place)) if name in word else word
             for word in words.split() for name, place in [_place(word)]]  # fmt: skip
    assert main(given) == 2
    (line,) = capsys.readouterr().err.splitlines()
    _require(line.removeprefix("error: "), complaint)
    assert not list(tmp_path.iterdir())


def _place(word: str) -> tuple:
    return next(((name, place) for name, place in PLACES.items() if name in word), ("\0", ""))


def _require(line: str, complaint: str) -> None:
    assert re.search(complaint, line) and len(line) < 1000, line


NAN = math.nan
POINT = torch.randn(5, 2)


def velocity(x, t):
    return -x


def jump(*arguments):
    return random_student("mlp")[0](*arguments)


def student():
    return traflow_lib.load(str(STUDENT))


def digits(**options):
    return traflow_lib.distill(TEACHER, "digits", out="student", **{"steps": 1} | options)


def net(**arguments):
    return nets.build({"kind": "mlp", "width": 8, "depth": 1} | arguments)


def linear(**options):
    return traflow_lib.as_velocity(torch.nn.Linear(2, 2), **options)


def array(*shape, fill=0.0, **options):
    return traflow_lib.ImageArray(torch.full(shape, fill), **options)


def bytes_with(labels):
    return traflow_lib.ImageArray(torch.arange(128).reshape(2, 1, 8, 8).byte(), labels=labels)


def train(**options):
    return TrainConfig.of({"steps": 1, "batch": 1} | options)


CALLS = [
    # networks and their files
    (lambda: load_teacher("nowhere.pth"), "there is no checkpoint nowhere.pth"),
    (lambda: load_teacher(str(CLASSIFIER)), "a classifier, which makes no samples"),
    (lambda: load_teacher(TEACHER, "fp8"), "precision is 'fp8': one of fp32"),
    (lambda: load_network("nowhere.safetensors"), "there is no checkpoint nowhere.safetensors"),
    (lambda: import_teacher(str(TEACHER)), "no checkpoint of a release"),
    (lambda: traflow_lib.load("."), "is a folder; name the file in it"),
    (lambda: PairCache.load("nowhere.safetensors"), "nowhere.safetensors"),
    (lambda: net(kind="nope"), "unknown network 'nope'; there are mlp"),
    (lambda: net(width=0), "width is 0, a whole number of at least 1"),
    (lambda: net(width=-4), "width is -4, a whole number of at least 1"),
    (lambda: net(width=8.5), "width is 8.5, a whole number of at least 1"),
    (lambda: net(width="8"), "width is '8', a whole number of at least 1"),
    (lambda: net(wdith=8), "unexpected keyword argument 'wdith'"),
    (lambda: nets.build(None), "a dict with its kind, not by None"),
    (lambda: linear(noise_at=2), "noise_at is the network's time at pure noise, 0 or 1; got 2"),
    (lambda: linear(predicts="score"), "predicts must be one of velocity, noise, data; got 'score'"),
    (lambda: linear(scale=0), "scale must be a positive number; got 0"),
    (lambda: traflow_lib.as_velocity(3), "must be a network or function; got 3"),
    (lambda: traflow_lib.with_target_time(torch.nn.Linear(2, 2), "nowhere"), "no layer named 'nowhere'"),
    # times, steps, solvers
    (lambda: jump(POINT, 0.3, 0.7), "t is 0.3 and s 0.7: a jump goes to an earlier time"),
    (lambda: jump(POINT, 1.5, 0.0), "t is 1.5 and s 0.0: .*0 <= s <= t <= 1"),
    (lambda: jump(POINT, NAN, 0.0), "t is nan and s 0.0"),
    (lambda: jump(POINT, 1.0, -0.1), "t is 1.0 and s -0.1"),
    (lambda: jump(POINT, torch.ones(3), 0.0), r"got shape \(3,\) for a batch of 5"),
    (lambda: random_student("mlp")[0].sample(POINT, 1.5), "a whole number, got 1.5"),
    (lambda: solvers.solve(velocity, POINT, steps=0), "steps= .at least 1.*they are 0 and None"),
    (lambda: solvers.solve(velocity, POINT, steps=1.5), "they are 1.5 and None"),
    (lambda: solvers.solve(velocity, POINT, steps="3"), "they are '3' and None"),
    (lambda: solvers.solve(velocity, POINT, method="dopri5", tol="small"), "it is 'small'"),
    (lambda: make_pairs(velocity, 0, (2,), 0, method="heun", steps=1), "n is 0 and seed 0: at least 1 pair"),
    (lambda: make_pairs(velocity, 4, (2,), -1, method="heun", steps=1), "n is 4 and seed -1"),
    (lambda: batch.sample_times(4, 0.1, law="nope"), "law is 'nope': one of two, nested"),
    (lambda: flow.GaussianFlow(torch.zeros(2), torch.eye(3)), r"covs \[K, D, D\] expected; got \(1, 2\)"),
    (lambda: flow.GaussianFlow(torch.zeros(2), -torch.eye(2)), "a covariance has a negative eigenvalue"),
    # pictures
    (lambda: traflow_lib.ImageFolder("nowhere"), "there is no folder nowhere"),
    (lambda: traflow_lib.ImageFolder(".", size="8"), "size is '8': a whole number of pixels"),
    (lambda: array(0, 1, 8, 8), "an array without images"),
    (lambda: array(2, 1, 8, 8), "an array of floats needs value_range"),
    (lambda: array(2, 1, 8, 8, fill=NAN, value_range=(0, 1)), "from nan to nan is not in value_range"),
    (lambda: array(2, 1, 8, 8, value_range=(1, 0)), r"is not in value_range, \[1, 0\]"),
    (lambda: array(2, 2, 8, 8, value_range=(0, 1)), "is not clearly one of"),
    (lambda: bytes_with([1]), "2 integer labels expected, found int64 of shape"),
    (lambda: bytes_with([0, -1]), "labels outside 0"),
    (lambda: bytes_with([0.5, 1.0]), "2 integer labels expected, found float64"),
    (lambda: traflow_lib.ImageArray("digits"), "a str that is no array of images"),
    (lambda: images.load("digits", "dev"), "unknown split 'dev' of digits; there are all, train, test"),
    (lambda: toys.get("nope"), "unknown toy data set 'nope'; there are checkerboard"),
    # distances
    (lambda: wasserstein2(POINT * NAN, POINT), "5 of 5 samples are NaN or infinite"),
    (lambda: wasserstein2(POINT[:0], POINT), r"at least 1 points .*got \(0, 2\) and \(5, 2\)"),
    (lambda: wasserstein2(POINT, torch.randn(5, 3)), r"of one dimension expected; got \(5, 2\) and \(5, 3\)"),
    (lambda: sliced_wasserstein2(POINT * NAN, POINT), "5 of 5 samples are NaN or infinite"),
    (lambda: mmd(POINT, POINT[:1]), r"at least 2 points .*got \(5, 2\) and \(1, 2\)"),
    (lambda: mmd(POINT, POINT * NAN), "5 of 5 samples are NaN or infinite"),
    (lambda: feature_distance(POINT, torch.randn(5, 3)), "features of 2 numbers each are compared with 3"),
    (lambda: feature_distance(POINT[:1], POINT), "not finite; check the images"),
    (lambda: feature_distance(POINT * NAN, POINT), "not finite; check the images"),
    (lambda: Scoring.of(metrics=[]), "metrics is .*at least 1 item"),
    (lambda: Scoring.of(n="many"), "n is 'many': input should be a valid integer"),
    # students and their training
    (lambda: student().sample(2, calls=0), "calls is 0: a whole number of at least 1"),
    (lambda: student().evaluate("digits", calls=[]), "calls is empty: at least one number"),
    (lambda: student().save("."), "is a folder; name a file"),
    (lambda: digits(steps=1.5), "steps is 1.5: input should be a valid integer"),
    (lambda: digits(train={"lr": "fast"}), "lr is 'fast': input should be a valid number"),
    (lambda: digits(train={"learning_rate": 1.0}), "unknown training option .'learning_rate'"),
    (lambda: digits(options={"outptu": 1.0}), "unexpected keyword argument 'outptu'; its options are"),
    (lambda: digits(options={"output": "big"}), "output is 'big'; it must be a number"),
    (lambda: digits(pairs={"n": 4, "setps": 2}), "pairs: unknown setps; there are n, seed"),
    (lambda: objectives.get("nope"), "unknown objective 'nope'; there are alphaflow"),
    (lambda: train(steps=True), "steps is True: input should be a valid integer"),
    (lambda: train(ema=1.0), "ema is 1.0: input should be less than 1"),
    (lambda: recipes.load("06_digits", "smoke", precision="fp8"), "precision is 'fp8'"),
    (lambda: recipes.load("06_digits", None), "unknown profile 'None' for 06_digits; there are smoke"),
    (lambda: notebooks.run("00_quickstart", "smoke", teacher=TEACHER), "has no parameter teacher"),
]  # fmt: skip


@pytest.mark.parametrize("call, complaint", CALLS, ids=[complaint for _, complaint in CALLS])
def test_a_call_says_in_one_line_what_is_wrong(call, complaint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(paths, "root", lambda: ROOT)
    with pytest.raises((ValueError, OSError)) as caught:
        call()
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())
    _require(str(caught.value), complaint)


def test_paths_may_be_words(tmp_path):
    assert load_teacher(str(TEACHER)).net is not None
    saved = student().save(str(tmp_path / "mine.safetensors"))
    assert traflow_lib.load(str(saved)).shape == (1, 8, 8)
    PairCache(POINT, -POINT).save(str(tmp_path / "pairs.safetensors"))
    assert torch.equal(PairCache.load(str(tmp_path / "pairs.safetensors")).x0, -POINT)


def test_what_nobody_foresaw_is_one_line_and_debug_shows_where(monkeypatch, capsys):
    def broken():
        return {}["key"]

    monkeypatch.setattr(recipes, "load", lambda *_: broken())
    assert main(["doctor", "--recipe", "06_digits"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "error: KeyError: 'key' (a fault of the kit; --debug shows where)"
    with pytest.raises(KeyError):
        main(["--debug", "doctor", "--recipe", "06_digits"])


def test_there_are_a_hundred_and_more():
    assert len(COMMANDS) + len(CALLS) > 100
