"""The kit where people put it.

Spaces and umlauts in the path, moved and copied clones, relative places, odd repositories, locales, an old
numpy.
"""

import ast
import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from image_files import cifar
from small_course import course, environment

from traflow_lib import cli
from traflow_lib.evaluation import provenance, records
from traflow_lib.files import paths
from traflow_lib.reports import notebooks

ROOT = paths.root()
LAST = "12_paper_tables"
PLACES = {
    "TRAFLOW_RESULTS": paths.results,
    "TRAFLOW_RUNS": paths.runs,
    "TRAFLOW_DATA": paths.data,
    "TRAFLOW_ROOT": paths.root,
}
# what stands for .venv/bin/python in the tests of the Makefile: it notes its arguments and where results go
PYTHON = '#!/bin/sh\nprintf "%s" "${TRAFLOW_RESULTS-}" >> said; printf "|%s" "$@" >> said; echo >> said\n'


@pytest.fixture
def kit(tmp_path, monkeypatch):
    """A folder with the Makefile, its helpers and a stand-in for .venv, and no places set."""
    for name in PLACES:
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "my kit ä"
    shutil.copytree(ROOT / ".ci", folder / ".ci")
    (folder / "traflow_lib").mkdir()
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON, encoding="utf-8")
    python.chmod(0o755)
    (folder / ".venv" / ".ready").write_text(f"{folder}\n", encoding="utf-8")
    return folder


def make(folder, *words, **variables):
    """make in a folder, and what it had .venv/bin/python do: lists of TRAFLOW_RESULTS and arguments."""
    (folder / "said").unlink(missing_ok=True)
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    done = subprocess.run(
        ["make", *words],
        cwd=folder,
        env=inherited | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    said = (folder / "said").read_text(encoding="utf-8").splitlines() if (folder / "said").exists() else []
    return done, [line.split("|") for line in said]


# numpy


def test_numpy_1_has_no_private_core_module_and_is_enough(tmp_path):
    cifar(tmp_path)
    code = (
        "import numpy, torch, accelerate; del numpy._core\n"
        "import sys; from traflow_lib import cli; from traflow_lib.data import images\n"
        "print(len(images.load('cifar10', 'train', sys.argv[1])[0]))"
    )
    variables = os.environ | {
        "TRAFLOW_DATA_UNVERIFIED": "1",
        "TRAFLOW_RUNS": str(tmp_path / "runs"),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], env=variables, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0 and int(done.stdout) > 0, done.stderr


# spaces and umlauts; pipeline/test_reproduce.py runs a whole pipeline in such a folder


def test_make_test_runs_its_parts_in_a_folder_with_a_space_and_an_umlaut_and_times_them(kit):
    done, said = make(kit, "test")
    assert done.returncode == 0, done.stdout
    assert [line[1:4] for line in said if line[1] == "-m"] == [
        ["-m", "ruff", "check"],
        ["-m", "mypy"],
        ["-m", "pytest", "tests"],
        ["-m", "pytest", "--nbval"],
    ]
    assert said[-1][0] == f"{kit}/runs/nbval-results"
    assert re.findall(r"^(.+) took \d+ min \d\d s$", done.stdout, re.MULTILINE) == [
        "ruff",
        "mypy",
        "unit tests",
        "notebooks",
    ]
    done, said = make(kit, "reproduce", "PROFILE=smoke")
    assert done.returncode == 0 and ["-m", "snakemake", "--profile"] in [line[1:4] for line in said]


@pytest.mark.parametrize("target", ["test", "reproduce", "test-slow", "lab", "lint", "bench"])
def test_make_names_neither_its_folder_nor_scripts_that_hold_it(kit, target):
    """A script that pip made holds the path of its environment and dies when that moves.

    Python itself does not.
    """
    done, _ = make(kit, "-n", target)
    assert done.returncode == 0 and str(kit) not in done.stdout.replace(f"'{kit}'", "")
    assert set(re.findall(r"\.venv/bin/(\w+)", done.stdout)) == {"python"}


# relative and empty places


@pytest.mark.parametrize("name", PLACES)
def test_an_empty_place_is_the_default_not_the_working_folder(name, monkeypatch, tmp_path):
    for other in PLACES:
        monkeypatch.delenv(other, raising=False)
    default = PLACES[name]()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, "")
    assert PLACES[name]() == default and default.is_relative_to(ROOT)


def test_own_results_are_in_runs_and_the_reference_is_not(monkeypatch, tmp_path):
    monkeypatch.delenv("TRAFLOW_RESULTS", raising=False)
    monkeypatch.setenv("TRAFLOW_RUNS", str(tmp_path))
    assert (
        paths.results() == tmp_path / "results" and paths.committed("records") == ROOT / "results" / "records"
    )
    monkeypatch.delenv("TRAFLOW_RUNS")
    assert paths.results() == ROOT / "runs" / "results"


def test_a_relative_place_is_the_same_folder_for_the_command_and_the_kernel(tmp_path):
    here, kit = tmp_path / "started here", tmp_path / "kit"
    here.mkdir(), kit.mkdir()
    shown = (
        "from traflow_lib.files import paths\nprint(paths.results(), paths.runs(), paths.data(), sep='\\n')\n"
    )
    shown += "open(paths.results() / 'ä', 'w').write('ä')"
    course(kit, {"00_one": shown, LAST: ""}, ["smoke"])
    variables = environment(kit) | {
        "TRAFLOW_RESULTS": "my results",
        "TRAFLOW_RUNS": "",
        "TRAFLOW_DATA": "numbers",
    }
    command = [sys.executable, "-m", "traflow_lib", "notebook", "00_one", "--profile", "smoke"]
    done = subprocess.run(command, cwd=here, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ran = nbformat.read(here / "my results/executed/smoke/00_one.ipynb", as_version=4)
    assert ran.cells[-1].outputs[0].text.splitlines() == [
        str(here / "my results"),
        str(kit / "runs"),
        str(here / "numbers"),
    ]
    assert (here / "my results" / "ä").exists() and [
        file.name for file in (kit / "notebooks").iterdir() if file.is_dir()
    ] == []


@pytest.mark.parametrize("given, told", [("a b", "{kit}/a b"), ("/a b/c", "/a b/c"), ("", "")])
def test_make_tells_kernels_the_places_from_its_own_folder(kit, given, told):
    for set_here in ({}, {"TRAFLOW_RESULTS": given}):  # on make's command line, in the environment
        _, said = make(kit, "lab", *([] if set_here else [f"TRAFLOW_RESULTS={given}"]), **set_here)
        asked = ["-m", "jupyter", "lab", "--notebook-dir", "runs/course"]
        assert said[-1][:6] == [told.format(kit=kit), *asked]


# moved and copied clones


def test_make_notices_that_the_clone_was_moved_and_installs_the_kit_where_it_is_now(kit):
    moved = kit.with_name("moved kit")
    kit.rename(moved)
    done, said = make(moved, "setup")
    assert (
        done.returncode == 0
        and f".venv was made in '{kit}'" in done.stdout
        and len(done.stdout.splitlines()) == 1
    )
    assert (
        said[-1][1:4] == ["-m", "pip", "install"]
        and said[-1][-2:] == ["-e", "."]
        and "requirements.lock" not in str(said)
    )
    done, said = make(moved, "setup")
    assert done.stdout == "" and "pip" not in str(said)


def test_make_says_in_one_line_that_the_python_of_the_environment_is_gone(kit):
    (kit / ".venv/bin/python").unlink()
    done, _ = make(kit, "-s", "setup")
    assert (
        done.returncode != 0
        and "error: .venv has no working Python any more; make it anew: rm -rf .venv, then make setup"
        in done.stdout
    )


def test_an_interrupted_setup_is_made_anew_and_a_whole_one_is_kept(kit):
    """pip cannot mend an environment whose packages were half written when it was killed."""
    python = kit / "python3"  # makes an environment as `python3 -m venv` does, with the stand-in in it
    made = f"mkdir -p .venv/bin\ncat > .venv/bin/python << 'E'\n{PYTHON}E\nchmod +x .venv/bin/python\n"
    python.write_text(f'#!/bin/sh\n[ "$2" = venv ] || exit 0\n{made}', encoding="utf-8")
    python.chmod(0o755)
    half = kit / ".venv" / "half"
    for unfinished in (True, False):
        (kit / ".venv" / ".ready").unlink()
        half.touch()
        if unfinished:
            (kit / ".venv" / ".unfinished").touch()
        done, _ = make(kit, "setup", "PYTHON=./python3")
        assert done.returncode == 0 and ("was interrupted" in done.stdout) == unfinished, done.stdout
        assert half.exists() != unfinished and not (kit / ".venv" / ".unfinished").exists()


def test_the_library_of_one_clone_refuses_to_run_in_another(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("TRAFLOW_ROOT", raising=False)
    monkeypatch.chdir(course(tmp_path, {"00_one": ""}, ["smoke"]) / "notebooks")
    for place in (paths.root, paths.committed, lambda: notebooks.run("00_one", "smoke")):
        with pytest.raises(
            ValueError, match="the working folder is in the clone .* but this is the library of the clone"
        ):
            place()
    assert cli.main(["doctor"]) == 2
    line = capsys.readouterr().err.strip()
    assert f"run 'make setup' in {tmp_path}" in line and "\n" not in line
    monkeypatch.setenv("TRAFLOW_ROOT", str(tmp_path))
    assert paths.root() == tmp_path
    monkeypatch.delenv("TRAFLOW_ROOT")
    for fine in (ROOT / "tests", tmp_path.parent):
        monkeypatch.chdir(fine)
        assert paths.root().samefile(ROOT)


# whose commit


def git(folder, *words):
    own = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    command = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *words]
    return subprocess.run(
        command, cwd=folder, env=os.environ | own, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    """A repository with something that looks like the kit in it."""
    folder = tmp_path / "kit ä"
    for name in ("traflow_lib/a.py", "notebooks/a.ipynb", "results/a.md", "Makefile"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("a", encoding="utf-8")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "one")
    return folder


def test_a_checkout_has_its_commit_and_is_dirty_where_library_or_notebooks_differ(checkout):
    head = git(checkout, "rev-parse", "HEAD")
    for changed, dirty in (("results/a.md", False), ("Makefile", False), ("notebooks/a.ipynb", True)):
        (checkout / changed).write_text("b", encoding="utf-8")
        assert provenance.commit(checkout) == {"git_commit": head, "git_dirty": dirty}
    git(checkout, "checkout", "--quiet", ".")
    (checkout / "traflow_lib/a.py").write_text("b", encoding="utf-8")
    assert provenance.commit(checkout)["git_dirty"] is True


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give files away")
def test_a_checkout_of_another_user_has_its_commit(checkout):
    head = git(checkout, "rev-parse", "HEAD")
    for file in (checkout, *checkout.rglob("*")):
        os.chown(file, 54321, 54321)
    refused = subprocess.run(
        ["git", "status"],
        cwd=checkout,
        capture_output=True,
        text=True,
        env=os.environ | {"GIT_CONFIG_GLOBAL": os.devnull},
    )
    assert "dubious ownership" in refused.stderr
    assert provenance.commit(checkout) == {"git_commit": head, "git_dirty": False}


def unknown(reason):
    return {"git_commit": "unknown", "git_dirty": None, "git_reason": reason}


def test_unpacked_inside_another_repository_or_nowhere_it_is_no_checkout(checkout, tmp_path):
    inside = checkout / "unpacked"
    inside.mkdir()
    assert provenance.commit(inside) == provenance.commit(tmp_path) == unknown("not a git checkout")


def test_a_hook_of_another_repository_changes_nothing(checkout, tmp_path, monkeypatch):
    head = git(checkout, "rev-parse", "HEAD")
    git(tmp_path, "clone", "--quiet", "--no-local", str(checkout), "other")
    git(tmp_path / "other", "commit", "--quiet", "--allow-empty", "--message", "two")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    assert provenance.commit(checkout) == {"git_commit": head, "git_dirty": False}


def test_git_that_refuses_is_quoted_without_paths(checkout, tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    for said, reason in (
        ("fatal: detected dubious ownership in repository at '/a'", "dubious ownership"),
        ("fatal: no", "status 128 of git rev-parse"),
    ):
        (tmp_path / "bin/git").write_text(f'#!/bin/sh\necho "{said}" >&2\nexit 128\n', encoding="utf-8")
        (tmp_path / "bin/git").chmod(0o755)
        assert provenance.commit(checkout) == unknown(f"git refuses: {reason}")


def test_without_git_a_record_is_saved_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = records.provenance()
    assert {name: found[name] for name in found if name.startswith("git_")} == unknown(
        "git is not installed"
    ) and found["packages"]["torch"]


# the locale's encoding


def in_text_mode_without_encoding(source: str) -> list[int]:
    """Lines that read or write text in the encoding of the locale."""
    lines = []
    for call in [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]:
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        mode = next((k.value for k in call.keywords if k.arg == "mode"), call.args[-1] if call.args else None)
        opens = (
            name == "open"
            and ast.unparse(call.func) in ("open", "io.open")
            or name == "open"
            and not call.args
        )
        binary = isinstance(mode, ast.Constant) and "b" in str(mode.value)
        if (name in ("read_text", "write_text") or opens and not binary) and "encoding" not in [
            k.arg for k in call.keywords
        ]:
            lines.append(call.lineno)
    return lines


def test_the_search_for_text_mode_finds_it():
    for text in (
        "a.read_text()",
        "a.write_text('x')",
        "open(a)",
        "open(a, 'w')",
        "a.open()",
        "open(a, newline='')",
    ):
        assert in_text_mode_without_encoding(text) == [1], text
    for text in (
        "a.read_text(encoding='utf-8')",
        "open(a, 'rb')",
        "a.open('wb')",
        "tarfile.open(a, 'r:gz')",
        "os.open(a, os.O_RDONLY)",
        "Image.open(a)",
    ):
        assert in_text_mode_without_encoding(text) == [], text


def test_the_library_reads_and_writes_text_in_utf_8_only():
    found = {
        str(file.relative_to(ROOT)): in_text_mode_without_encoding(file.read_text(encoding="utf-8"))
        for file in ROOT.glob("traflow_lib/**/*.py")
    }
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_tables_are_utf_8_and_printed_where_the_locale_is_ascii(tmp_path):
    variables = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONUTF8", "PYTHONIOENCODING", "LANG", "LC_CTYPE")
    }
    own = {
        "LC_ALL": "C",
        "PYTHONCOERCECLOCALE": "0",
        "TRAFLOW_RESULTS": str(tmp_path / "ä"),
        "PYTHONPATH": str(ROOT),
    }
    (tmp_path / "ä" / "records" / "hour").mkdir(parents=True)
    shutil.copy(ROOT / "results/records/hour/04_traflow_2d.jsonl", tmp_path / "ä" / "records" / "hour")
    command = [sys.executable, "-X", "utf8=0", "-m", "traflow_lib", "tables"]
    done = subprocess.run(command, cwd=ROOT, env=variables | own, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert "ä" not in done.stdout.decode("ascii")  # what the terminal lacks does not end the command
    texts = [
        file.read_text(encoding="utf-8") for file in (tmp_path / "ä" / "tables").rglob("*") if file.is_file()
    ]
    assert any("±" in text for text in texts)


# how long it takes


def test_a_part_that_takes_too_long_is_ended_and_the_status_of_the_others_is_kept():
    def timed(*words):
        return subprocess.run(
            ["bash", ROOT / ".ci" / "timed", "this", *words], capture_output=True, text=True
        )

    done = timed("0", "sh", "-c", "exit 3")
    assert done.returncode == 3 and done.stdout == "this took 0 min 00 s\n"
    if shutil.which("timeout"):
        done = timed("0.01", "sleep", "60")
        assert done.returncode == 124 and done.stderr == "error: this did not end within 0.01 minutes\n"


def test_setup_says_what_it_fetches_shows_the_big_packages_only_and_says_what_it_took(kit):
    pip = "echo Collecting a; echo '  Downloading a.whl (9.5 MB)'; "
    pip += "echo '  Downloading torch.whl (554.6 MB)'; echo 'Installing collected packages: a, torch'"
    (kit / ".venv/bin/python").write_text(
        PYTHON + f"case $* in *requirements.lock*) {pip} ;; esac\n", encoding="utf-8"
    )
    (kit / ".venv/.ready").unlink()
    done, _ = make(kit, "-s", "setup", "PYTHON=true")
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and re.match(
        r"setup: .* [\d.]+ GB to fetch .* [\d.]+ GB of disk", lines[0]
    ), done.stdout
    assert [line.strip() for line in lines[1:3]] == ["Downloading torch.whl (554.6 MB)", "installing"]
    assert (
        re.fullmatch(r"setup took \d+ min \d\d s", lines[3])
        and re.fullmatch(r"setup: .venv holds \S+", lines[4])
        and len(lines) == 5
    )
    assert (kit / ".venv/.ready").read_text(encoding="utf-8") == f"{kit}\n"


def test_a_pip_that_fails_fails_the_setup(kit):
    (kit / ".venv/bin/python").write_text(
        PYTHON + "case $* in *requirements.lock*) exit 1 ;; esac\n", encoding="utf-8"
    )
    (kit / ".venv/.ready").unlink()
    done, _ = make(kit, "-s", "setup", "PYTHON=true")
    assert done.returncode != 0 and not (kit / ".venv/.ready").exists()


def test_continuous_integration_is_make_test_with_a_limit_for_each_part_well_below_its_own():
    said = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    limits = dict(re.findall(r"(\w+)_MINUTES=(\d+)", said))
    assert (
        "make test" in said
        and set(limits) == {"SETUP", "LINT", "UNIT", "NOTEBOOK"}
        and sum(map(int, limits.values())) < 85
    )
