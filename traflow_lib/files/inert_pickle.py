"""Read files of pickled networks as data.

Tensors and plain containers are built, nothing else a file names is imported or run.
"""

import codecs
import io
import pickle
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


class Refused(ValueError):
    """The file names something that only running its code would give; the message is that name."""


class PickledObject(dict):
    """An object that was not built.

    The name of its class where it is known, and the state it would have been given.
    """

    name, state = "", None

    def __init__(self, *arguments):
        pass

    def __setstate__(self, state):
        self.state = state


def read(path: Path) -> Any:
    """The content of a pickle with a network.

    ValueError in one line when it is not whole or asks for more than data.
    """
    with open(path, "rb") as stream:
        return _in_one_line(path, lambda: _Unpickler(stream).load())


def read_torch(path: Path) -> Any:
    """The content of a file of torch.save, by torch's own weights-only loader; ValueError as in read()."""
    return _in_one_line(path, lambda: _weights(path))


def _in_one_line(path: Path, load) -> object:
    try:
        return load()
    except Refused as error:
        raise ValueError(
            f"{path.name} is refused: it holds {error}, which is code to run and not data"
        ) from None
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to call for
        reason = (str(error).strip() or "it ends too early").splitlines()[0]
        raise ValueError(
            f"{path.name} is not a whole file of its format ({type(error).__name__}: {reason})"
        ) from None


def _weights(source) -> object:
    try:
        return torch.load(source, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        if named:
            raise Refused(named[1]) from None
        # torch's message first advises to run the code
        raise pickle.UnpicklingError(
            str(error).partition("WeightsUnpickler error:")[2].strip() or "no tensors and containers"
        ) from None


def _persistent_object(meta: dict) -> PickledObject:
    """EDM stores an object with the source of its class, which stays text."""
    record = PickledObject()
    record.name, record.state = str(meta["class_name"]), meta["state"]
    return record


def _tensor(storage, offset: int, size: tuple, stride: tuple, *_) -> Tensor:
    # as_strided, unlike torch's own rebuilding, never makes a storage longer than the file gave it
    return torch.empty(0, dtype=storage.dtype).set_(storage).as_strided(size, stride, offset)


# what a network's pickle may name, and what stands for it here
GLOBALS = {
    "collections.OrderedDict": OrderedDict,
    "builtins.dict": dict,
    "builtins.set": set,
    "builtins.object": PickledObject,
    "copyreg._reconstructor": lambda *_: PickledObject(),
    "_codecs.encode": lambda text, _: codecs.encode(text, "latin1"),  # how old protocols write bytes
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    "torch.storage._load_from_bytes": lambda content: _weights(io.BytesIO(content)),
    "torch_utils.persistence._reconstruct_persistent_obj": _persistent_object,
}
RECORDS = {"torch.nn.modules.container.ModuleDict", "dnnlib.util.EasyDict", "numpy.dtype", "numpy.ndarray"}
RECORDS |= {
    f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")
}
OLD_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # their names up to protocol 2


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str):
        full = f"{OLD_MODULES.get(module, module)}.{name}"
        if full in RECORDS:
            return PickledObject
        if full not in GLOBALS:
            raise Refused(full)
        return GLOBALS[full]
