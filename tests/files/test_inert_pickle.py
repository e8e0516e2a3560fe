"""The reader of pickles: data comes back, code inside an inner torch file is refused too, and no storage is
read past its end.
"""

import io
import os
from collections import OrderedDict

import numpy as np
import pytest
import torch
from checkpoint_files import RunsCode, write_pickle

from traflow_lib.files import inert_pickle
from traflow_lib.files.inert_pickle import PickledObject


def test_tensors_and_containers_come_back(tmp_path):
    base = torch.arange(12.0)
    content = {
        "a": base.reshape(3, 4).T[1:],
        "half": base.half(),
        "parameter": torch.nn.Parameter(base),
        "plain": OrderedDict(x=[1, (2, None)], y={"s", b"b"}),
        "array": np.arange(3.0),
    }
    back = inert_pickle.read(write_pickle(tmp_path / "file.pkl", content))
    assert back["plain"] == content["plain"] and all(
        torch.equal(back[name], content[name]) for name in ("a", "half", "parameter")
    )
    assert back["half"].dtype == torch.float16 and np.array_equal(back["array"], [0, 1, 2])


@pytest.mark.parametrize("value", [np.float64(2), torch.nn.ModuleDict({})], ids=lambda v: type(v).__name__)
def test_other_objects_of_such_files_stay_unbuilt(tmp_path, value):
    assert type(inert_pickle.read(write_pickle(tmp_path / "file.pkl", [value]))[0]) is PickledObject


def test_code_inside_an_inner_torch_file_is_refused(tmp_path):
    inner = io.BytesIO()
    torch.save(RunsCode(os.mkdir, str(tmp_path / "made")), inner, _use_new_zipfile_serialization=False)
    path = write_pickle(tmp_path / "file.pkl", RunsCode(torch.storage._load_from_bytes, inner.getvalue()))
    with pytest.raises(ValueError, match="^file.pkl is refused: it holds posix.mkdir"):
        inert_pickle.read(path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("size, offset", [((9,), 0), ((4,), 5), ((2, 4), 1)], ids=str)
def test_tensor_longer_than_its_storage_is_refused(tmp_path, size, offset):
    stride = (4, 1)[-len(size) :]
    storage = torch.zeros(8).__reduce_ex__(2)[1][0]
    call = RunsCode(torch._utils._rebuild_tensor_v2, storage, offset, size, stride, False, OrderedDict())
    with pytest.raises(ValueError, match="^file.pkl is not a whole file"):
        inert_pickle.read(write_pickle(tmp_path / "file.pkl", call))


@pytest.mark.parametrize(
    "name", ["os.system", "torch.load", "numpy.load", "torch.nn.modules.linear.Linear", "functools.partial"]
)
def test_every_other_name_is_refused_unseen(tmp_path, name):
    module, _, leaf = name.rpartition(".")
    (tmp_path / "file.pkl").write_bytes(b"\x80\x02c" + f"{module}\n{leaf}\n".encode() + b".")
    with pytest.raises(ValueError, match=f"^file.pkl is refused: it holds {name}, which is code"):
        inert_pickle.read(tmp_path / "file.pkl")
