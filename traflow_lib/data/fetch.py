"""The official files of the data sets: where they come from, their checksums, and how they are fetched."""

import os
import socket
import urllib.request
from hashlib import file_digest
from http.client import HTTPException
from pathlib import Path

from ..files.log import log

TIMEOUT = 10  # seconds in which a server has to answer, and a transfer to go on
# environment variable: 1 accepts files that are not the published ones (subsets, your own)
UNVERIFIED = "TRAFLOW_DATA_UNVERIFIED"
FASHION_MNIST = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
CIFAR10 = "https://www.cs.toronto.edu/~kriz/"

# Published MD5s, as torchvision lists them. Debian's Fashion-MNIST is the same gzip streams without the file
# name and date in their headers (putting those back gives the published checksums), hence two each.
MD5 = {
    "train-images-idx3-ubyte.gz": ("8d4fb7e6c68d591d4c3dfef9ec88bf0d", "cf8536b0aa1a6ac5fa3f23001093305c"),
    "train-labels-idx1-ubyte.gz": ("25c81989df183df01b3e8a0aad5dffbe", "10bea18fdb374794d4bb42e356e600c9"),
    "t10k-images-idx3-ubyte.gz": ("bef4ecab320f06d8554ea6380940ec79", "f78720b4224f21cce2f2ccf2d7a94c9a"),
    "t10k-labels-idx1-ubyte.gz": ("bb300cfdad3c16e7a12a480ee83cd310", "0d30e22e447f3c33dab9ed536400ac01"),
    "cifar-10-python.tar.gz": ("c58f30108f718f92721af3b95e74349a",),
    "data_batch_1": ("c99cafc152244af753f735de768cd75f",),
    "data_batch_2": ("d4bba439e000b95fd0a9bffe97cbabec",),
    "data_batch_3": ("54ebc095f3ab1f0389bbae665268c751",),
    "data_batch_4": ("634d18415352ddfa80567beed471001a",),
    "data_batch_5": ("482c414d41f54cd18b22e5b47cb7c3cb",),
    "test_batch": ("40351d587109b95175f43aff81a1287e",),
    "img_align_celeba.zip": ("00d2c5bc6d35e252742224ab0c1e8fcb",),
    "list_eval_partition.txt": ("d32c9cbf5e040fd4025c592c306e6668",),
}

# Data set -> (address, place under the data folder) of what can be fetched without signing anything.
URLS = {
    "fashion_mnist": [(FASHION_MNIST + file, "FashionMNIST/raw/" + file) for file in MD5 if "ubyte" in file],
    "cifar10": [(CIFAR10 + "cifar-10-python.tar.gz", "cifar-10-python.tar.gz")],
}


def verifying() -> bool:
    """Whether files have to be the published ones."""
    return os.environ.get(UNVERIFIED, "") in ("", "0")


def verify(file: Path, name: str | None = None) -> None:
    """ValueError if a file that has a published checksum under its name (or `name`) does not match it."""
    expected = MD5.get(name or file.name)
    if expected and verifying():
        with file.open("rb") as stream:
            found = file_digest(stream, "md5").hexdigest()
        if found not in expected:
            raise ValueError(
                f"{file}: its MD5 is {found}, that of the published file {expected[0]}; replace it "
                f"(or set {UNVERIFIED}=1 if it is your own)"
            )


def download(url: str, target: Path) -> None:
    """Fetch one file, which appears under its name only when it is complete and its checksum is right.

    FileNotFoundError where it cannot be fetched says what to do by hand.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    waiting = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        log.info(f"fetching {url}")
        urllib.request.urlretrieve(url, part)  # complains if it ends too early
        verify(part, target.name)
        part.replace(target)
    except (OSError, HTTPException) as error:
        reason = str(error).removeprefix("<urlopen error ").removesuffix(">")
        advice = f"get it in another way and put it at {target}"
        raise FileNotFoundError(f"{url} could not be fetched ({reason}); {advice}") from None
    finally:
        socket.setdefaulttimeout(waiting)
        part.unlink(missing_ok=True)


def fetch(name: str, root: Path) -> None:
    """Download what is missing of a data set in URLS to its place under root."""
    for url, place in URLS[name]:
        if not (root / place).exists():
            download(url, root / place)
