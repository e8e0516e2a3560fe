"""Which files make up each data set, where they are looked for, and how they become images: DATASETS."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from . import cifar, fetch, readers

DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")  # of its package dataset-fashion-mnist
CIFAR10 = {"train": [f"data_batch_{i}" for i in range(1, 6)], "test": ["test_batch"]}
IMAGENET = {"train": [f"train_data_batch_{i}.npz" for i in range(1, 11)], "valid": ["val_data.npz"]}


@dataclass(frozen=True)
class Source:
    """Files or folders that have to exist, and read() -> chunks of images."""

    files: list[Path]
    read: Callable[[], Iterator[readers.Chunk]]

    def facts(self) -> list:
        """What its pixels are known by: names, sizes and dates of the files, also of those below a folder."""
        below = (sorted(file.rglob("*")) if file.is_dir() else [file] for file in self.files)
        states = [(file.name, file.stat()) for files in below for file in files]
        return [fetch.verifying(), [(name, state.st_size, state.st_mtime_ns) for name, state in states]]


@dataclass(frozen=True)
class DataSet:
    """at(root, splits): the sources it may come from, the preferred one first; how: what to put where.

    shape: [C, H, W]; counts: images of each published split; whole: together they make sense as one ("all").
    """

    shape: tuple[int, int, int]
    counts: dict[str, int]
    at: Callable[[Path, list[str]], list[Source]]
    how: str
    whole: bool = True

    @property
    def splits(self) -> list[str]:
        """What may be asked for."""
        return (["all"] if self.whole else []) + [split for split in self.counts if split != "all"]

    def parts(self, split: str) -> list[str]:
        """The published splits that make up `split`, one after the other."""
        return list(self.counts) if split == "all" else [split]


def _fashion_mnist(root: Path, splits: list[str]) -> list[Source]:
    prefixes = [{"train": "train", "test": "t10k"}[split] for split in splits]

    def source(folder: Path) -> Source:
        names = [(f"{prefix}-images-idx3-ubyte.gz", f"{prefix}-labels-idx1-ubyte.gz") for prefix in prefixes]
        pairs = [(folder / images, folder / labels) for images, labels in names]
        return Source([file for pair in pairs for file in pair], partial(readers.idx, pairs, pad=2))

    return [source(root / "FashionMNIST" / "raw"), source(DEBIAN_FASHION_MNIST)]


def _cifar10(root: Path, splits: list[str]) -> list[Source]:
    names = [name for split in splits for name in CIFAR10[split]]
    folder, archive = root / "cifar-10-batches-py", root / "cifar-10-python.tar.gz"
    return [
        Source([folder / name for name in names], partial(cifar.cifar, folder, names)),
        Source([archive], partial(cifar.cifar, archive, names)),
    ]


def _celeba64(root: Path, splits: list[str]) -> list[Source]:
    folder = root / "celeba"
    listing = folder / "list_eval_partition.txt"

    def read(source: Path) -> Iterator[readers.Chunk]:
        parts = readers.partition(listing)
        names = [f"img_align_celeba/{name}" for split in splits for name in parts[split]]
        return readers.encoded(source, names, (178, 218), readers.celeba_face)

    archive = folder / "img_align_celeba.zip"
    return [
        Source([listing, folder / "img_align_celeba"], partial(read, folder)),
        Source([listing, archive], partial(read, archive)),
    ]


def _ffhq64(root: Path, splits: list[str]) -> list[Source]:
    thumbnails, archive = root / "ffhq64" / "thumbnails128x128", root / "ffhq64" / "ffhq-64x64.zip"

    def read() -> Iterator[readers.Chunk]:
        files = sorted(thumbnails.rglob("*.png"), key=lambda file: file.name)
        names = [str(file.relative_to(thumbnails)) for file in files]
        return readers.encoded(thumbnails, names, (128, 128), readers.halve)

    return [Source([archive], partial(readers.zip_of_png, archive, 64)), Source([thumbnails], read)]


def _imagenet64(root: Path, splits: list[str]) -> list[Source]:
    folder = root / "imagenet64"
    files = [folder / name for split in splits for name in IMAGENET[split]]
    archive = folder / "imagenet-64x64.zip"
    zipped = Source([archive], partial(readers.zip_of_png, archive, 64, classes=1000))
    order = folder / "map_clsloc.txt"
    listed = [order] if order.exists() else []  # part of the cache's key when it is there
    arrays = Source(files + listed, partial(readers.npz, files, 64, 1000, *listed))
    return [zipped, arrays] if splits == ["train"] else [arrays]


DATASETS = {
    "fashion_mnist": DataSet(
        (1, 32, 32), {"train": 60_000, "test": 10_000}, _fashion_mnist,
        "the four .gz files of https://github.com/zalandoresearch/fashion-mnist in {root}/FashionMNIST/raw "
        "(or install Debian's package dataset-fashion-mnist)",
    ),
    "cifar10": DataSet(
        (3, 32, 32), {"train": 50_000, "test": 10_000}, _cifar10,
        "cifar-10-python.tar.gz of https://www.cs.toronto.edu/~kriz/cifar.html at "
        "{root}/cifar-10-python.tar.gz (packed, or unpacked beside it)",
    ),
    "celeba64": DataSet(
        (3, 64, 64), {"train": 162_770, "valid": 19_867, "test": 19_962}, _celeba64,
        "img_align_celeba.zip (packed or unpacked) and list_eval_partition.txt of "
        "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html in {root}/celeba",
    ),
    "ffhq64": DataSet(
        (3, 64, 64), {"all": 70_000}, _ffhq64,
        "ffhq-64x64.zip (EDM's dataset_tool.py, https://github.com/NVlabs/edm) or the folder "
        "thumbnails128x128 of https://github.com/NVlabs/ffhq-dataset "
        "in {root}/ffhq64",
    ),
    "imagenet64": DataSet(
        (3, 64, 64), {"train": 1_281_167, "valid": 50_000}, _imagenet64,
        "train_data_batch_1.npz .. train_data_batch_10.npz and val_data.npz of "
        "https://image-net.org/download-images.php (downsampled, 64x64, npz; needs an "
        "account), or imagenet-64x64.zip (EDM's dataset_tool.py, https://github.com/NVlabs/edm; train only) "
        "in {root}/imagenet64",
        whole=False,
    ),
}  # fmt: skip


def find(name: str, split: str, root: Path) -> Source:
    """The first complete source of a data set; FileNotFoundError says in one line which file to put where."""
    dataset = DATASETS[name]
    begun: list[list[str]] = []  # what the sources lack that are there in part
    for source in dataset.at(root, dataset.parts(split)):
        lacking = [str(file) for file in source.files if not file.exists()]
        if not lacking:
            return source
        if len(lacking) < len(source.files):
            begun.append(lacking)
    nearest = min(begun, key=len, default=[])
    state = f" lacks {', '.join(nearest)}" if nearest else " is not there"
    raise FileNotFoundError(f"{name} ({split}){state}; put {dataset.how.format(root=root)}")


def chunks(name: str, split: str, source: Source) -> Iterator[readers.Chunk]:
    """The images of a source; ValueError names a file whose checksum, shape or number is another."""
    dataset, count = DATASETS[name], 0
    for file in source.files:
        if file.is_file():
            fetch.verify(file)
    for pixels, labels in source.read():
        if pixels.shape[1:] != dataset.shape:
            raise ValueError(
                f"{name}: {source.files[0]} has images of shape {pixels.shape[1:]}, not {dataset.shape}; "
                "put the published file there"
            )
        count += len(pixels)
        yield pixels, labels
    expected = sum(dataset.counts[part] for part in dataset.parts(split))
    if not count or (count != expected and fetch.verifying()):
        raise ValueError(
            f"{name} ({split}) has {count:,} images in {source.files[-1]}, not the published {expected:,}; "
            f"fetch it again (or set {fetch.UNVERIFIED}=1 if it is your own)"
        )
