"""What a recipe needs, what is said of what is missing, and FID of its teacher and students.

Inception's weights are a stand-in's.
"""

import socket
import threading
import time

import pytest
from image_files import cifar

from traflow_lib import cli
from traflow_lib.data import fetch, published_sets
from traflow_lib.evaluation import records
from traflow_lib.experiments import evaluate, readiness, recipes
from traflow_lib.experiments.evaluate import fid, fid_settings
from traflow_lib.experiments.experiment import Experiment
from traflow_lib.files import paths


@pytest.fixture(autouse=True)
def _empty_disk(tmp_path, monkeypatch):
    for name in ("RUNS", "DATA"):
        monkeypatch.setenv(f"TRAFLOW_{name}", str(tmp_path / name.lower()))
    monkeypatch.setenv("TRAFLOW_DATA_UNVERIFIED", "1")
    monkeypatch.setenv("TRAFLOW_INCEPTION", str(tmp_path / "nowhere"))


def found(recipe):
    return {need.what: need.found for need in readiness.needs(recipe)}


def test_everything_a_profile_needs_is_listed(tmp_path):
    recipe = recipes.load("cifar10", "paper")
    assert found(recipe) == {
        "GPU": False,
        "data cifar10": False,
        "teacher checkpoint": False,
        "Inception weights": False,
    }
    cifar(tmp_path / "data", n=20)
    (tmp_path / "data" / "teachers").mkdir()
    (tmp_path / "data" / "teachers" / recipe["teacher"]["file"]).touch()
    assert found(recipe) == {
        "GPU": False,
        "data cifar10": True,
        "teacher checkpoint": True,
        "Inception weights": False,
    }
    assert readiness.has_data(recipe)


def test_stand_in_data_need_no_file_and_are_named(said):
    readiness.check(recipes.load("cifar10", "laptop"))
    assert (
        len(said) == 2
        and said[1].endswith("STAND-IN for cifar10")
        and all(line.startswith("ok") for line in said)
    )


def test_notebook_07_goes_on_without_images_unless_something_trains_on_them(tmp_path, monkeypatch, said):
    monkeypatch.setattr(published_sets, "DEBIAN_FASHION_MNIST", tmp_path / "nowhere")
    laptop = recipes.load("fashion_mnist", "laptop")
    readiness.check(laptop)
    assert (
        len(said) == 2
        and "MISSING data fashion_mnist" in said[1]
        and "python -m traflow_lib data fashion_mnist fetches it" in said[1]
    )
    assert not readiness.has_data(laptop)
    another_teacher = recipes.merge(laptop, {"teacher": {"seed": 1}})
    for recipe in (another_teacher, recipes.load("fashion_mnist", "gpu")):
        with pytest.raises(
            FileNotFoundError, match="data fashion_mnist: python -m traflow_lib data fashion_mnist fetches it"
        ):
            readiness.check(recipe)


@pytest.mark.parametrize(
    "sent", [b"", b"HTTP/1.0 200 OK\r\nContent-Length: 1000\r\n\r\nhalf"], ids=["no answer", "stalled"]
)
def test_a_server_that_falls_silent_is_given_up_in_one_line(tmp_path, monkeypatch, capsys, sent):
    monkeypatch.setattr(fetch, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []

        def answer():
            held.append(server.accept()[0])
            held[0].sendall(sent)

        threading.Thread(target=answer, daemon=True).start()
        monkeypatch.setitem(
            fetch.URLS, "cifar10", [(f"http://127.0.0.1:{server.getsockname()[1]}/x.gz", "x.gz")]
        )
        start = time.monotonic()
        assert cli.main(["data", "cifar10"]) == 2
        error = capsys.readouterr().err
        assert (
            error.count("\n") == 1
            and "/x.gz could not be fetched (timed out); get it in another way and put it at" in error
        )
        assert time.monotonic() - start < 10 and not list((tmp_path / "data").glob("*"))
        held[0].close()


def test_what_is_vital_stops_with_what_to_do_and_the_rest_is_said(tmp_path, said):
    with pytest.raises(
        FileNotFoundError,
        match=r"cifar-10-python.tar.gz.*; teacher checkpoint: put https://.*edm-cifar10.*give another file",
    ):
        readiness.check(recipes.load("cifar10", "paper"))
    assert [line.split()[1] for line in said] == ["GPU:", "Inception"] and "FID stays 'not run'" in said[1]


def test_another_teacher_may_be_named(tmp_path):
    (tmp_path / "own.pth").touch()
    assert found(recipes.load("cifar10", "paper", tmp_path / "own.pth"))["teacher checkpoint"]


def test_doctor_of_a_recipe(capsys):
    assert cli.main(["doctor", "--recipe", "cifar10"]) == 0
    assert "STAND-IN for cifar10" in capsys.readouterr().out
    assert cli.main(["doctor", "--recipe", "celeba64", "--profile", "gpu"]) == 2
    assert "celeba" in capsys.readouterr().err


@pytest.fixture
def experiment(tmp_path, monkeypatch):
    for name in ("RUNS", "RESULTS"):
        monkeypatch.setenv(f"TRAFLOW_{name}", str(tmp_path / name.lower()))
    recipe = recipes.merge(
        recipes.load("cifar10", "smoke"),
        {"fid": {"n": 24, "n_reference": 40, "split": "train", "metrics": ["fid", "is"]}},
    )
    return Experiment(recipes.merge(recipe, {"evaluate": {"nfe": [1, 2]}}))


@pytest.mark.slow  # clean-fid's resizing and the stand-in Inception take most of a minute
def test_teacher_and_students_under_one_protocol(experiment, stand_in, said):
    pytest.importorskip("cleanfid")
    found = fid(experiment, ["teacher", "distill"])
    assert [(record.method, record.sampler) for record in found] == [
        ("teacher", "dopri5"),
        ("distill", "jumps"),
        ("distill", "jumps"),
    ]
    assert [record.nfe for record in found[1:]] == [1, 2] and found[0].nfe > 2
    for record in found:
        assert (
            set(record.metrics) == {"fid-clean", "is-clean"} and record.profile == "smoke" and record.stand_in
        )
        assert (record.n_generated, record.n_reference) == (24, 40)
    assert len(records.load(paths.results() / "records" / "smoke")) == 6
    said.clear()
    again = fid(experiment, ["teacher", "distill"])
    assert [record.metrics for record in again] == [record.metrics for record in found] and any(
        "from the cache" in line for line in said
    )


def test_without_weights_or_a_fid_block_it_says_so_and_goes_on(experiment, monkeypatch, tmp_path, said):
    monkeypatch.setenv("TRAFLOW_INCEPTION", str(tmp_path))
    assert fid(experiment) == [] and said[0].startswith("not run: FID. TRAFLOW_INCEPTION is")
    del experiment.recipe["fid"]
    assert fid(experiment) == [] and "another ruler" in said[-1]


def test_students_outside_the_contest_are_measured_as_the_ablation_block_says():
    recipe = {
        "methods": ["traflow"],
        "fid": {"n": 50000, "split": "train", "metrics": ["fid"]},
        "ablation": {"n": 6000, "metrics": ["fid", "sfid"]},
    }
    assert fid_settings(recipe, "traflow-5000") == {"n": 6000, "split": "train", "metrics": ["fid", "sfid"]}
    assert fid_settings(recipe, "traflow") == fid_settings(recipe, "teacher") == recipe["fid"]
    del recipe["ablation"]
    assert fid_settings(recipe, "traflow-5000") == recipe["fid"]


def test_each_number_of_calls_is_measured_with_the_network_that_was_trained_for_it(experiment, monkeypatch):
    """Progressive distillation has one for each; of other methods one file answers for all."""
    monkeypatch.setattr(evaluate.inception, "weights", lambda name: None)
    asked = []
    monkeypatch.setattr(
        evaluate, "evaluate", lambda file, data, how, **named: asked.append((file, how.nfe)) or []
    )
    rounds = [{"options": {"steps": n}, "calls": n, "share": 0.5} for n in (2, 1)]
    progressive = {"objective": "progressive", "stages": rounds}
    change = {"students": {"progressive": progressive}, "methods": ["progressive", "distill"]}
    recipe = recipes.merge(experiment.recipe, change)
    fid(Experiment(recipe), ["progressive", "distill"])
    (first, one), (second, two), (both, one_and_two) = asked
    assert [one, two, one_and_two] == [[1], [2], [1, 2]] and len({first, second, both}) == 3
