"""The command evaluate, from a checkpoint or a folder to lines and records; then its speed."""

from time import perf_counter

import pytest
import torch

from traflow_lib import nets
from traflow_lib.cli import main
from traflow_lib.evaluation import generate, records
from traflow_lib.evaluation.features import to_uint8
from traflow_lib.evaluation.frechet import feature_distance
from traflow_lib.evaluation.scores import Scoring, scores
from traflow_lib.experiments import evaluate, recipes
from traflow_lib.experiments.experiment import Experiment
from traflow_lib.experiments.extractors import load
from traflow_lib.experiments.measure import Measure
from traflow_lib.files import paths
from traflow_lib.files.checksums import file_sha256
from traflow_lib.jump import JumpMap
from traflow_lib.teachers import load_network, save_network

pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.jit.load` is deprecated"
)  # Inception's weights have no other format
STUDENT = paths.committed("checkpoints", "digits-traflow-seed0-587dafc3db.safetensors")
TEACHER = paths.committed("checkpoints", "digits-teacher-91fe64c61e.safetensors")


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAFLOW_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("TRAFLOW_RESULTS", str(tmp_path / "results"))


def command(*words, target=STUDENT) -> int:
    return main(["evaluate", str(target), "--data", "digits", *map(str, words)])


def saved() -> list[dict]:
    return records.load(paths.results() / "records")


def test_lines_and_records_tell_all_the_number_depends_on(capsys):
    options = "--extractor cnn --samples 60 --split test --nfe 1 --nfe 2 --seed 3 --seed 4 --profile x"
    metrics = "--metric fid --metric kid --metric is --metric pr --metric sfid"
    assert command(*options.split(), *metrics.split()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * 8
    for words in (
        "± ",
        "over 2 seeds",
        "1 call by jumps",
        "60 images",
        "seeds 3 4",
        "against 364 of digits (test)",
        "digits-cnn e511ede8",
        "mode native, uint8",
    ):
        assert words in lines[0], words
    rows = saved()
    assert {row["metric"].removesuffix("-digits-cnn-uint8") for row in rows} == {
        "fd",
        "kid",
        "is",
        "precision",
        "recall",
        "density",
        "coverage",
        "sfd",
    }
    for row in rows:
        assert (row["n_generated"], row["n_reference"], row["split"], row["seeds"]) == (
            60,
            364,
            "test",
            [3, 4],
        ) and row["nfe"] in (1, 2)
        assert (
            row["spread"] is not None
            and row["mode"] == "native, uint8"
            and row["extractor"].startswith("digits-cnn e511ede8")
        )
        assert (
            row["checkpoint_sha256"] == [file_sha256(STUDENT)]
            and row["parameters"] == 434065
            and row["profile"] == "x"
        )


def test_value_is_that_of_the_pieces():
    settings = Scoring.of(n=50, extractor="cnn", split="test", seeds=[7])
    (record,) = evaluate.evaluate(str(STUDENT), "digits", settings)
    extractor, generator = load("cnn", "digits"), generate.Generator(STUDENT)
    fake, real = (
        extractor(to_uint8(generator(7, 1, 0, 50)[0])),
        generate.reference("digits", "test", extractor),
    )
    assert record.metrics["fd-digits-cnn-uint8"][0] == pytest.approx(
        feature_distance(fake["features"], real.features), rel=1e-4
    )
    assert record.errors["fd-digits-cnn-uint8"][0] > 0


def test_one_seed_has_the_bootstraps_spread(capsys):
    metrics = "--metric fid --metric kid --metric is --metric fid-infinity --metric sfid"
    assert command("--extractor", "cnn", "--samples", 60, *metrics.split()) == 0
    assert all("(standard error, bootstrap)" in line for line in capsys.readouterr().out.splitlines())
    assert all(row["spread"] > 0 for row in saved())


def test_second_call_is_answered_from_the_cache(capsys):
    words = ["--extractor", "cnn", "--samples", 50]
    command(*words)
    first = capsys.readouterr().out.splitlines()
    command(*words)
    generated, reference, line = capsys.readouterr().out.splitlines()
    assert "from the cache" in generated and "from the cache" in reference and first == [line]


def test_image_depends_on_seed_and_number_alone():
    generator = generate.Generator(STUDENT)
    whole, calls = generator(5, 2, 0, 7)
    parts = torch.cat([generator(5, 2, start, stop)[0] for start, stop in ((0, 3), (3, 7))])
    assert (
        calls == 2
        and torch.allclose(whole, parts, atol=1e-5)
        and not torch.allclose(whole, generator(6, 2, 0, 7)[0], atol=0.1)
    )


@pytest.mark.parametrize(
    "solver, nfe, calls", [(None, 2, 2), ("euler", 3, 3), ("heun", 4, 4), ("dopri5", 0, None)]
)
def test_teacher_by_a_solver_tells_the_calls_it_made(solver, nfe, calls):
    if solver == "dopri5":
        pytest.importorskip("torchdiffeq")
    generator = generate.Generator(TEACHER, solver, tol=1e-2)
    x, found = generator(0, nfe, 0, 3)
    assert (
        x.shape == (3, 1, 8, 8)
        and (found == calls if calls else found > 6)
        and generator.sampler == (solver or "euler")
    )


def test_jumps_of_a_velocity_are_eulers_steps():
    jumps, euler = (generate.Generator(TEACHER, solver)(0, 4, 0, 3)[0] for solver in (None, "euler"))
    assert torch.equal(jumps, euler)


def test_class_conditional_checkpoints_draw_their_classes(tmp_path):
    config = {
        "kind": "edm",
        "net": {
            "kind": "adm",
            "size": 8,
            "width": 8,
            "multipliers": [1],
            "blocks": 1,
            "attention": [],
            "classes": 3,
        },
    }
    save_network(tmp_path / "student.safetensors", nets.build(config, s_input=True), config, s_input=True)
    x, calls = generate.Generator(tmp_path / "student.safetensors")(0, 1, 0, 4)
    assert x.shape == (4, 3, 8, 8) and calls == 1


def test_a_folder_of_png_gives_the_same_number(tmp_path, capsys):
    from PIL import Image

    words = ["--extractor", "cnn", "--samples", 40, "--split", "test"]
    x = to_uint8(generate.Generator(STUDENT)(0, 1, 0, 40)[0])
    (tmp_path / "png").mkdir()
    for i, image in enumerate(x):
        Image.fromarray(image[0].numpy()).save(tmp_path / "png" / f"{i:03d}.png")
    assert command(*words) == command(*words, target=tmp_path / "png") == 0
    streamed, _, from_files = capsys.readouterr().out.splitlines()
    assert "| png, files: 40 images" in from_files
    assert from_files.split()[1] == streamed.split()[1]


def test_the_whole_inception_path(stand_in, capsys):
    options = "--samples 20 --n-reference 30 --split test --mode legacy_tensorflow --seed 0 --seed 1"
    metrics = "--metric fid --metric kid --metric is --metric sfid"
    assert command(*options.split(), *metrics.split()) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == [
        "fid-legacy_tensorflow",
        "kid-legacy_tensorflow",
        "is-legacy_tensorflow",
        "sfid-legacy_tensorflow",
    ]
    assert "inception-legacy_tensorflow-test-20" in str(next((paths.results() / "records").rglob("*.jsonl")))


@pytest.mark.parametrize(
    "words, complaint",
    [
        (["--metric", "fid", "--metric", "fd"], "metrics.1 is 'fd': input should be 'fid', 'kid'"),
        (["--samples", -1], "n is -1: input should be greater than or equal to 2"),
        (["--n-reference", -5], "n_reference is -5: input should be greater than or equal to 2"),
        (["--nfe", 0], "nfe.0 is 0: input should be greater than or equal to 1"),
        (["--mode", "cleen"], "mode is 'cleen': input should be 'clean', 'legacy_tensorflow'"),
        (["--split", "dev"], "unknown split 'dev'"),
        (
            ["--solver", "heun", "--nfe", 3],
            "heun makes 2 calls a step, so 3 calls are no whole number of steps",
        ),
        (["--solver", "leapfrog"], "solver is 'leapfrog': input should be 'euler'"),
        (["--metric", "pr", "--samples", 4], "more than 5 samples"),
    ],
)
def test_wrong_options_are_one_line(words, complaint, capsys):
    assert command("--extractor", "cnn", "--samples", 10, *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert complaint in line


@pytest.mark.parametrize("kind", ["nothing", "points", "empty"])
def test_wrong_targets_are_one_line(kind, tmp_path, capsys):
    config = {"kind": "mlp", "width": 8, "depth": 2}
    save_network(tmp_path / "points.safetensors", nets.build(config), config)
    (tmp_path / "empty").mkdir()
    target = tmp_path / ("empty" if kind == "empty" else f"{kind}.safetensors")
    assert command("--extractor", "cnn", target=target) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert {"nothing": "there is no checkpoint", "points": "makes no images", "empty": "has no image files"}[
        kind
    ] in line


def test_no_result_overwrites_another(tmp_path, capsys):
    from PIL import Image

    for name, shift in (("a", 0), ("b", 40)):
        folder = tmp_path / name / "samples"
        folder.mkdir(parents=True)
        for i in range(20):
            Image.new("L", (8, 8), 5 * i + shift).save(folder / f"{i}.png")
    common = ("--extractor", "cnn", "--samples", 20, "--split", "test")
    folders = [tmp_path / name / "samples" for name in "ab"]
    for target in (*folders, *folders):
        assert command(*common, target=target) == 0
    found = saved()
    assert len(found) == 2 and len({row["method"] for row in found}) == 2
    assert {row["method"][:7] for row in found} == {"samples"}
    for options in (["--n-reference", 100], ["--n-reference", 200], ["--n-reference", 100]):
        assert command(*common, *options) == 0
    assert len(saved()) == 4
    for tol in (1e-2, 1e-3, 1e-2):
        assert command(*common, "--solver", "dopri5", "--tol", tol, target=TEACHER) == 0
    assert len(saved()) == 6
    before = saved()
    assert command(*common, "--metric", "kid", target=folders[0]) == 0  # of the same images
    values = {(row["key"], row["metric"]): row["value"] for row in saved()}
    assert len(values) == 7 and all(values[row["key"], row["metric"]] == row["value"] for row in before)


def test_an_adaptive_solvers_batch_is_part_of_the_question_and_a_fixed_grids_is_not(capsys):
    pytest.importorskip("torchdiffeq")
    common = ("--extractor", "cnn", "--samples", 12, "--split", "test")
    for solver, batches in (("dopri5", [4, 6]), ("heun", [None])):
        for batch in (4, 6, 4):
            options = ["--solver", solver, "--nfe", 2, "--tol", 1e-2, "--batch", batch]
            assert command(*common, *options, target=TEACHER) == 0
        assert sorted(row["batch"] for row in saved() if row["sampler"] == solver) == batches
    out = capsys.readouterr().out
    assert "by dopri5 in batches of 6: 12 images" in out and "2 calls by heun: 12 images" in out


@pytest.mark.parametrize("solver", ["dopri5", "euler"])
def test_a_broken_teacher_is_one_line_in_the_command_and_in_measure(solver, tmp_path, capsys):
    pytest.importorskip("torchdiffeq")
    experiment = Experiment(recipes.load("06_digits", "smoke"), "digits")
    net, header = experiment.model("teacher").net, experiment.model("teacher").header
    with torch.no_grad():
        next(net.parameters()).mul_(float("nan"))
    save_network(tmp_path / "broken.safetensors", net, header["network"])
    options = ("--extractor", "cnn", "--samples", 20, "--solver", solver)
    assert command(*options, target=tmp_path / "broken.safetensors") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "NaN or infinite" in line
    how = {"tol": 1e-3} if solver == "dopri5" else {"steps": 1}
    with pytest.raises(ValueError, match="NaN or infinite"):
        Measure(experiment).teacher(method=solver, **how)
    with pytest.raises(ValueError, match="samples are NaN or infinite"):
        Measure(experiment).sample(JumpMap(net), 1)
    assert not saved() and not list(paths.runs().glob("*reference*"))


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_samples_that_are_no_numbers_are_refused_and_leave_nothing(number, tmp_path, capsys):
    net, header = load_network(STUDENT)
    with torch.no_grad():
        next(net.parameters()).mul_(number)
    save_network(tmp_path / "broken.safetensors", net, header["network"], s_input=True)
    assert command("--extractor", "cnn", "--samples", 20, target=tmp_path / "broken.safetensors") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "20 of 20 samples are NaN or infinite" in line and not saved()
    out = tmp_path / "x.pt"
    assert main(["sample", str(tmp_path / "broken.safetensors"), "--samples", "5", "--out", str(out)]) == 2
    assert "5 of 5 samples are NaN or infinite" in capsys.readouterr().err and not out.exists()


def test_ten_thousand_digits_are_generated_and_scored_in_time():
    """Under 20 s on two idle cores, the metric's part under a quarter.

    Three times that here, where other tests may run beside.
    """
    extractor, generator = load("cnn", "digits"), generate.Generator(STUDENT)
    real = generate.reference("digits", "all", extractor)
    start = perf_counter()
    fake = generate.generated(generator, extractor, 10_000, 0, 1)
    whole = perf_counter() - start
    pixels = to_uint8(torch.randn(10_000, 1, 8, 8))
    start = perf_counter()
    extractor(pixels)
    scores(fake, real, extractor)
    metric = perf_counter() - start
    assert whole + metric < 60 and metric < (whole + metric) / 3, (
        f"{whole:.1f} s, {metric:.1f} s of them the metric's"
    )
