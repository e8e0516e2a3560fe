"""Read pickles as data: arrays and plain containers are built, nothing else that a file names is run."""

import io
import pickle
import re
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor


class Refused(ValueError):
    """The file names something that only running its code would give."""

    def __init__(self, name: str):
        super().__init__(f"it holds {name}, which is code to run and not data")


class PickledObject(dict):
    """An object that was not built: the name of its class where it is known, and the state it was to have."""

    name: str = ""
    state: Any = None

    def __init__(self, *arguments):
        pass

    def __setstate__(self, state):
        self.state = state


def read(path: Path) -> Any:
    """The content of a network's pickle; ValueError when it is not whole or asks for more than data."""
    with _one_line(path), open(path, "rb") as stream:
        return Unpickler(stream).load()


def read_torch(path: Path) -> Any:
    """The content of a file of torch.save, by torch's own weights-only loader; ValueError as in read()."""
    with _one_line(path):
        return _weights(path)


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except Refused as error:
        raise ValueError(f"{path.name} is refused: {error}") from None
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to call for
        reason = (str(error).strip() or "it ends too early").splitlines()[0]
        raise ValueError(
            f"{path.name} is not a whole file of its format ({type(error).__name__}: {reason})"
        ) from None


def _weights(source) -> Any:
    try:
        return torch.load(source, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if named := re.search(r"GLOBAL (\S+)", str(error)):
            raise Refused(named[1]) from None
        # torch's message first advises to run the code
        reason = str(error).partition("WeightsUnpickler error:")[2].strip()
        raise pickle.UnpicklingError(reason or "no tensors and containers") from None


def _persistent_object(meta: dict) -> PickledObject:
    """EDM stores an object with the source of its class, which stays text."""
    record = PickledObject()
    record.name, record.state = str(meta["class_name"]), meta["state"]
    return record


def _tensor(storage, offset: int, size: tuple, stride: tuple, *_) -> Tensor:
    # as_strided, unlike torch's own rebuilding, never makes a storage longer than the file gave it
    return torch.empty(0, dtype=storage.dtype).set_(storage).as_strided(size, stride, offset)


def _latin1(text: str, _: str) -> bytes:
    """How old protocols write bytes."""
    return text.encode("latin1")


# what a pickle may name, and what stands for it here
KNOWN: dict[str, Any] = {
    "torch.nn.modules.container.ModuleDict": PickledObject,
    "dnnlib.util.EasyDict": PickledObject,
    "collections.OrderedDict": OrderedDict,
    "builtins.dict": dict,
    "builtins.set": set,
    "builtins.object": PickledObject,
    "copyreg._reconstructor": lambda *_: PickledObject(),
    "_codecs.encode": _latin1,
    "numpy.ndarray": np.ndarray,
    "numpy.dtype": np.dtype,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    "torch.storage._load_from_bytes": lambda content: _weights(io.BytesIO(content)),
    "torch_utils.persistence._reconstruct_persistent_obj": _persistent_object,
}
for _core in ("numpy.core", "numpy._core"):  # a module's name before and since numpy 2
    KNOWN[f"{_core}.multiarray.scalar"] = PickledObject
    # arrays tell their functions themselves
    KNOWN[f"{_core}.multiarray._reconstruct"] = np.zeros(1).__reduce__()[0]
    KNOWN[f"{_core}.numeric._frombuffer"] = np.zeros(1).__reduce_ex__(5)[0]
OLD_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # their names up to protocol 2


class Unpickler(pickle.Unpickler):
    """Builds what stands for the names in KNOWN; another name is Refused before anything is called."""

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a name in the file."""
        full = f"{OLD_MODULES.get(module, module)}.{name}"
        if full not in KNOWN:
            raise Refused(full)
        return KNOWN[full]
