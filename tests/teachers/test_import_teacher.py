"""import-teacher: a release's file becomes this kit's: the same velocity, its origin in the header."""

import hashlib

import pytest
import torch
from checkpoint_files import rectified_flow_content
from test_edm_files import saved as saved_edm
from test_rectified_flow_files import saved as saved_rectified_flow
from test_rectified_flow_files import tiny_tensors

from traflow_lib import cli
from traflow_lib.teachers import load_teacher, read_header


def release(folder, kind):
    return (
        saved_rectified_flow(folder, rectified_flow_content(tiny_tensors()))
        if kind == "RectifiedFlow"
        else saved_edm(folder, kind)
    )


@pytest.mark.parametrize("kind", ["RectifiedFlow", "SongUNet", "DhariwalUNet"])
def test_imported_teacher_is_the_same_velocity_and_knows_its_source(tmp_path, capsys, kind):
    path, x = release(tmp_path, kind), torch.randn(2, 3, 16, 16)
    assert cli.main(["import-teacher", str(path), "--out", str(tmp_path / "new" / "own.safetensors")]) == 0
    assert capsys.readouterr().out.count("\n") == 1
    assert torch.equal(load_teacher(tmp_path / "new" / "own.safetensors")(x, 0.4), load_teacher(path)(x, 0.4))
    source = read_header(tmp_path / "new" / "own.safetensors")["source"]
    assert (
        source["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        and source["file"] == path.name
        and source["weights"] == "EMA"
    )


def test_default_place_is_beside_the_file_and_sample_draws_from_it(tmp_path, capsys):
    path = release(tmp_path, "SongUNet")
    assert cli.main(["import-teacher", str(path)]) == 0
    assert (
        cli.main(
            [
                "sample",
                str(tmp_path / "teacher.safetensors"),
                "--samples",
                "2",
                "--out",
                str(tmp_path / "x.pt"),
            ]
        )
        == 0
    )
    assert torch.load(tmp_path / "x.pt").shape == (2, 3, 16, 16)


@pytest.mark.parametrize(
    "name, reason",
    [
        ("none.pkl", "there is no checkpoint"),
        ("bad.pkl", "not a whole file"),
        ("own.safetensors", "no checkpoint of a release"),
    ],
)
def test_what_cannot_be_imported_is_one_line_on_stderr(tmp_path, capsys, name, reason):
    if name != "none.pkl":
        (tmp_path / name).write_bytes(b"\x80\x04")
    assert cli.main(["import-teacher", str(tmp_path / name)]) == 2
    err = capsys.readouterr().err
    assert reason in err and err.count("\n") == 1
