"""Small files in the published on-disk formats of the image data sets, written by means other than the
readers under test.
"""

import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

CIFAR_NAMES = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encode(pixels: np.ndarray, kind: str = "png") -> bytes:
    """[H, W, 3] as a file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **({"quality": 95} if kind == "jpeg" else {}))
    return stream.getvalue()


def fashion(root: Path, n: int = 5) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The four gzipped idx files; returns pixels [n, 28, 28] and labels of each split."""
    folder, made = root / "FashionMNIST" / "raw", {}
    folder.mkdir(parents=True)
    for seed, (split, prefix) in enumerate({"train": "train", "test": "t10k"}.items()):
        pixels, labels = noise(n, 28, 28, seed=seed), noise(n, seed=seed + 9) % 10
        (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(
            gzip.compress(struct.pack(">IIII", 0x803, n, 28, 28) + pixels.tobytes())
        )
        (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(
            gzip.compress(struct.pack(">II", 0x801, n) + labels.tobytes())
        )
        made[split] = pixels, labels
    return made


def python2_batch(pixels: np.ndarray, labels: list[int]) -> bytes:
    """The very opcodes Python 2 wrote.

    A dict with byte-string keys and an array rebuilt by numpy.core, protocol 2.
    """

    def text(content):
        return b"T" + struct.pack("<i", len(content)) + content

    def number(value):
        return b"J" + struct.pack("<i", value)

    dtype = (
        b"cnumpy\ndtype\n"
        + text(b"u1")
        + number(0)
        + number(1)
        + b"\x87R("
        + number(3)
        + text(b"|")
        + b"NNN"
        + b"".join(map(number, (-1, -1, 0)))
        + b"tb"
    )
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
        + number(0)
        + b"\x85"
        + text(b"b")
        + b"\x87R"
    )
    array += (
        b"("
        + number(1)
        + number(pixels.shape[0])
        + number(pixels.shape[1])
        + b"\x86"
        + dtype
        + b"\x89"
        + text(pixels.tobytes())
        + b"tb"
    )
    listed = b"](" + b"".join(map(number, labels)) + b"e"
    return (
        b"\x80\x02}("
        + text(b"data")
        + array
        + text(b"labels")
        + listed
        + text(b"batch_label")
        + text(b"training batch 1 of 5")
        + b"u."
    )


def cifar(root: Path, n: int = 4, pack: bool = False) -> dict[str, tuple[np.ndarray, list[int]]]:
    """cifar-10-batches-py, or its .tar.gz.

    Python 2's own opcodes in most batches, Python 3's protocol 2 and 5 in two. Returns each batch.
    """
    root.mkdir(parents=True, exist_ok=True)
    made, files = {}, {}
    for seed, name in enumerate(CIFAR_NAMES):
        pixels, labels = noise(n, 3072, seed=seed), (noise(n, seed=seed + 9) % 10).tolist()
        made[name] = pixels, labels
        files[name] = python2_batch(pixels, labels)
        if name in ("data_batch_4", "data_batch_5"):
            files[name] = pickle.dumps(
                {b"data": pixels, b"labels": labels}, protocol=2 if name == "data_batch_4" else 5
            )
    if pack:
        with tarfile.open(root / "cifar-10-python.tar.gz", "w:gz") as archive:
            for name in reversed(files):  # the published archive is not in order either
                member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
                member.size = len(files[name])
                archive.addfile(member, io.BytesIO(files[name]))
    else:
        folder = root / "cifar-10-batches-py"
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
    return made


def celeba(root: Path, pack: bool = False, n: int = 5) -> dict[str, np.ndarray]:
    """Aligned jpegs in a folder or .zip and the partition file.

    Returns the decoded pixels [218, 178, 3] by name.
    """
    folder = root / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    files = {f"{i + 1:06d}.jpg": encode(noise(218, 178, 3, seed=i), "jpeg") for i in range(n)}
    (folder / "list_eval_partition.txt").write_text(
        "".join(f"{name} {part}\n" for name, part in zip(files, [0, 0, 1, 2, 0]))
    )
    for name, content in files.items():
        (folder / "img_align_celeba" / name).write_bytes(content)
    if pack:
        with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive:
            for name, content in files.items():
                archive.writestr(f"img_align_celeba/{name}", content)
                (folder / "img_align_celeba" / name).unlink()
        (folder / "img_align_celeba").rmdir()
    return {name: np.asarray(Image.open(io.BytesIO(content))) for name, content in files.items()}


def edm_zip(file: Path, labels: list[int] | None, n: int = 5) -> np.ndarray:
    """EDM's archive: uncompressed png files and dataset.json, written out of order.

    Returns pixels [n, 64, 64, 3] in the order of names.
    """
    file.parent.mkdir(parents=True)
    pixels = noise(n, 64, 64, 3)
    names = [f"{i // 2:05d}/img{i:08d}.png" for i in range(n)]
    with zipfile.ZipFile(file, "w") as archive:
        for i in reversed(range(n)):
            archive.writestr(names[i], encode(pixels[i]))
        archive.writestr(
            "dataset.json",
            json.dumps({"labels": labels and [[name, label] for name, label in zip(names, labels)][::-1]}),
        )
    return pixels


def thumbnails(root: Path, n: int = 3) -> np.ndarray:
    """FFHQ's thumbnails128x128 in folders of a thousand; returns pixels [n, 128, 128, 3]."""
    pixels = noise(n, 128, 128, 3)
    for i in range(n):
        file = root / "ffhq64" / "thumbnails128x128" / f"{i // 2 * 1000:05d}" / f"{i:05d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encode(pixels[i]))
    return pixels


def imagenet_npz(root: Path, n: int = 2) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Ten training batches and the validation file; returns data [n, 12288] and labels 1..1000 of each."""
    folder, made = root / "imagenet64", {}
    folder.mkdir(parents=True)
    for seed, name in enumerate([f"train_data_batch_{i}" for i in range(1, 11)] + ["val_data"]):
        data, labels = noise(n, 12288, seed=seed), np.array([1, 1000 - seed])
        np.savez(folder / f"{name}.npz", data=data, labels=labels, mean=data.mean(0))
        made[name] = data, labels
    return made


def picture_of(
    file: Path, mode: str = "RGB", size: tuple[int, int] = (8, 8), seed: int = 0, **options
) -> None:
    """A picture of noise in a file of any kind that Pillow writes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    image = Image.fromarray(noise(height, width, 3, seed=seed))
    image.convert(mode).save(file, **options)
