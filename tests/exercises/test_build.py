"""Exercises in notebooks and assignments: nothing else changes, unsolved ones run, solutions stay out."""

import ast
import contextlib
import io
import re
import shutil
import subprocess
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest

import course
from course import __main__ as commands
from course import build, coursework
from course.exercise import Exercise
from traflow_lib.files import paths

PLAN = paths.root() / "course" / "plan.md"
NOTEBOOKS = sorted(paths.root().joinpath("notebooks").glob("[0-9][0-9]_*.ipynb"))
needs_nbgrader = pytest.mark.skipif(
    not find_spec("nbgrader"), reason="nbgrader is not installed; make coursework installs it"
)


@pytest.fixture(params=NOTEBOOKS, ids=lambda file: file.stem)
def lesson(request, tmp_path, monkeypatch):
    """A copy of a lesson's notebook and its number; exercises of 00 stand for those not yet written."""
    number = request.param.name[:2]
    if not course.exercises(number):
        monkeypatch.setattr(build, "exercises", lambda _: course.exercises("00"))
    return Path(shutil.copy(request.param, tmp_path)), number


def read(file):
    return nbformat.read(file, as_version=4)


def others(notebook):
    """The cells that are no exercises."""
    return [cell for cell in notebook.cells if build.TAG not in cell.metadata.get("tags", [])]


def text(notebook):
    """All that is no exercise, without a list of exercises."""
    return re.sub(
        r"^## Exercises\n.*?(?=^## References)",
        "",
        "\n\n".join(cell.source for cell in others(notebook)),
        flags=re.DOTALL | re.MULTILINE,
    )


def printed(code, names):
    """What a notebook shows below a cell that runs this code, whose last line must have no value."""
    tree, out = ast.parse(code), io.StringIO()
    with contextlib.redirect_stdout(out):
        *body, last = tree.body
        exec(compile(ast.Module(body, []), "cell", "exec"), names)
        if isinstance(last, ast.Expr):
            assert eval(compile(ast.Expression(last.value), "cell", "eval"), names) is None
        else:
            exec(compile(ast.Module([last], []), "cell", "exec"), names)
    return out.getvalue()


def test_exercises_come_before_the_references_and_nothing_else_changes(lesson):
    file, number = lesson
    before = read(file)
    build.write_into(file, number)
    after = read(file)
    nbformat.validate(after)
    ids = [cell["id"] for cell in after.cells]
    assert len(set(ids)) == len(ids)
    assert [cell["id"] for cell in others(after) if cell["id"] != "references"] == [
        cell["id"] for cell in others(before) if cell["id"] != "references"
    ]
    assert text(after) == text(before) and after.metadata == before.metadata
    for one, other in zip(others(before), others(after)):
        assert (one.metadata, one.cell_type, one.get("outputs")) == (
            other.metadata,
            other.cell_type,
            other.get("outputs"),
        )
    *_, last = after.cells
    assert last.source.startswith("## References\n") and ids.index("exercises") < len(ids) - 1
    assert sum("## Exercises" in cell.source for cell in after.cells) == 1
    assert ids[ids.index("exercises") : -1] == [cell["id"] for cell in build.section(number)]
    counts = [cell.execution_count for cell in after.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))


def test_writing_a_second_time_changes_nothing(lesson):
    file, number = lesson
    build.write_into(file, number)
    first = file.read_bytes()
    build.write_into(file, number)
    assert file.read_bytes() == first


@pytest.mark.parametrize("original", NOTEBOOKS, ids=lambda file: file.stem)
def test_the_exercises_in_a_notebook_are_todays(original, tmp_path):
    if len(others(read(original))) == len(read(original).cells):
        pytest.skip("no exercises are written into it yet: python -m course write")
    file = Path(shutil.copy(original, tmp_path))
    build.write_into(file, original.name[:2])
    assert file.read_bytes() == original.read_bytes(), "python -m course write"


def test_hints_are_markdown():
    """What stands in a line with an HTML tag is no Markdown: its code and emphasis would show their marks."""
    for exercise in course.exercises("00"):
        text, *_ = build.cells(exercise)
        assert all(f"</summary>\n\n{hint}\n\n</details>" in text.source for hint in exercise.hints)


def test_a_notebook_without_references_is_refused(tmp_path):
    file = tmp_path / "00_bare.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Bare")]), file)
    with pytest.raises(ValueError, match="00_bare.ipynb has no '## References'"):
        build.write_into(file, "00")


@pytest.mark.parametrize("number", course.LESSONS)
@pytest.mark.parametrize("solved", [False, True], ids=["unsolved", "solved"])
def test_running_all_prints_what_is_stored(number, solved):
    """One after another in one kernel, as Run All does; nbval compares the same."""
    names: dict = {"__name__": "student"}
    for cell in build.section(number, solved):
        if cell.cell_type == "code":
            assert printed(cell.source, names) == "".join(output.text for output in cell.outputs), cell.source


def test_unsolved_exercises_pass_nbval_and_papermill(tmp_path):
    import papermill

    file = build._write(tmp_path / "unsolved.ipynb", "# Unsolved", build.section("00"))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval",
        "--nbval-current-env",
        "-q",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run([*command, file.name], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    ran = papermill.execute_notebook(str(file), str(tmp_path / "ran.ipynb"), progress_bar=False)
    said = [output.text for cell in ran.cells for output in cell.get("outputs", [])]
    assert said == [f"exercise {e.number}: not answered yet\n" for e in course.exercises("00")]


def test_a_warning_of_an_answer_is_not_shown():
    """A grader takes what stands on stderr for a failure."""
    exercise = Exercise("00.9", "core", "", "", "", "", lambda _: warnings.warn("slow", stacklevel=1), "")
    with warnings.catch_warnings(record=True) as shown:
        exercise.grade_answer(1)
    assert not shown


def released(source):
    """What is left of an assignment's cell without what stands between nbgrader's marks."""
    return re.sub(r"\n### BEGIN (SOLUTION|HIDDEN TESTS)\n.*?\n### END \1", "", source, flags=re.DOTALL)


def assert_unsolved(notebook, number):
    """A student's notebook has the cells of an unsolved section, and nothing else."""
    expected = {cell["id"]: cell.source for cell in build.section(number)}
    found = {cell["id"]: released(cell.source).rstrip() for cell in notebook.cells if cell["id"] != "title"}
    assert found == expected
    assert all(not cell.get("outputs") for cell in notebook.cells)


@pytest.mark.parametrize("number", course.LESSONS)
def test_an_assignment_has_solutions_tests_and_points_and_without_them_is_unsolved(number, tmp_path):
    notebook = read(build.assignment(tmp_path / "a.ipynb", number))
    nbformat.validate(notebook)
    marks = {cell["id"]: cell.metadata.nbgrader for cell in notebook.cells if "nbgrader" in cell.metadata}
    assert all(re.fullmatch(r"[\w-]+", mark.grade_id) and mark.schema_version == 3 for mark in marks.values())
    for exercise in course.exercises(number):
        _, answer, test = (cell["id"] for cell in build.cells(exercise))
        assert marks[answer].solution and not marks[answer].locked and not marks[answer].grade
        assert marks[test].grade and marks[test].locked and marks[test].points == exercise.points
        (cell,) = (cell for cell in notebook.cells if cell["id"] == answer)
        names: dict = {"__name__": "lecturer"}
        exec(compile(cell.source, exercise.number, "exec"), names)
        exercise.grade_answer(names[exercise.answer])
    for cell in notebook.cells:
        if "outputs" in cell:
            cell.outputs = []
    assert_unsolved(notebook, number)


@needs_nbgrader
def test_the_pack_grades_a_made_up_class(tmp_path, monkeypatch):
    """Full, some and no points; a cell that cannot even be read costs its own points only."""

    def broken(exercise, place):
        return exercise.solution if place else "def ("

    monkeypatch.setitem(coursework.CLASS, "broken", broken)
    table = coursework.make(tmp_path, ["00"])
    exercises = course.exercises("00")
    points = [exercise.points for exercise in exercises]
    most, some, most_but_one = sum(points), sum(points[::2]), sum(points[1:])
    assert 0 < some < most
    row = f"| lesson_00 | {len(points)} | {most} | {most} | {some} | 0 | {most_but_one} |"
    assert row in table.splitlines() and table == (tmp_path / "trial" / "points.md").read_text(
        encoding="utf-8"
    )

    assert_unsolved(read(tmp_path / "release" / "lesson_00" / "lesson_00.ipynb"), "00")
    files = [file.name for file in (tmp_path / "release").rglob("*") if file.is_file()]
    assert files == ["lesson_00.ipynb"]
    # what feedback shows of an error is the line of the test, not the check
    for file in (tmp_path / "trial" / "autograded").rglob("*.ipynb"):
        outputs = [output for cell in read(file).cells for output in cell.get("outputs", [])]
        errors = [output for output in outputs if output.output_type == "error"]
        assert {error.ename for error in errors} <= {"AssertionError", "NameError", "SyntaxError"}
        assert not [error for error in errors if "lesson_00.py" in "".join(error.traceback)]
    solved = read(tmp_path / "solutions" / "solutions_00.ipynb")
    assert all(exercise.solution in [cell.source for cell in solved.cells] for exercise in exercises)


@needs_nbgrader
def test_points_that_are_not_due_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(coursework, "release", lambda *_: [])
    monkeypatch.setattr(coursework, "trial", lambda *_: {"00": dict.fromkeys(coursework.CLASS, 0.5)})
    (tmp_path / "trial").mkdir()
    with pytest.raises(RuntimeError, match="lesson_00: all_right got 0.5 points"):
        coursework.make(tmp_path, ["00"])


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["course", *map(str, arguments)])
    return commands.main()


def test_without_nbgrader_one_line_says_how_to_get_it(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "nbgrader.apps", None)
    assert run(monkeypatch, "coursework", "--folder", tmp_path) == 2
    said = capsys.readouterr()
    assert said.err == "error: nbgrader is not installed: `make coursework` installs it into .venv\n"


def test_the_commands_write_notebooks_and_solutions_and_refuse_an_unknown_lesson(
    monkeypatch, capsys, tmp_path
):
    for file in (NOTEBOOKS[0], PLAN):
        (tmp_path / file.parent.name).mkdir()
        shutil.copy(file, tmp_path / file.parent.name)
    monkeypatch.setattr(paths, "root", lambda: tmp_path)
    assert run(monkeypatch, "write", "--lesson", "00") == 0
    assert capsys.readouterr().out == f"{NOTEBOOKS[0].name}\n"
    assert "exercises" in [cell["id"] for cell in read(tmp_path / "notebooks" / NOTEBOOKS[0].name).cells]
    assert run(monkeypatch, "solutions", tmp_path / "solved") == 0
    assert [file.stem[-2:] for file in sorted((tmp_path / "solved").iterdir())] == course.LESSONS
    capsys.readouterr()
    assert run(monkeypatch, "write", "--lesson", "77") == 2
    assert capsys.readouterr().err.startswith("error: no lesson 77; there are 00, 01")


def test_the_plan_lists_todays_exercises(tmp_path):
    file = Path(shutil.copy(PLAN, tmp_path))
    build.write_plan(file)
    assert file.read_bytes() == PLAN.read_bytes(), "python -m course write"
    assert f"| {course.find('00.1').number} {course.find('00.1').title} |" in PLAN.read_text(encoding="utf-8")


def test_the_plan_has_eight_weeks_all_lessons_and_reads_what_the_notebooks_cite():
    plan = PLAN.read_text(encoding="utf-8")
    assert len(re.findall(r"^## Week \d", plan, flags=re.MULTILINE)) == 8
    assert all(f"../notebooks/{file.name}" in plan for file in NOTEBOOKS)
    assert all(
        paths.root().joinpath("course", link).exists() for link in re.findall(r"\]\((\.\./[^)#]+)", plan)
    )
    for number in re.findall(r"\b\d\d\.\d\b", re.sub(r"arXiv [\d.]+", "", plan)):
        course.find(number)
    cited = " ".join(cell.source for file in NOTEBOOKS for cell in read(file).cells)
    assert {number for number in re.findall(r"arXiv (\d{4}\.\d{5})", plan) if number not in cited} == set()
