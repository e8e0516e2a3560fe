"""The recipes of image scale.

Each runs from nothing to records at smoke, and what is shipped for a GPU builds and says what the paper says.
"""

import json

import numpy as np
import pytest
import torch
from checkpoint_files import edm_network, fill, layout, rectified_flow_content, write_pickle
from image_files import cifar, picture_of

from traflow_lib import cli, nets, objectives
from traflow_lib.cli import main
from traflow_lib.data import images, published_sets
from traflow_lib.evaluation.features import to_uint8
from traflow_lib.evaluation.frechet import Statistics, mean_and_cov
from traflow_lib.experiments import bench, recipes, settings
from traflow_lib.experiments.experiment import Experiment
from traflow_lib.experiments.measure import Measure
from traflow_lib.experiments.settings import identity
from traflow_lib.files import paths
from traflow_lib.teachers import import_teacher, load_teacher
from traflow_lib.training.config import TrainConfig

IMAGES = ["fashion_mnist", "cifar10", "celeba64", "ffhq64", "imagenet64"]
OFFICIAL = {
    "cifar10": "edm-cifar10-32x32-uncond-vp.pkl",
    "ffhq64": "edm-ffhq-64x64-uncond-vp.pkl",
    "imagenet64": "edm-imagenet-64x64-cond-adm.pkl",
}


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAFLOW_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("TRAFLOW_RESULTS", str(tmp_path / "results"))


# the recipes at 64x64 take half a minute each
@pytest.mark.parametrize(
    "name",
    [
        name if name in ("fashion_mnist", "cifar10") else pytest.param(name, marks=pytest.mark.slow)
        for name in IMAGES
    ],
)
def test_recipe_runs_from_nothing_to_records(name):
    for package in ("torchdiffeq", "torchvision"):
        pytest.importorskip(package)
    recipe = recipes.load(name, "smoke")
    methods = ["traflow_v4", "compact"] if name == "imagenet64" else recipe["methods"]
    experiment = Experiment(recipe)
    found = bench.run(experiment, methods)
    assert {record.method for record in found} == set(methods)
    assert recipe["stand_in_for"] == name
    for record in found:
        lines = map(json.loads, (paths.results() / "records" / record.file).read_text().splitlines())
        saved = next(
            line
            for line in lines
            if (line["method"], line["sampler"], line["nfe"]) == (record.method, record.sampler, record.nfe)
        )
        assert (
            saved["stand_in"]
            and saved["data_sha256"]
            and saved["parameters"] > 0
            and "paired_rmse" in saved["metrics"]
        )
        assert f"fd-{experiment.dataset}-cnn-uint8" in saved["metrics"] and saved["ema"] == 0.999
    folder = experiment.model(methods[0]).file.parent
    assert list(folder.glob("samples-*.png")) and (folder / "model-ema0.9999.safetensors").exists()


@pytest.mark.parametrize("name", IMAGES)
def test_laptop_measures_with_committed_statistics_and_needs_no_image(name, monkeypatch):
    monkeypatch.setattr(
        "traflow_lib.data.images.load", lambda *args, **kwargs: pytest.fail("images were asked for")
    )
    measure = Measure(Experiment(recipes.load(name, "laptop")))
    statistics = measure.ruler.statistics
    assert (
        statistics.n == measure.settings["n_reference"]
        and len(statistics.sha256) == 64
        and not list(paths.runs().glob("*statistics*"))
    )
    assert measure.experiment.model("classifier").file.parent == paths.committed("checkpoints")


def test_notebook_07_distills_and_measures_without_an_image(tmp_path, monkeypatch, said):
    monkeypatch.setattr(published_sets, "DEBIAN_FASHION_MNIST", tmp_path)
    monkeypatch.setenv("TRAFLOW_DATA", str(tmp_path))
    few = {
        "pairs": {"n": 4, "steps": 1},
        "student": {"train": {"steps": 1, "batch": 2}},
        "evaluate": {"n": 3, "n_geometry": 1, "reference": {"steps": 1}},
    }
    experiment = Experiment(recipes.merge(recipes.load("fashion_mnist", "laptop"), few))
    found = bench.run(experiment, ["teacher", "traflow", "distill"], again=True)
    assert {record.method for record in found} == {"teacher", "traflow", "distill"}
    assert all(
        "fd-fashion_mnist-cnn-uint8" in record.metrics and record.n_reference == 10_000 for record in found
    )
    assert ["half-mirrored" in line for line in said if line.startswith("not measured: real data, ")] == [
        False,
        True,
    ]


def test_students_that_notebook_07_shows_are_committed():
    recipe = recipes.load("fashion_mnist", "hour")
    models = Experiment(recipe).models
    for method in ("traflow", "distill"):
        (own,) = settings.student(recipe, "fashion_mnist", method, 0)
        assert models.found(f"{method}-seed0", own).file.parent == paths.committed("checkpoints")


def test_half_mirrored_data_are_as_far_from_the_data_as_they_are_lopsided():
    recipe = recipes.load("fashion_mnist", "smoke")
    measure = Measure(Experiment(recipe))
    as_it_is = measure.mirrored()
    assert (as_it_is.method, as_it_is.sampler, as_it_is.nfe) == (
        "real data",
        "half-mirrored",
        0,
    ) and as_it_is.n_generated == 500
    symmetric, lopsided = (Measure(Experiment(recipe)) for _ in range(2))
    symmetric.ruler.real = torch.cat([measure.real[:, :, :, :16], measure.real[:, :, :, :16].flip(3)], dim=3)
    lopsided.ruler.real = torch.cat([measure.real[:, :, :, :16], -torch.ones(500, 1, 32, 16)], dim=3)
    for one in (symmetric, lopsided):
        one.ruler.statistics = Statistics(*mean_and_cov(one.ruler.real_features), len(one.real), "")
    (far,), (near,) = (one.mirrored().metrics[one.fd_name] for one in (lopsided, symmetric))
    assert near < 1e-6 < far


def test_class_agreement_is_the_share_of_pictures_of_the_class_that_the_teachers_has():
    """Of real images in the place of samples, some exchanged for a picture of another class."""
    measure = Measure(Experiment(recipes.load("fashion_mnist", "smoke")))
    classes = measure.ruler.classes(measure.real)
    assert measure.ruler.scores(measure.real, classes)["class_agreement"] == 1
    assert len(classes.unique()) > 1
    other = (classes != classes[0]).nonzero()[0]
    exchanged = measure.real.clone()
    same = (classes == classes[0]).nonzero()[:7, 0]
    exchanged[same] = measure.real[other]
    expected = pytest.approx(1 - len(same) / len(classes))
    assert measure.ruler.scores(exchanged, classes)["class_agreement"] == expected


@pytest.mark.parametrize("profile", ["gpu", "paper"])
@pytest.mark.parametrize("name", IMAGES)
def test_shipped_settings_are_whole(name, profile):
    """Networks build (without memory), objectives and trainings parse, and the batch fits the passes."""
    recipe = recipes.load(name, profile)
    teacher = recipe["teacher"]
    if teacher.get("kind") == "checkpoint":
        assert teacher["file"] == OFFICIAL[name]
    else:
        TrainConfig.of(teacher["train"])
    for method, own in recipe["students"].items():
        settings = recipes.merge(recipe["student"], own)
        objectives.get(settings["objective"], **settings.get("options", {}))
        assert TrainConfig.of(settings["train"]).passes(1) >= 1
        base, change = recipe["net"], settings["net"]
        config = recipes.merge(base, {"net": change} if base["kind"] == "edm" else change)
        with torch.device("meta"):
            assert sum(p.numel() for p in nets.build(config, s_input=True).parameters()) > 1_000_000, method
    assert set(recipe["methods"]) <= set(recipe["students"])


def student(name):
    recipe = recipes.load(name, "paper")
    return recipe, TrainConfig.of(settings.training(recipe["student"]["train"], recipe))


@pytest.mark.parametrize(
    "name, lr, batch, steps, solver_steps",
    [("cifar10", 4e-4, 512, 130_000, 18), ("imagenet64", 8e-6, 2048, 40_000, 40)],
)
def test_paper_profile_carries_table_8(name, lr, batch, steps, solver_steps):
    recipe, train = student(name)
    assert (train.optimizer, train.lr, train.batch, train.steps, train.schedule, train.warmup) == (
        "adam",
        lr,
        batch,
        steps,
        "constant",
        0,
    )
    assert train.decays == [0.999, 0.9999]  # of the student, and of the target network
    assert settings.training(recipe["student"]["train"], recipe)["precision"] == "fp16"
    assert (recipe["pairs"]["method"], recipe["pairs"]["steps"], recipe["pairs"]["online"]) == (
        "heun",
        solver_steps,
        True,
    )
    assert recipe["teacher"]["file"] == OFFICIAL[name] and recipe["evaluate"]["n"] == 50_000
    assert recipe["students"]["traflow_v4"]["objective"] == "traflow_v4" and "traflow_v4" in recipe["methods"]


def test_gpu_profile_of_fashion_mnist_is_at_the_papers_scale():
    recipe = recipes.load("fashion_mnist", "gpu")
    with torch.device("meta"):
        count = sum(p.numel() for p in nets.build(recipe["net"]).parameters())
    assert 35e6 < count < 62e6 and recipe["net"]["size"] == 32 and len(recipe["methods"]) >= 4


TINY = {"size": 32, "width": 8, "multipliers": (1, 2), "blocks": 1, "attention": (16,)}


def edm_file(folder):
    return write_pickle(
        folder / "tiny.pkl", {"ema": edm_network("SongUNet", fill(layout("SongUNet", **TINY)), dropout=0.1)}
    )


def rectified_flow_file(folder):
    torch.manual_seed(0)
    net = nets.build({"kind": "ddpmpp", **TINY})
    torch.save(
        rectified_flow_content(fill([[name, [*value.shape]] for name, value in net.named_parameters()])),
        folder / "tiny.pth",
    )
    return folder / "tiny.pth"


COUNTS = {
    "steps",
    "batch",
    "warmup",
    "micro_batch",
    "watch_every",
    "n",
    "n_reference",
    "tol",
    "teacher_nfe",
    "seeds",
    "methods",
    "profile",
}


def changed(before, after, path=()):
    """Paths of the leaves in which two recipes differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            found
            for key in before.keys() | after.keys()
            for found in changed(before.get(key), after.get(key), (*path, key))
        ]
    return [] if before == after else [path]


@pytest.mark.parametrize("name", IMAGES)
def test_rehearsal_is_the_paper_profile_with_other_counts_only(name):
    paper, rehearsal = (recipes.load(name, profile) for profile in ("paper", "rehearsal"))
    differences = changed(paper, rehearsal)
    assert ("student", "train", "steps") in differences and {path[-1] for path in differences} <= COUNTS
    assert not any(path[:2] == ("pairs", "steps") for path in differences)  # the same solver
    assert (
        rehearsal["student"]["train"]["batch"] > rehearsal["student"]["train"]["micro_batch"]
    )  # gradients are accumulated there too


@pytest.mark.parametrize("write", [edm_file, rectified_flow_file], ids=["edm", "rectified flow"])
def test_checkpoint_of_a_release_is_the_teacher_of_a_recipe_and_students_start_as_it(
    tmp_path, monkeypatch, capsys, write
):
    """The command a reader types, with CIFAR-10 itself (generated in its own format) in place of the
    stand-in.
    """
    monkeypatch.setenv("TRAFLOW_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TRAFLOW_DATA_UNVERIFIED", "1")
    cifar(tmp_path / "data", n=20)
    shrunken = recipes.load("cifar10", "smoke") | {"dataset": "cifar10"}
    del shrunken["classifier"]

    def given(name, profile, teacher, precision):
        return recipes.merge(shrunken, {"teacher": {"kind": "checkpoint", "file": str(teacher)}})

    monkeypatch.setattr(recipes, "load", given)
    file = write(tmp_path)
    assert (
        cli.main(
            [
                "distill",
                "--recipe",
                "cifar10",
                "--profile",
                "smoke",
                "--method",
                "distill",
                "--teacher",
                str(file),
            ]
        )
        == 0
    )
    assert "cifar10: distill, seed 0 in" in capsys.readouterr().out
    shrunken["student"]["train"]["lr"] = 0.0
    experiment = Experiment(shrunken | {"teacher": {"kind": "checkpoint", "file": str(file)}})
    student, teacher, x = experiment.student("distill"), load_teacher(file), torch.randn(2, 3, 32, 32)
    assert torch.allclose(student.average_velocity(x, 0.7, 0.2), teacher(x, 0.7), atol=1e-6)


def test_imported_teacher_is_the_same_teacher(tmp_path):
    """Students of the release's file and of its import have one fingerprint, the release's checksum being
    what counts.
    """
    file = edm_file(tmp_path)
    imported = import_teacher(file)
    recipe = recipes.load("cifar10", "smoke")
    own = [
        Experiment(recipe | {"teacher": {"kind": "checkpoint", "file": str(one)}}).teacher_settings()
        for one in (file, imported)
    ]
    assert own[0] == own[1] and len(own[0]["sha256"]) == 64


@pytest.mark.parametrize(
    "start, options", [("truncated", {"width": 4}), ("random", {"width": 4}), ("teacher", {})]
)
def test_compact_students_start_from_part_of_the_teacher_or_from_nothing(start, options):
    recipe = recipes.merge(
        recipes.load("cifar10", "smoke"),
        {"students": {"small": {"objective": "distill", "start": start, "net": options}}},
    )
    student = Experiment(recipe).student("small")
    assert student.net.width == options.get("width", 8)


def test_interrupted_training_is_only_resumed_when_asked(capsys, monkeypatch):
    """A training stopped after its last checkpoint, as a machine that is taken away leaves it."""
    command = ["train", "--recipe", "cifar10", "--profile", "smoke"]
    assert cli.main(command) == 0
    (model,) = paths.runs().glob("shapes32-teacher-*/model.safetensors")
    model.unlink()
    capsys.readouterr()
    assert (
        cli.main(command) == 2
        and "add --resume to go on with it, or delete the folder" in capsys.readouterr().err
    )
    assert not model.exists()
    assert cli.main([*command, "--resume"]) == 0 and model.exists()
    assert cli.main(command) == 0  # finished, so nothing is to resume


pytestmark = [
    pytest.mark.usefixtures("generated_files"),
    pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated"),  # Inception's weights
]


@pytest.fixture
def pictures(tmp_path):
    for number in range(20):
        picture_of(tmp_path / "my pictures" / "ab"[number % 2] / f"{number}.png", "L", (12, 10), number)
    return tmp_path / "my pictures"


def test_a_recipe_takes_a_folder_and_knows_its_contents(pictures, tmp_path):
    recipe = recipes.load("06_digits", "smoke")
    recipe = {key: value for key, value in recipe.items() if key not in ("classifier", "watch", "dataset")}
    experiment = Experiment(recipe, f"folder:{pictures}@8")
    assert experiment.shape == (1, 8, 8) and experiment.data(3, seed=0).shape == (3, 1, 8, 8)
    model = experiment.model("traflow", 0)
    assert "training" in model.header and model.file.parent.parent == tmp_path / "runs"
    assert model.file.parent.name.startswith("folder-my-pictures@8-traflow-seed0-")
    (tmp_path / "new").mkdir()
    moved = Experiment(recipe, f"folder:{pictures.rename(tmp_path / 'new' / pictures.name)}@8")
    assert moved.model("traflow", 0).file == model.file
    before = identity(moved.teacher_settings())
    picture_of(tmp_path / "new" / pictures.name / "a" / "0.png", "L", (12, 10), 99)
    assert identity(moved.teacher_settings()) != before


def test_the_command_data_prepares_a_folder(pictures, capsys):
    (pictures / "IMG_1.heic").write_bytes(b"")
    assert main(["data", f"folder:{pictures}@8"]) == 0
    out = capsys.readouterr().out
    assert "20 images of shape (1, 8, 8), 2 classes (a, b), 1 files of other kinds left out, cache " in out
    assert main(["data", f"folder:{pictures}@80"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "0.png has 12x10 pixels, fewer than size 80" in line and "(and 19 more of 20 files)" in line


def test_a_folder_is_a_reference_to_measure_with(pictures, tmp_path, stand_in, capsys):
    own = f"folder:{pictures}@8"
    found = images.load(own)[0]
    np.savez(tmp_path / "samples.npz", to_uint8(found[:]).permute(0, 2, 3, 1).numpy())
    assert main(["evaluate", str(tmp_path / "samples.npz"), "--data", own, "--metric", "kid"]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert "| samples, files: 20 images" in line and f"against 20 of {own} (all)" in line
