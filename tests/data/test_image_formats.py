"""Readers: generated files in the true on-disk formats give their exact pixels and labels.

Damaged ones are named and nothing in them runs.
"""

import gzip
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from image_files import CIFAR_NAMES, celeba, cifar, edm_zip, encode, fashion, imagenet_npz, noise, thumbnails

from traflow_lib.data import images

pytestmark = pytest.mark.usefixtures("generated_files")


def levels(loaded: images.Images) -> np.ndarray:
    """The images as 0..255 again."""
    x = loaded[:]
    assert x.dtype == torch.float32 and x.min() >= -1 and x.max() <= 1
    return ((x.double() + 1) * 127.5).round().numpy().astype(np.uint8)


def test_fashion_mnist_is_padded_with_black(tmp_path):
    made = fashion(tmp_path)
    for split in ("train", "test"):
        x, labels = images.load("fashion_mnist", split, tmp_path)
        pixels = levels(x)
        assert (
            x.shape == (5, 1, 32, 32)
            and np.array_equal(pixels[:, 0, 2:-2, 2:-2], made[split][0])
            and labels.tolist() == made[split][1].tolist()
        )
        pixels[:, 0, 2:-2, 2:-2] = 0
        assert not pixels.any()
    assert np.array_equal(
        levels(images.load("fashion_mnist", root=tmp_path)[0])[5:, 0, 2:-2, 2:-2], made["test"][0]
    )


@pytest.mark.parametrize("pack", [False, True], ids=["folder", "tar.gz"])
def test_cifar10(tmp_path, pack):
    made = cifar(tmp_path, pack=pack)
    for split, names in {"train": CIFAR_NAMES[:5], "test": CIFAR_NAMES[5:], "all": CIFAR_NAMES}.items():
        x, labels = images.load("cifar10", split, tmp_path)
        assert np.array_equal(
            levels(x), np.concatenate([made[name][0] for name in names]).reshape(-1, 3, 32, 32)
        )
        assert labels.dtype == torch.int64 and labels.tolist() == sum((made[name][1] for name in names), [])


@pytest.mark.parametrize("pack", [False, True], ids=["folder", "zip"])
def test_celeba_is_the_central_140_pixels_shrunk_to_64_in_the_official_partition(tmp_path, pack):
    made = list(celeba(tmp_path, pack).values())
    for split, chosen in {"train": [0, 1, 4], "valid": [2], "test": [3], "all": [0, 1, 4, 2, 3]}.items():
        x, labels = images.load("celeba64", split, tmp_path)
        assert labels is None
        crops = (
            torch.from_numpy(np.stack([made[i][39:179, 19:159] for i in chosen])).permute(0, 3, 1, 2).double()
        )
        expected = torch.nn.functional.interpolate(crops, size=(64, 64), mode="bilinear", antialias=True)
        assert (torch.from_numpy(levels(x)) - expected).abs().max() <= 1


def test_ffhq_thumbnails_are_halved_by_the_mean_of_four_pixels(tmp_path):
    made = thumbnails(tmp_path)
    x, labels = images.load("ffhq64", root=tmp_path)
    mean = made.reshape(3, 64, 2, 64, 2, 3).mean((2, 4)).transpose(0, 3, 1, 2)
    assert labels is None and np.abs(levels(x) - mean).max() <= 0.5


def test_zips_of_png_are_read_in_the_order_of_names(tmp_path):
    made = edm_zip(tmp_path / "ffhq64" / "ffhq-64x64.zip", None)
    x, labels = images.load("ffhq64", "all", tmp_path)
    assert labels is None and np.array_equal(levels(x), made.transpose(0, 3, 1, 2))
    made = edm_zip(tmp_path / "imagenet64" / "imagenet-64x64.zip", [7, 0, 999, 7, 3])
    x, labels = images.load("imagenet64", "train", tmp_path)
    assert labels.tolist() == [7, 0, 999, 7, 3] and np.array_equal(levels(x), made.transpose(0, 3, 1, 2))


def test_imagenet_npz_labels_count_from_zero(tmp_path):
    made = imagenet_npz(tmp_path)
    for split, names in {
        "train": [f"train_data_batch_{i}" for i in range(1, 11)],
        "valid": ["val_data"],
    }.items():
        x, labels = images.load("imagenet64", split, tmp_path)
        assert np.array_equal(
            levels(x), np.concatenate([made[name][0] for name in names]).reshape(-1, 3, 64, 64)
        )
        assert labels.tolist() == np.concatenate([made[name][1] - 1 for name in names]).tolist()


def test_imagenet_npz_labels_follow_the_order_of_synsets_when_it_is_known(tmp_path):
    imagenet_npz(tmp_path)
    before = images.load("imagenet64", "valid", tmp_path)[1]
    (tmp_path / "imagenet64" / "map_clsloc.txt").write_text(
        "".join(f"n{20_000 - number:08d} {number} name\n" for number in range(1, 1001))
    )
    assert torch.equal(images.load("imagenet64", "valid", tmp_path)[1], 999 - before)


class _Malice:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("pack", [False, True], ids=["folder", "tar.gz"])
def test_a_batch_that_would_run_code_is_refused_and_runs_nothing(tmp_path, pack, monkeypatch):
    folder = tmp_path / "cifar-10-batches-py"
    bad = pickle.dumps({b"data": _Malice(tmp_path / "ran"), b"labels": []}, protocol=2)
    if pack:
        monkeypatch.setattr("image_files.python2_batch", lambda pixels, labels: bad)
    cifar(tmp_path, pack=pack)
    if not pack:
        (folder / "test_batch").write_bytes(bad)
    with pytest.raises(ValueError, match="test_batch is damaged.*mkdir, which is code to run and not data"):
        images.load("cifar10", "test", tmp_path)
    assert not (tmp_path / "ran").exists()


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return (
        content[:middle]
        + bytes(byte ^ 0xFF for byte in content[middle : middle + 16])
        + content[middle + 16 :]
    )


def rezip(change):
    """Replace the first image of an archive."""

    def damage(content: bytes, tmp_path) -> bytes:
        file = tmp_path / "copy.zip"
        with (
            zipfile.ZipFile(tmp_path / "ffhq64" / "ffhq-64x64.zip") as old,
            zipfile.ZipFile(file, "w") as new,
        ):
            for name in old.namelist():
                new.writestr(
                    name, change(old.read(name)) if name == "00000/img00000000.png" else old.read(name)
                )
        return file.read_bytes()

    return damage


IMAGES = "FashionMNIST/raw/train-images-idx3-ubyte.gz"
LABELS = "FashionMNIST/raw/t10k-labels-idx1-ubyte.gz"
BATCH = "cifar-10-batches-py/data_batch_3"
FACE = "celeba/img_align_celeba/000002.jpg"
THUMBNAIL = "ffhq64/thumbnails128x128/00000/00001.png"
ORDER = "imagenet64/map_clsloc.txt"
PARTITION = "celeba/list_eval_partition.txt"
ARRAYS = "imagenet64/train_data_batch_4.npz"
FFHQ = "ffhq64/ffhq-64x64.zip"
IMAGENET = "imagenet64/imagenet-64x64.zip"
FACES = "celeba/img_align_celeba.zip"


def packed_cifar(root):
    cifar(root, pack=True)


def packed_celeba(root):
    celeba(root, True)


def ffhq(root):
    edm_zip(root / FFHQ, None)


def imagenet_zip(labels):
    return lambda root: edm_zip(root / IMAGENET, labels)


def misnumbered_npz(root):
    imagenet_npz(root)
    (root / ORDER).write_text("n1 1 a\n")


def unchanged(content: bytes) -> bytes:
    return content


def short(content: bytes) -> bytes:
    return gzip.compress(gzip.decompress(content)[:-1])


def strange_labels(content: bytes) -> bytes:
    return pickle.dumps({b"data": noise(2, 3072), b"labels": [1, 10]})


CASES = {
    "idx-half": (fashion, "fashion_mnist", "train", IMAGES, half, "train-images-idx3-ubyte.gz"),
    "idx-flipped": (fashion, "fashion_mnist", "train", IMAGES, flipped, "train-images-idx3-ubyte.gz"),
    "idx-labels-half": (fashion, "fashion_mnist", "test", LABELS, half, "t10k-labels-idx1-ubyte.gz"),
    "idx-short": (fashion, "fashion_mnist", "train",
        IMAGES, short, "3,919 values found where its head says 5 x 28 x 28"),
    "idx-other-kind": (fashion, "fashion_mnist", "train",
        IMAGES, lambda c: gzip.compress(b"\0\0\x08\x01\0\0\0\1\7"), "first bytes are 00000801"),
    "batch-half": (cifar, "cifar10", "train", BATCH, half, "data_batch_3 is damaged"),
    "batch-empty": (cifar, "cifar10", "train", BATCH, lambda c: b"", "data_batch_3 is damaged"),
    "batch-no-data": (cifar, "cifar10", "train",
        BATCH, lambda c: pickle.dumps({b"labels": [1]}), "data_batch_3 is damaged"),
    "batch-labels": (cifar, "cifar10", "train",
        BATCH, strange_labels, "data_batch_3.*labels outside 0..9"),
    "tar-half": (packed_cifar, "cifar10", "train",
        "cifar-10-python.tar.gz", half, "cifar-10-python.tar.gz is damaged"),
    "tar-flipped": (packed_cifar, "cifar10", "train",
        "cifar-10-python.tar.gz", flipped, "cifar-10-python.tar.gz is damaged"),
    "jpeg-half": (celeba, "celeba64", "train", FACE, half, "000002.jpg is damaged"),
    "jpeg-size": (celeba, "celeba64", "train",
        FACE, lambda c: encode(noise(64, 64, 3), "jpeg"), "000002.jpg.*64x64 pixels, not 178x218"),
    "jpeg-gone": (celeba, "celeba64", "train", FACE, None, "000002.jpg is damaged, incomplete"),
    "faces-zip-half": (packed_celeba, "celeba64", "test", FACES, half, "img_align_celeba.zip is damaged"),
    "faces-zip-flipped": (packed_celeba, "celeba64", "valid", FACES, flipped, "000003.jpg is damaged.*CRC"),
    "partition": (celeba, "celeba64", "train",
        PARTITION, lambda c: b"000001.jpg 7\n", "list_eval_partition.txt is damaged"),
    "partition-path": (celeba, "celeba64", "train",
        PARTITION, lambda c: b"../../x.jpg 0\n", "list_eval_partition.txt is damaged"),
    "thumbnail-half": (thumbnails, "ffhq64", "all", THUMBNAIL, half, "00001.png is damaged"),
    "thumbnail-flipped": (thumbnails, "ffhq64", "all", THUMBNAIL, flipped, "00001.png is damaged"),
    "png-zip-half": (ffhq, "ffhq64", "all", FFHQ, half, "ffhq-64x64.zip is damaged"),
    "png-zip-flipped": (ffhq, "ffhq64", "all", FFHQ, flipped, "img0.*png is damaged"),
    "png-in-zip-half": (ffhq, "ffhq64", "all", FFHQ, rezip(half), "img00000000.png is damaged"),
    "png-in-zip-size": (ffhq, "ffhq64", "all",
        FFHQ, rezip(lambda c: encode(noise(32, 32, 3))), "32x32 pixels, not 64x64"),
    "zip-no-labels": (imagenet_zip(None), "imagenet64", "train",
        IMAGENET, unchanged, "imagenet-64x64.zip is damaged"),
    "zip-label-1000": (imagenet_zip([0, 1, 1000, 2, 3]), "imagenet64", "train",
        IMAGENET, unchanged, "labels outside 0..999"),
    "npz-half": (imagenet_npz, "imagenet64", "train", ARRAYS, half, "train_data_batch_4.npz is damaged"),
    "npz-flipped": (imagenet_npz, "imagenet64", "valid",
        "imagenet64/val_data.npz", lambda c: flipped(c[:9000]) + c[9000:], "val_data.npz is damaged"),
    "npz-gone": (imagenet_npz, "imagenet64", "train",
        ARRAYS, None, r"imagenet64 \(train\) lacks .*train_data_batch_4.npz; put "),
    "npz-order": (misnumbered_npz, "imagenet64", "valid", ORDER, unchanged, "map_clsloc.txt is damaged"),
}  # fmt: skip


@pytest.mark.parametrize("make, name, split, place, damage, message", CASES.values(), ids=CASES)
def test_damaged_files_are_named_and_leave_nothing(tmp_path, make, name, split, place, damage, message):
    make(tmp_path)
    file = tmp_path / place
    if damage is None:
        file.unlink()
    else:
        file.write_bytes(
            damage(file.read_bytes(), tmp_path) if damage.__name__ == "damage" else damage(file.read_bytes())
        )
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        images.load(name, split, tmp_path)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("runs/images/*.part")) and not list(
        tmp_path.glob("runs/images/*/images.npy")
    )


def test_an_object_array_in_an_npz_is_not_unpickled(tmp_path):
    imagenet_npz(tmp_path)
    objects = np.array([_Malice(tmp_path / "ran"), 1], dtype=object)
    np.savez(tmp_path / "imagenet64" / "val_data.npz", data=objects, labels=np.array([1, 2]))
    with pytest.raises(ValueError, match="val_data.npz is damaged"):
        images.load("imagenet64", "valid", tmp_path)
    assert not (tmp_path / "ran").exists()
