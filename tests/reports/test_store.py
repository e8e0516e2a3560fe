"""store: the one command that makes results of this machine the reference.

Nothing else writes there, and never from uncommitted code.
"""

import shutil
import subprocess

import nbformat
import pytest
from small_course import course
from test_evidence import of_today

from traflow_lib import cli
from traflow_lib.evaluation import records
from traflow_lib.files import paths
from traflow_lib.reports import notebooks, store

GIT = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A small clone under git with one executed notebook, one record and one linked figure of its own."""
    folder = course(tmp_path / "clone", {"00_one": "print('said')", "12_paper_tables": ""}, ["laptop"])
    (folder / "README.md").write_text(
        "![x](results/figures/laptop/seen.png) and [t](results/tables/paper/table_2_cifar10.md)"
    )
    (folder / ".gitignore").write_text("runs/\n__pycache__/\n*.lock\n")
    shutil.copy(paths.committed("fingerprints.json"), folder / "results")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
        subprocess.run([*GIT, *command], cwd=folder, check=True)
    monkeypatch.setattr(paths, "root", lambda: folder)
    monkeypatch.setenv("TRAFLOW_RUNS", str(folder / "runs"))
    monkeypatch.setenv("TRAFLOW_RESULTS", str(folder / "runs" / "results"))
    figure = paths.results() / "figures" / "laptop" / "seen.png"
    for file in (figure, figure.with_name("unseen.png")):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"png")
    made = nbformat.read(folder / "notebooks" / "00_one.ipynb", as_version=4)
    made.cells[-1].outputs = [nbformat.v4.new_output("stream", name="stdout", text="said\n")]
    out = notebooks.executed("00_one", "laptop")
    out.parent.mkdir(parents=True)
    nbformat.write(made, out)
    return folder


def measured(**provenance):
    return records.save(of_today(provenance={"git_dirty": False, "git_commit": "0" * 40} | provenance))


def test_results_become_the_reference(clone):
    measured()
    assert cli.main(["store", "--profile", "laptop"]) == 0
    (found,) = records.read(clone / "results/records/laptop/04_traflow_2d.jsonl")
    assert found.metrics == {"paired_rmse": [0.5]}
    assert "said" in (clone / "notebooks/00_one.ipynb").read_text()
    assert [file.name for file in (clone / "results/figures").rglob("*.png")] == ["seen.png"]
    assert [file.name for file in (clone / "results/tables").rglob("*.*")] == ["table_2_cifar10.md"]
    assert not list((clone / "results").rglob("*.lock"))


@pytest.mark.parametrize("name", ["README.md", "new.txt"], ids=["changed", "untracked"])
def test_a_dirty_tree_is_refused_and_nothing_is_written(clone, name, capsys):
    measured()
    (clone / name).write_text("x")
    assert cli.main(["store", "--profile", "laptop"]) == 2
    assert (
        f"commit or undo your changes first, so that results name the code they come from: {name}"
        in capsys.readouterr().err
    )
    assert not (clone / "results/records").exists()


@pytest.mark.parametrize("dirty", [True, None])
def test_records_of_uncommitted_or_unknown_code_are_refused(clone, dirty, capsys):
    measured(git_dirty=dirty)
    assert cli.main(["store", "--profile", "laptop"]) == 2
    assert "1 records were made from uncommitted changes" in capsys.readouterr().err


def test_trials_of_the_search_are_added_once_and_only_from_committed_code(clone, capsys):
    file = paths.results() / "trials" / "bench_2d.jsonl"
    file.parent.mkdir(parents=True)
    trial = '{{"method": "cd", "settings": {{"lr": {}}}, "git_commit": {}}}\n'
    file.write_text(trial.format(0.1, '"abc"') + trial.format(0.2, '"abc"'))
    assert cli.main(["store", "--profile", "search"]) == 0
    committed = clone / "results/trials/bench_2d.jsonl"
    assert committed.read_text() == file.read_text()
    subprocess.run([*GIT, "add", "-A"], cwd=clone, check=True)
    subprocess.run([*GIT, "commit", "-qm", "second"], cwd=clone, check=True)
    before = committed.read_text()
    file.write_text(trial.format(0.2, '"abc"') + trial.format(0.3, '"def"'))
    assert cli.main(["store", "--profile", "search"]) == 0
    assert committed.read_text() == before + trial.format(0.3, '"def"')
    subprocess.run([*GIT, "add", "-A"], cwd=clone, check=True)
    subprocess.run([*GIT, "commit", "-qm", "third"], cwd=clone, check=True)
    file.write_text(trial.format(0.4, "null"))
    assert cli.main(["store", "--profile", "search"]) == 2
    assert "1 trials were made from uncommitted changes" in capsys.readouterr().err


def test_committed_records_that_no_recipe_makes_any_more_are_dropped(clone):
    old = of_today(nfe=2, hash="0123456789", provenance={"git_dirty": False, "git_commit": "0" * 40})
    records.save(old, clone / "results/records")
    (clone / "results/records/laptop/04_traflow_2d.lock").unlink()
    subprocess.run([*GIT, "add", "-A"], cwd=clone, check=True)
    subprocess.run([*GIT, "commit", "-qm", "second"], cwd=clone, check=True)
    measured()
    store.store("laptop")
    assert [record.nfe for record in records.read(clone / "results/records/laptop/04_traflow_2d.jsonl")] == [
        1
    ]


def texts():
    return [paths.root() / "README.md", *sorted((paths.root() / "docs").glob("*.md"))]


@pytest.mark.parametrize("file", texts(), ids=lambda file: file.name)
def test_tables_in_readme_and_docs_are_those_of_the_committed_records(file):
    text = file.read_text(encoding="utf-8")
    assert store.with_tables(text) == text
    assert not [
        line for line in text.splitlines() if line.count("±") > 1 and line not in store.with_tables(text)
    ]


def test_a_marked_table_is_filled_from_records_and_says_so_where_there_are_none(clone):
    records.save(of_today(), clone / "results/records")
    mark = "<!-- table: 04_traflow_2d laptop 8gaussians {} -->\n| old |\n"
    shown = store.with_tables(f"a\n{mark.format('paired_rmse')}b\n").splitlines()
    assert shown[2:] == ["| method | seeds | 1 call |", "| --- | --- | --- |", "| traflow | 1 | 0.500 |", "b"]
    assert "| not run |" in store.with_tables(mark.format("w2")) and "old" not in store.with_tables(
        mark.format("w2")
    )


def test_a_table_over_all_problems_has_equal_steps_and_equal_time_apart(clone):
    records.save(of_today(), clone / "results/records")
    mark = "<!-- table: 04_traflow_2d laptop {} paired_rmse -->\n"
    shown = store.with_tables(mark.format("over_all")).splitlines()
    assert shown[1:] == ["| method | 1 call |", "| --- | --- |", "| traflow | 1.00 (1) |"]
    assert "| not run |" in store.with_tables(mark.format("over_all_in_time"))


def test_every_figure_and_table_that_readme_and_docs_link_is_committed_and_no_other():
    committed = {
        file.relative_to(paths.root()).as_posix()
        for kind in ("figures", "tables")
        for file in paths.committed(kind).rglob("*.*")
    }
    assert committed == store.linked()


def test_tables_of_profiles_that_are_called_like_folders_of_other_tables_stay(tmp_path):
    """`evaluate` files its records under the profile own; made twice, since old tables are removed first."""
    profiles = ["own", "paper", "laptop"]
    measured = [row for profile in profiles for row in records.rows(of_today(profile=profile))]
    for _ in range(2):
        files = store.write_tables(measured, tmp_path)
        assert set(files) == {file for file in tmp_path.rglob("*.*") if file.is_file()}
        for profile in profiles:
            assert tmp_path / profile / "04_traflow_2d__8gaussians__paired_rmse.md" in files
