"""Files of strangers, hostile or broken: refused in one line, soon, in little memory, and nothing runs.

`python tests/files/test_strangers.py SECONDS SEED FOLDER` fuzzes all readers and says how many inputs were
tried; what goes wrong is kept in the folder.
"""

import io
import json
import os
import pickle
import random
import resource
import shutil
import struct
import sys
import tarfile
import tempfile
import time
import traceback
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import image_files
import numpy as np
import pytest
import torch
from checkpoint_files import RunsCode
from PIL import Image
from safetensors.torch import save_file

from traflow_lib import nets
from traflow_lib.data import images, sample_files
from traflow_lib.data.folder import ImageFolder
from traflow_lib.evaluation import records
from traflow_lib.evaluation.frechet import Statistics
from traflow_lib.experiments import recipes
from traflow_lib.files import inert_pickle
from traflow_lib.pairs import PairCache
from traflow_lib.reports import notebooks
from traflow_lib.teachers import load_network, save_network

SECONDS, MEGABYTES = 1.0, 256  # of the processor, and of memory beside what the process has
NET = {"kind": "mlp", "width": 8, "depth": 1}
GIGA = 2**30


# pickles, as EDM's .pkl


def opcodes(*parts: bytes) -> Callable:
    return lambda file: file.write_bytes(b"\x80\x04" + b"".join(parts) + b".")


def calls(make: Callable) -> Callable:
    """A pickle of {"ema": a call}; make(canary) -> function, arguments."""
    return lambda file: file.write_bytes(pickle.dumps({"ema": RunsCode(*make(str(file.parent / "canary")))}))


def text(word: str) -> bytes:
    return b"\x8c" + bytes([len(word)]) + word.encode()


def doubled_tuples(times: int) -> bytes:
    """A tuple of a tuple of ... twice each time: nothing to store, 2^times to hash."""
    return b")" + b"".join(b"q%c0h%c\x86" % (n, n) for n in range(times))


def array_of(shape: tuple) -> Callable:
    return calls(lambda canary: (np.ndarray, shape))


def repeated(file: Path) -> None:
    """A tensor of 4 TB whose numbers are all one that is stored."""
    storage = torch.zeros(1).__reduce_ex__(2)[1][0]
    call = RunsCode(torch._utils._rebuild_tensor_v2, storage, 0, (GIGA, 1024), (0, 0), False, OrderedDict())
    file.write_bytes(pickle.dumps({"ema": call}))


def backwards(file: Path) -> None:
    storage = torch.zeros(9).__reduce_ex__(2)[1][0]
    call = RunsCode(torch._utils._rebuild_tensor_v2, storage, 8, (9,), (-1,), False, OrderedDict())
    file.write_bytes(pickle.dumps({"ema": call}))


def chain(canary: str) -> tuple:
    return getattr, (RunsCode(__import__, "os"), "system")


PICKLES = {
    "os.system": calls(lambda canary: (os.system, f"touch {canary}")),
    "eval": calls(lambda canary: (eval, f"open({canary!r}, 'w')")),
    "exec": calls(lambda canary: (exec, f"open({canary!r}, 'w')")),
    "open": calls(lambda canary: (open, canary, "w")),
    "chain": calls(chain),
    "numpy.load": calls(lambda canary: (np.load, canary)),
    "torch.load": calls(lambda canary: (torch.load, canary)),
    "old opcode INST": opcodes(b"(", text("touch x"), b"iposix\nsystem\n"),
    "old opcode OBJ": opcodes(b"(cposix\nsystem\n", text("touch x"), b"o"),
    "dotted name": opcodes(text("builtins"), text("dict.fromkeys"), b"\x93"),
    "extension": opcodes(b"\x82\x01"),
    "persistent id": opcodes(text("storage"), b"Q"),
    "state for a class": opcodes(b"cdnnlib.util\nEasyDict\n", b"N}", text("name"), b"K\x01s\x86b"),
    "state for a function": opcodes(b"c_codecs\nencode\n", b"N}", text("__name__"), text("x"), b"s\x86b"),
    "name of several lines": opcodes(text("os\nos"), text("sys\ntem"), b"\x93"),
    # found by fuzzing: numpy crashes
    "state for a type": opcodes(
        b"cnumpy\ndtype\n",
        text("f8"),
        b"\x89\x88\x87R(K\x03",
        text("<"),
        b"}J\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb",
    ),
    "type of objects": opcodes(b"cnumpy\ndtype\n", text("O8"), b"\x89\x88\x87R"),
    "memo bomb": opcodes(b"]r\xff\xff\xff\x7f"),
    "bytearray bomb": opcodes(b"\x96" + struct.pack("<Q", 40 * GIGA)),
    "bytes bomb": opcodes(b"\x8e" + struct.pack("<Q", 2**62)),
    "frame bomb": opcodes(b"\x95" + struct.pack("<Q", 2**62)),
    "hash bomb in a dict": opcodes(b"}", doubled_tuples(60), b"K\x01s"),
    "hash bomb in an old dict": opcodes(b"(", doubled_tuples(60), b"K\x01d"),
    "hash bomb in a set": opcodes(b"\x8f(", doubled_tuples(60), b"\x90"),
    "hash bomb in a frozen set": opcodes(b"(", doubled_tuples(60), b"\x91"),
    "hash bomb in a call": opcodes(b"cbuiltins\nset\n]", doubled_tuples(60), b"a\x85R"),
    "deep list": opcodes(b"]" * 50_000, b"a" * 49_999),
    "nested lists": opcodes(b"]", b"".join(b"q%c](h%ch%ce" % (n, n, n) for n in range(200))),
    "array of terabytes": array_of(((2**20, 2**20),)),
    "array of objects": calls(lambda canary: (np.array([1]).__reduce__()[0], np.ndarray, (2**40,), b"O")),
    "repeated storage": repeated,
    "negative stride": backwards,
    "empty": lambda file: file.write_bytes(b""),
    "no network": lambda file: file.write_bytes(pickle.dumps({"ema": {"model": [1, 2]}})),
}


# archives of torch.save, as RectifiedFlow's .pth


def release(**change) -> dict:
    content = {"model": {"module.all_modules.0.weight": torch.zeros(4, 4)}, "step": 1}
    return content | {"ema": {"shadow_params": [torch.zeros(4, 4)], "decay": 0.9}} | change


def torch_file(make: Callable, **options) -> Callable:
    return lambda file: torch.save(make(str(file.parent / "canary")), file, **options)


def rezipped(change: Callable, method: int = zipfile.ZIP_STORED) -> Callable:
    """A whole archive of torch.save with other contents under its names."""

    def write(file: Path) -> None:
        stream = io.BytesIO()
        torch.save(release(), stream)
        with zipfile.ZipFile(stream) as old, zipfile.ZipFile(file, "w", method) as new:
            for name in old.namelist():
                new.writestr(name, change(name.partition("/")[2], old.read(name)))

    return write


def overlapping(file: Path) -> None:
    """A zip whose thousand names all stand for the same megabyte."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", bytes(2**20))
        (info,) = archive.infolist()
        for number in range(1000):
            other = zipfile.ZipInfo(f"archive/data/{number}")
            other.header_offset, other.CRC = info.header_offset, info.CRC
            other.file_size = other.compress_size = info.file_size
            archive.filelist.append(other)
    file.write_bytes(stream.getvalue())


def bomb_of(name: str, size: int) -> Callable:
    def change(found: str, content: bytes) -> bytes:
        return bytes(size) if found == name else content

    return rezipped(change, zipfile.ZIP_DEFLATED)


def damaged(name: str) -> Callable:
    """One byte of a stored file changed, as a bad disk does."""

    def write(file: Path) -> None:
        torch.save(release(model={"w": torch.arange(999.0)}), file)
        content = bytearray(file.read_bytes())
        content[content.index(torch.arange(99.0).numpy().tobytes()) + 40] ^= 1
        file.write_bytes(content)

    return write


TORCH_FILES = {
    "os.system": torch_file(lambda canary: release(model=RunsCode(os.system, f"touch {canary}"))),
    "eval in the old format": torch_file(
        lambda canary: RunsCode(eval, f"open({canary!r}, 'w')"), _use_new_zipfile_serialization=False
    ),
    "a whole module": torch_file(lambda canary: torch.nn.Linear(2, 2)),
    "storage bomb": bomb_of("data/0", 100 * 2**20),
    "pickle bomb": bomb_of("data.pkl", 100 * 2**20),
    "overlapping files": overlapping,
    "zip in a zip": rezipped(lambda name, content: content if name != "data.pkl" else b"PK\3\4" + content),
    "a changed byte": damaged("data/0"),
    "repeated storage": torch_file(lambda canary: release(model={"w": torch.zeros(1).expand(GIGA)})),
    "repeated half storage": torch_file(
        lambda canary: release(ema={"shadow_params": [torch.zeros(1).half().expand(4 * GIGA)]})
    ),
    "strings for tensors": torch_file(lambda canary: release(model={"w": "no tensor"})),
    "a list": torch_file(lambda canary: [1, 2, 3]),
    "nothing but a head": lambda file: file.write_bytes(b"PK\3\4" + bytes(40)),
}


# safetensors


def safetensors(head, tail: bytes = b"", length: int | None = None) -> Callable:
    written = head if isinstance(head, bytes) else json.dumps(head).encode()
    size = len(written) if length is None else length
    return lambda file: file.write_bytes(struct.pack("<Q", size) + written + tail)


def tensor(shape: list, start: int, stop: int, dtype: str = "F32") -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


def named(network, tensors: dict | None = None, **facts) -> Callable:
    """Whole safetensors whose header names a network that is another than theirs."""
    told = {"network": json.dumps(network)} | facts
    return lambda file: save_file(tensors or {"w": torch.zeros(2)}, file, metadata=told)


SAFETENSORS = {
    "header of exabytes": safetensors({}, length=2**63),
    "header longer than the file": safetensors({}, length=2**20),
    "offsets beyond the file": safetensors({"w": tensor([GIGA], 0, 4 * GIGA)}, bytes(8)),
    "offsets backwards": safetensors({"w": tensor([2], 8, 0)}, bytes(8)),
    "overlapping tensors": safetensors({"w": tensor([2], 0, 8), "v": tensor([2], 4, 12)}, bytes(12)),
    "shape that overflows": safetensors({"w": tensor([2**62, 8], 0, 8)}, bytes(8)),
    "unknown dtype": safetensors({"w": tensor([2], 0, 8, "F33")}, bytes(8)),
    "negative shape": safetensors({"w": tensor([-2], 0, 8)}, bytes(8)),
    "not JSON": safetensors(b"{'w': os.system('touch canary')}"),
    "deep JSON": safetensors(b"[" * 100_000),
    "deep facts": named(NET, settings="[" * 100_000),
    "facts that are no JSON": named(NET, settings="__import__('os')"),
    "network that is a list": named([1, 2]),
    "network that is unknown": named({"kind": "os.system"}),
    "network of terabytes": named({"kind": "mlp", "width": 2**20, "depth": 4}),
    "network of a thousand million layers": named({"kind": "mlp", "width": 1, "depth": 10**9}),
    "image of a thousand million pixels": named(
        {"kind": "ddpmpp", "size": 2**30, "width": 8, "multipliers": [1], "blocks": 1, "channels": 1}
    ),
    "sizes that are words": named({"kind": "mlp", "width": "wide", "depth": 1}),
    "blocks in blocks": named({"kind": "edm", "net": {"kind": "edm", "net": {"kind": "edm"}}}),
    "settings that are a word": named(NET, settings='"word"'),
    "other dtype": lambda file: save_file(
        {name: value.to(torch.int64) for name, value in nets.build(NET).state_dict().items()},
        file,
        metadata={"network": json.dumps(NET)},
    ),
    "cut in half": lambda file: (
        save_network(file, nets.build(NET), NET),
        os.truncate(file, file.stat().st_size // 2),
    ),
}


# data sets


def gz_zeros(size: int) -> bytes:
    """A .gz of zeros, of a thousandth of their size: as many as asked for of 20 MB each."""
    return zlib.compress(bytes(20 * 2**20), wbits=31) * (size // (20 * 2**20))


def idx(sizes: tuple, zeros: int) -> Callable:
    def write(root: Path) -> None:
        image_files.fashion(root)
        head = zlib.compress(struct.pack(f">I{len(sizes)}I", 0x800 + len(sizes), *sizes), wbits=31)
        file = root / "FashionMNIST" / "raw" / "train-images-idx3-ubyte.gz"
        file.write_bytes(head + gz_zeros(zeros))

    return write


def tar(*members: tuple[tarfile.TarInfo, bytes], zeros: int = 0) -> Callable:
    def write(root: Path) -> None:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for info, content in members:
                info.size = len(content) or info.size
                archive.fileobj.write(info.tobuf() + content + bytes(-len(content) % 512))
                archive.offset = stream.tell()
        packed = zlib.compress(stream.getvalue(), wbits=31)
        (root / "cifar-10-python.tar.gz").write_bytes(packed + gz_zeros(zeros))

    return write


def member(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, link
    return info


def zip_at(place: str, contents: dict[str, bytes], listing: bytes = b"") -> Callable:
    def write(root: Path) -> None:
        file = root / place
        file.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, content in contents.items():
                archive.writestr(name, content)
        if listing:
            (file.parent / "list_eval_partition.txt").write_bytes(listing)

    return write


def arrays_at(**arrays) -> Callable:
    def write(root: Path) -> None:
        (root / "imagenet64").mkdir()
        np.savez_compressed(root / "imagenet64" / "val_data.npz", **arrays)

    return write


TRAIN, LARGE = [f"data_batch_{number}" for number in range(1, 6)], bytes(100 * 2**20)
DATA = {
    "idx of terabytes": ("fashion_mnist", "train", idx((2**20, 2**10, 2**10), 20 * 2**20)),
    "idx that is a bomb": ("fashion_mnist", "train", idx((2**20, 28, 28), 900 * 2**20)),
    "tar out of the folder": ("cifar10", "test", tar((member("../../test_batch"), b"x"))),
    "tar with a link out": (
        "cifar10",
        "test",
        tar((member("test_batch", kind=tarfile.SYMTYPE, link="/etc/passwd"), b"")),
    ),
    "tar that is a bomb": ("cifar10", "test", tar((member("a", 8 * GIGA), b""), zeros=600 * 2**20)),
    "tar with a header of gigabytes": (
        "cifar10",
        "test",
        tar((member("pax", 7 * GIGA, tarfile.XHDTYPE), b""), zeros=600 * 2**20),
    ),
    "batch that runs code": (
        "cifar10",
        "train",
        tar(*[(member(name), pickle.dumps(RunsCode(os.system, "touch canary"))) for name in TRAIN]),
    ),
    "batch of floats": (
        "cifar10",
        "test",
        tar((member("test_batch"), pickle.dumps({b"data": np.zeros((1, 3072)), b"labels": [1]}))),
    ),
    "face that is a bomb": (
        "celeba64",
        "test",
        zip_at("celeba/img_align_celeba.zip", {"img_align_celeba/1.jpg": LARGE}, b"1.jpg 2\n"),
    ),
    "face out of the folder": (
        "celeba64",
        "test",
        zip_at("celeba/img_align_celeba.zip", {"../1.jpg": b""}, b"../1.jpg 2\n"),
    ),
    "list of faces in no code": (
        "celeba64",
        "test",
        zip_at("celeba/img_align_celeba.zip", {"a": b""}, b"\xff\xfe\x00"),
    ),
    "labels that are a bomb": (
        "imagenet64",
        "train",
        zip_at("imagenet64/imagenet-64x64.zip", {"1.png": b"", "dataset.json": LARGE}),
    ),
    "deep labels": (
        "imagenet64",
        "train",
        zip_at("imagenet64/imagenet-64x64.zip", {"1.png": b"", "dataset.json": b"[" * 200_000}),
    ),
    "picture in a zip of absurd size": (
        "ffhq64",
        "all",
        lambda root: (
            picture(root / "x.png", 30_000, 30_000),
            zip_at("ffhq64/ffhq-64x64.zip", {"1.png": (root / "x.png").read_bytes()})(root),
        ),
    ),
    "array that is a bomb": (
        "imagenet64",
        "valid",
        arrays_at(data=np.zeros((9_000, 12_288), np.uint8), labels=np.ones(9_000, int)),
    ),
    "labels that are NaN": (
        "imagenet64",
        "valid",
        arrays_at(data=np.zeros((2, 12_288), np.uint8), labels=np.full(2, np.nan)),
    ),
    "array that runs code": (
        "imagenet64",
        "valid",
        arrays_at(data=np.array([RunsCode(os.system, "touch canary")]), labels=np.ones(1, int)),
    ),
}


# pictures in a folder, arrays of samples


def picture(file: Path, width: int, height: int, more: bytes = b"") -> None:
    """A PNG whose head says this size, of a few bytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    file.write_bytes(
        b"\x89PNG\r\n\x1a\n" + head + more + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


def text_bomb(file: Path) -> None:
    content = b"Comment\0\0" + zlib.compress(bytes(100 * 2**20))
    picture(
        file,
        8,
        8,
        struct.pack(">I", len(content))
        + b"zTXt"
        + content
        + struct.pack(">I", zlib.crc32(b"zTXt" + content)),
    )


def gif(file: Path) -> None:
    file.write_bytes(b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\2\2D\1\0;")


def npy(shape: str, dtype: str = "|u1", tail: bytes = bytes(64)) -> bytes:
    head = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + tail


PICTURES = {
    "a.png": lambda file: picture(file, 12_000, 12_000),
    "b.png": lambda file: picture(file, 2**31 - 1, 2**31 - 1),
    "c.png": lambda file: picture(file, 0, 7),
    "d.png": text_bomb,
    "e.gif": gif,
    "f.bmp": lambda file: file.write_bytes(
        b"BM" + struct.pack("<IIIIiiHH", 99, 0, 54, 40, 60_000, -60_000, 1, 24)
    ),
    "g.ppm": lambda file: file.write_bytes(b"P6 99999 99999 255 "),
    "h.tif": lambda file: Image.new("F", (9, 9)).save(file),
    "device.png": lambda file: file.symlink_to("/dev/zero"),
}
ARRAYS = {
    "terabytes.npy": lambda file: file.write_bytes(npy(f"({2**30}, 32, 32, 3)")),
    "overflow.npy": lambda file: file.write_bytes(npy(f"({2**62}, {2**62}, 3)")),
    "negative.npy": lambda file: file.write_bytes(npy("(-1, 8, 8)")),
    "code.npy": lambda file: file.write_bytes(npy("__import__('os').system('touch canary')")),
    "objects.npy": lambda file: np.save(file, np.array([RunsCode(os.system, "touch canary")], dtype=object)),
    "nan.npy": lambda file: np.save(file, np.full((2, 3, 8, 8), np.nan, np.float32)),
    "bomb.npz": lambda file: np.savez_compressed(file, np.zeros((9_000, 64, 64, 3), np.uint8)),
    "words.npz": lambda file: np.savez(file, np.array(["one", "two"])),
    "code.pt": lambda file: torch.save(RunsCode(os.system, f"touch {file.parent / 'canary'}"), file),
    "repeated.pt": lambda file: torch.save(torch.zeros(1).expand(GIGA, 3, 8, 8), file),
    "zip.npz": lambda file: file.write_bytes(b"PK\5\6" + bytes(18)),
}


# text: records, recipes, notebooks

RECORD = {"recipe": "r", "profile": "smoke", "dataset": "d", "method": "m", "nfe": 1, "sampler": "jumps",
          "metrics": {"fid": [1.0]}, "seeds": [0], "n_generated": 9, "n_reference": 9, "split": "all",
          "hash": "0" * 10}  # fmt: skip


def record(**change) -> str:
    return json.dumps(RECORD | change)


RECORDS = {
    "unknown field": record(payload="rm -rf"),
    "missing field": json.dumps({key: value for key, value in RECORD.items() if key != "seeds"}),
    "NaN": record().replace("1.0", "NaN"),
    "number of 400 digits": record().replace("1.0", "9" * 400),
    "number of 9,999 digits": record().replace("1.0", "9" * 9_999),
    "deep": '{"recipe": ' + "[" * 100_000,
    "half a line": record()[:50],
    "a list": "[1, 2]",
    "a number": "7",
    "seeds that are lists": record(seeds=[[0]]),
    "seeds that are blocks": record(seeds=[{}]),
    "metrics in metrics": record(metrics={"fid": [{"fid": 1}]}),
    "place out of the folder": record(profile="../../../etc"),
    "no text": "\udcff",
}
RECIPES = {
    "python object": "!!python/object/apply:os.system ['touch canary']",
    "python name": "profiles: {smoke: !!python/name:os.system }",
    "python module": "profiles: !!python/module:os",
    "deep": "[" * 50_000,
    "references": "\n".join(["a: &a0 [1, 1]"] + [f"b{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
                            + ["net: {kind: mlp, width: *a59}", "profiles: {smoke: null}"]),
    "merges": "\n".join(["a: &a0 {x: 1}"]
                        + [f"b{n}: &a{n} {{l: *a{n - 1}, r: *a{n - 1}}}" for n in range(1, 40)]
                        + ["profiles: {smoke: {net: *a39}}"]),
    "a list": "- 1\n- 2",
    "no profiles": "net: {kind: mlp}",
    "like no profile": "profiles: {smoke: {like: nowhere}}",  # found by fuzzing
    "half": "profiles: {smoke: ",
    "no text": "\udcff",
}  # fmt: skip
NOTEBOOKS = {
    "half": '{"cells": [',
    "deep": "[" * 100_000,
    "a list": "[1]",
    "no metadata": '{"cells": []}',
    "metadata that is code": "{\"metadata\": \"__import__('os').system('touch canary')\"}",
    "no text": "\udcff",
}


def of_text(content: str, name: str) -> Callable:
    return lambda file: file.with_name(name).write_text(content, encoding="utf-8", errors="surrogateescape")


def open_recipe(folder: Path) -> None:
    recipes._content.cache_clear()
    recipes.FOLDER, before = folder, recipes.FOLDER
    try:
        recipes.load("hostile", "smoke")
    finally:
        recipes.FOLDER = before
        recipes._content.cache_clear()


def corpus() -> dict[str, tuple[Callable, Callable]]:
    """Name -> what writes the file or folder at a place, and what opens it."""
    found: dict = {}
    for kind, cases, suffix in (
        ("pickle", PICKLES, "pkl"),
        ("torch", TORCH_FILES, "pth"),
        ("safetensors", SAFETENSORS, "safetensors"),
    ):
        for name, write in cases.items():
            found[f"{kind}: {name}"] = (
                lambda root, write=write, suffix=suffix: write(root / f"x.{suffix}"),
                lambda root, suffix=suffix: load_network(root / f"x.{suffix}"),
            )
    for name, (data, split, write) in DATA.items():
        found[f"data: {name}"] = (write, lambda root, data=data, split=split: images.load(data, split, root))
    for name, write in PICTURES.items():
        found[f"picture: {name}"] = (lambda root, name=name, write=write: write(root / name), ImageFolder)
    for name, write in ARRAYS.items():
        found[f"array: {name}"] = (
            lambda root, name=name, write=write: write(root / name),
            lambda root, name=name: sample_files.read(root / name),
        )
    for name, content in RECORDS.items():
        found[f"record: {name}"] = (
            lambda root, content=content: of_text(content, "x.jsonl")(root / "x"),
            lambda root: records.load(root),
        )
    for name, content in RECIPES.items():
        found[f"recipe: {name}"] = (
            lambda root, content=content: of_text(content, "hostile.yaml")(root / "x"),
            open_recipe,
        )
    for name, content in NOTEBOOKS.items():
        found[f"notebook: {name}"] = (
            lambda root, content=content: of_text(content, "x.ipynb")(root / "x"),
            lambda root: notebooks._content(root / "x.ipynb"),
        )
    return found  # fmt: skip


CORPUS = corpus()


def peak() -> int:
    """The most memory since the last clear_refs, in MB."""
    return (
        int(Path("/proc/self/status").read_text(encoding="utf-8").partition("VmHWM:")[2].split()[0]) // 1024
    )


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize("name", CORPUS)
def test_a_strangers_file_is_refused_soon_and_runs_nothing(name, tmp_path, monkeypatch, generated_files):
    write, read = CORPUS[name]
    root = tmp_path / "files"
    root.mkdir()
    monkeypatch.chdir(root)  # a payload may create its canary here
    write(root)
    limit = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    before, start = peak(), time.process_time()
    resource.setrlimit(resource.RLIMIT_AS, (used + 4 * GIGA, limit[1]))
    try:
        with pytest.raises((ValueError, OSError)) as caught:
            read(root)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limit)
    spent, taken = time.process_time() - start, peak() - before
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000
    assert not (root / "canary").exists() and not (root / "x").exists()
    assert spent < SECONDS and taken < MEGABYTES, f"{spent:.2f} s, {taken} MB"


def test_there_are_enough():
    assert len(CORPUS) >= 40


# fuzzing: whole files, changed at random


def whole_files() -> dict[str, tuple[str, bytes, Callable]]:
    """Kind -> (place below a folder, a small whole file of it, what reads it in that folder)."""
    found: dict = {}

    def add(kind: str, place: str, write: Callable, read: Callable) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            write(root)
            found[kind] = (place, (root / place).read_bytes(), read)

    arrays = {"a": np.arange(9.0), "b": OrderedDict(x=[1, (2, None)]), "c": {"s"}, "t": torch.arange(9.0)}
    for protocol in (2, 4, 5):
        content = pickle.dumps({"ema": arrays}, protocol)
        add(
            f"pickle {protocol}",
            "x.pkl",
            lambda root, content=content: (root / "x.pkl").write_bytes(content),
            lambda root: inert_pickle.read(root / "x.pkl"),
        )
    for kind, new in (("torch", True), ("old torch", False)):
        add(
            kind,
            "x.pth",
            lambda root, new=new: torch.save(release(), root / "x.pth", _use_new_zipfile_serialization=new),
            lambda root: load_network(root / "x.pth"),
        )
    add(
        "foreign network",
        "x.safetensors",
        lambda root: save_file(
            nets.build(NET).state_dict(), root / "x.safetensors", metadata={"network": json.dumps(NET)}
        ),
        lambda root: load_network(root / "x.safetensors"),
    )
    add(
        "network",
        "x.safetensors",
        lambda root: save_network(root / "x.safetensors", nets.build(NET), NET),
        lambda root: load_network(root / "x.safetensors"),
    )
    add(
        "pairs",
        "x.safetensors",
        lambda root: PairCache(torch.ones(4, 2), torch.ones(4, 2)).save(root / "x.safetensors", {"a": 1}),
        lambda root: (PairCache.facts(root / "x.safetensors"), PairCache.load(root / "x.safetensors")),
    )
    add(
        "statistics",
        "x.safetensors",
        lambda root: Statistics(torch.ones(2), torch.eye(2), 9).save(root / "x.safetensors"),
        lambda root: Statistics.load(root / "x.safetensors"),
    )
    for data, split, make, place in (
        ("fashion_mnist", "train", image_files.fashion, "FashionMNIST/raw/train-images-idx3-ubyte.gz"),
        ("cifar10", "test", image_files.cifar, "cifar-10-batches-py/test_batch"),
        ("cifar10", "train", lambda root: image_files.cifar(root, 1, True), "cifar-10-python.tar.gz"),
        ("celeba64", "test", lambda root: image_files.celeba(root, True), "celeba/img_align_celeba.zip"),
        (
            "ffhq64",
            "all",
            lambda root: image_files.edm_zip(root / "ffhq64/ffhq-64x64.zip", None, 2),
            "ffhq64/ffhq-64x64.zip",
        ),
        (
            "imagenet64",
            "train",
            lambda root: image_files.edm_zip(root / "imagenet64/imagenet-64x64.zip", [1, 2], 2),
            "imagenet64/imagenet-64x64.zip",
        ),
        ("imagenet64", "valid", image_files.imagenet_npz, "imagenet64/val_data.npz"),
    ):
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder))
            others = {
                file.relative_to(folder): file.read_bytes()
                for file in Path(folder).rglob("*")
                if file.is_file()
            }

        def read(root: Path, data=data, split=split, others=others) -> None:
            for name, content in others.items():
                if not (root / name).exists():
                    (root / name).parent.mkdir(parents=True, exist_ok=True)
                    (root / name).write_bytes(content)
            images.load(data, split, root)[0][:2]

        found[f"{data} {Path(place).suffix or 'batch'}"] = (place, others[Path(place)], read)
    for kind, mode in (
        ("png", "RGB"),
        ("png", "P"),
        ("jpg", "RGB"),
        ("gif", "P"),
        ("bmp", "RGB"),
        ("tif", "RGB"),
        ("webp", "RGB"),
        ("ico", "RGBA"),
        ("tga", "RGB"),
        ("ppm", "L"),
        ("pcx", "P"),
        ("jp2", "RGB"),
    ):
        add(
            f"{kind} {mode}",
            f"x.{kind}",
            lambda root, kind=kind, mode=mode: image_files.picture_of(root / f"x.{kind}", mode, (16, 16)),
            lambda root: ImageFolder(root),
        )
    samples = np.zeros((2, 8, 8, 3), np.uint8)
    for name, write in (("x.npy", np.save), ("x.npz", np.savez), ("y.npz", np.savez_compressed)):
        add(
            name,
            name,
            lambda root, name=name, write=write: write(
                root / name, samples + np.arange(0, 240, 80, dtype=np.uint8)
            ),
            lambda root, name=name: sample_files.read(root / name),
        )
    add(
        "x.pt",
        "x.pt",
        lambda root: torch.save(torch.rand(2, 3, 8, 8), root / "x.pt"),
        lambda root: sample_files.read(root / "x.pt"),
    )
    add(
        "record",
        "x.jsonl",
        lambda root: (root / "x.jsonl").write_text(record()),
        lambda root: records.load(root),
    )
    add(
        "recipe",
        "hostile.yaml",
        lambda root: shutil.copy(recipes.FOLDER / "00_quickstart.yaml", root / "hostile.yaml"),
        open_recipe,
    )
    add(
        "notebook",
        "x.ipynb",
        lambda root: (root / "x.ipynb").write_text(json.dumps({"metadata": {}, "cells": []})),
        lambda root: notebooks._content(root / "x.ipynb"),
    )
    return found  # fmt: skip


def changed(content: bytes, dice: random.Random) -> bytes:
    """A file with a few bytes flipped, cut out, put in, doubled, or numbers of extreme size."""
    data = bytearray(content)
    for _ in range(dice.choice((1, 1, 2, 3, 5, 9))):
        place, length = dice.randrange(len(data) + 1), dice.choice((1, 1, 2, 4, 8, 64))
        part = bytes(data[place : place + length])
        new = dice.choice((
            bytes(byte ^ (1 << dice.randrange(8)) for byte in part), dice.randbytes(length), b"", part * 2,
            b"\xff" * length, b"\0" * length, b"\x7f" + b"\xff" * (length - 1), b"9" * length,
            bytes(data[dice.randrange(len(data) + 1) :][:length]),
        ))  # fmt: skip
        data[place : place + length] = new
        if dice.random() < 0.05:
            del data[dice.randrange(len(data) + 1) :]
    return bytes(data)


def try_inputs(kind: str, case: tuple, seed: int, until: float, report: Path) -> None:
    """Inputs of one kind until the time is over, in a process that may die; what went wrong is told."""
    place, content, read = case
    resource.setrlimit(resource.RLIMIT_AS, (12 * GIGA, 12 * GIGA))
    resource.setrlimit(resource.RLIMIT_FSIZE, (GIGA, GIGA))
    dice, tried, refused = random.Random(seed), 0, 0
    while time.monotonic() < until:
        with tempfile.TemporaryDirectory(dir=report) as folder:
            file = Path(folder) / place
            file.parent.mkdir(parents=True, exist_ok=True)
            given = changed(content, dice)
            file.write_bytes(given)
            (report / "last").write_bytes(given)
            start, wrong = time.process_time(), ""
            try:
                read(Path(folder))
            except (ValueError, OSError) as error:
                refused += 1
                wrong = "several lines" if "\n" in str(error) else ""
            except BaseException:
                wrong = traceback.format_exc()
            if time.process_time() - start > 5:
                wrong += f"it took {time.process_time() - start:.1f} s"
            tried += 1
            if wrong:
                (report / f"{kind.replace(' ', '-')}-{seed}-{tried}").write_bytes(given)
                (report / f"{kind.replace(' ', '-')}-{seed}-{tried}.txt").write_text(wrong)
        (report / "count").write_text(f"{tried} {refused}")


def fuzz(seconds: float, seed: int, report: Path) -> dict[str, list[int]]:
    """Every reader in turns; by kind, how many inputs were tried, refused, and went wrong."""
    os.environ |= {"TRAFLOW_DATA_UNVERIFIED": "1", "TRAFLOW_RUNS": str(report / "runs")}
    report.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    cases, counts, end = whole_files(), {}, time.monotonic() + seconds
    turn = min(10.0, seconds / len(cases))
    while time.monotonic() < end:
        for kind, case in cases.items():
            seed += 1
            (report / "count").write_text("0 0")
            child = os.fork()
            if not child:
                sys.stderr = open(os.devnull, "w", encoding="utf-8")  # Pillow's warnings
                try:
                    try_inputs(kind, case, seed, time.monotonic() + turn, report)
                finally:
                    os._exit(0)
            _, status = os.waitpid(child, 0)
            if status:
                shutil.copy(report / "last", report / f"{kind.replace(' ', '-')}-{seed}-killed-{status}")
            shutil.rmtree(report / "runs", ignore_errors=True)
            tried, refused = map(int, (report / "count").read_text(encoding="utf-8").split())
            wrong = len(list(report.glob(f"{kind.replace(' ', '-')}-{seed}-*.txt"))) + bool(status)
            counts[kind] = [a + b for a, b in zip(counts.get(kind, [0, 0, 0]), (tried, refused, wrong))]
            if time.monotonic() > end:
                break
    return counts


def counted(count_of: Callable) -> list:
    """Of the corpus, for the table of tests/README.md: a count by kind."""
    os.environ["TRAFLOW_DATA_UNVERIFIED"] = "1"
    counts: dict = {}
    for name, (write, read) in CORPUS.items():
        kind = name.partition(":")[0]
        count = counts.setdefault(kind, count_of(f"strangers' files: {kind}"))
        with tempfile.TemporaryDirectory() as folder:
            os.environ["TRAFLOW_RUNS"] = folder
            root = Path(folder) / "files"
            root.mkdir()
            write(root)
            count.tries += 1
            try:
                read(root)
                count.wrong += 1
            except (ValueError, OSError) as error:
                count.refused += "\n" not in str(error)
            except Exception:
                count.wrong += 1
            count.executed += (root / "canary").exists()
    return [*counts.values()]


@pytest.mark.slow
def test_no_changed_file_ends_in_anything_but_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAFLOW_RUNS", str(tmp_path))
    counts = fuzz(120, 0, tmp_path / "fuzz")
    assert len(counts) > 20 and not any(wrong for _, _, wrong in counts.values()), counts


if __name__ == "__main__":
    found = fuzz(float(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
    for kind, (tried, refused, wrong) in found.items():
        print(f"{kind}: {tried} tried, {refused} refused, {wrong} wrong")
    print("all:", *(sum(column) for column in zip(*found.values())), "tried, refused, wrong")
