"""Read pickles as data: arrays and plain containers are built, nothing else that a file names is run.

Nor does a file take more memory or time than its size says.
"""

import io
import pickle
import re
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .checks import require_unpacked


class Refused(ValueError):
    """The file names something that only running its code would give."""

    def __init__(self, name: str):
        name = " ".join(name.split())[:100]
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
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to call for
        reason = (str(error).strip() or "it ends too early").splitlines()[0]
        raise ValueError(
            f"{path.name} is not a whole file of its format ({type(error).__name__}: {reason})"
        ) from None


def _weights(source) -> Any:
    if zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            require_unpacked(archive)
            if damaged := archive.testzip():  # torch does not look at the checksums
                raise ValueError(f"{damaged} in it was damaged")
    if hasattr(source, "seek"):
        source.seek(0)
    try:
        found = torch.load(source, map_location="cpu", weights_only=True)
        for tensor in _tensors_in(found, set()):
            _require_stored(tensor.untyped_storage(), tensor.nbytes)
        return found
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


def _tensors_in(content: Any, seen: set[int]) -> Iterator[Tensor]:
    if id(content) in seen:
        return
    seen.add(id(content))
    if isinstance(content, Tensor):
        yield content
    elif isinstance(content, (dict, list, tuple)):
        for part in content.values() if isinstance(content, dict) else content:
            yield from _tensors_in(part, seen)


def _require_stored(storage, size: int) -> None:
    """ValueError where a tensor repeats what is stored, and so may be of any size."""
    storage = getattr(storage, "_untyped_storage", storage)
    if size > storage.nbytes():
        raise ValueError(f"a tensor of {size:,} bytes is made of {storage.nbytes():,} that are stored")


def _tensor(storage, offset: int, size: tuple, stride: tuple, *_) -> Tensor:
    # as_strided, unlike torch's own rebuilding, never makes a storage longer than the file gave it
    tensor = torch.empty(0, dtype=storage.dtype).set_(storage).as_strided(size, stride, offset)
    _require_stored(storage, tensor.nbytes)
    return tensor


def _require_plain(keys: Iterable) -> None:
    """ValueError unless keys are plain: tuples of tuples can be made that take years to hash."""
    for key in keys:
        if not isinstance(key, Hashable) or isinstance(key, (tuple, frozenset)):
            raise ValueError(f"a key is a {type(key).__name__}")


def _dtype(name: str | bytes, *_) -> np.dtype:
    """The type of an array of numbers; Python 2 wrote its name in bytes."""
    word = name.decode("ascii") if isinstance(name, bytes) else name
    found = np.dtype(word if isinstance(word, str) else "O")
    if found.hasobject or found.fields:
        raise ValueError("an array is of objects")
    return found


def _set(items: Iterable = ()) -> set:
    _require_plain(items := list(items))
    return set(items)


def _dict(kind: type) -> Any:
    def make(items: Any = ()) -> dict:
        items = list(items.items() if isinstance(items, dict) else items)
        _require_plain(key for key, _ in items)
        return kind(items)

    return make


def _latin1(text: str, _: str) -> bytes:
    """How old protocols write bytes."""
    return text.encode("latin1")


# what a pickle may name, and what stands for it here
KNOWN: dict[str, Any] = {
    "torch.nn.modules.container.ModuleDict": PickledObject,
    "dnnlib.util.EasyDict": PickledObject,
    "collections.OrderedDict": _dict(OrderedDict),
    "builtins.dict": _dict(dict),
    "builtins.set": _set,
    "builtins.object": PickledObject,
    "copyreg._reconstructor": lambda *_: PickledObject(),
    "_codecs.encode": _latin1,
    "numpy.ndarray": PickledObject,
    "numpy.dtype": _dtype,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    "torch.storage._load_from_bytes": lambda content: _weights(io.BytesIO(content)),
    "torch_utils.persistence._reconstruct_persistent_obj": _persistent_object,
}
for _core in ("numpy.core", "numpy._core"):  # a module's name before and since numpy 2
    KNOWN[f"{_core}.multiarray.scalar"] = PickledObject
    # an array's shape and numbers are its state; a call could ask for any size
    KNOWN[f"{_core}.multiarray._reconstruct"] = lambda *_: np.empty(0)
    # arrays tell this function themselves
    KNOWN[f"{_core}.numeric._frombuffer"] = np.zeros(1).__reduce_ex__(5)[0]
# opcodes of frozen sets, and of buffers outside the file
NOT_READ = {code[0] for code in (pickle.FROZENSET, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER)}
ORDERS = ("<", ">", "|", b"<", b">", b"|")  # of an array's bytes
OLD_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # their names up to protocol 2
_Python: Any = pickle._Unpickler  # of which typeshed knows little


class Unpickler(_Python):
    """Builds what stands for the names in KNOWN; another name is Refused before anything is called.

    Python's own, as the one in C fills memory for a memo of any number, and so do its bytearrays.
    """

    def load_build(self) -> None:
        """State of an object; a class, a function or a tensor that is given one would be changed for all."""
        whose, state = self.stack[-2:]
        if isinstance(whose, np.dtype):  # numpy itself crashes on others
            known = isinstance(state, tuple) and len(state) == 8 and state[1] in ORDERS
            if not known or state[2:] != (None, None, None, -1, -1, 0):
                raise ValueError("an array is of an unknown type")
        elif not isinstance(whose, (PickledObject, OrderedDict, np.ndarray)):
            raise ValueError(f"a {type(whose).__name__} is given a state")
        super().load_build()

    def load_dict(self) -> None:
        """Keys and values since the last mark, in a new dict."""
        _require_plain(self.stack[::2])
        super().load_dict()

    def load_bytearray8(self) -> None:
        """Bytes that are there; Python's own makes room for as many as are announced."""
        (size,) = struct.unpack("<Q", self.read(8))
        content = self.read(size)
        if len(content) < size:
            raise EOFError("bytes are missing")
        self.append(bytearray(content))

    def load_setitem(self) -> None:
        """A key and its value."""
        _require_plain(self.stack[-2:-1])
        super().load_setitem()

    def load_setitems(self) -> None:
        """Keys and values since the last mark."""
        _require_plain(self.stack[::2])
        super().load_setitems()

    def load_additems(self) -> None:
        """Members of a set since the last mark."""
        _require_plain(self.stack)
        super().load_additems()

    dispatch = {code: load for code, load in _Python.dispatch.items() if code not in NOT_READ} | {
        pickle.BUILD[0]: load_build,
        pickle.DICT[0]: load_dict,
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
        pickle.ADDITEMS[0]: load_additems,
        pickle.BYTEARRAY8[0]: load_bytearray8,
    }

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a name in the file."""
        full = f"{OLD_MODULES.get(module, module)}.{name}"
        if full not in KNOWN:
            raise Refused(full)
        return KNOWN[full]
