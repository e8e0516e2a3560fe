"""The cache of images under damage, kills and several processes; published checksums; fetching."""

import functools
import http.server
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
from image_files import cifar, fashion, imagenet_npz, noise

from traflow_lib import cli
from traflow_lib.data import cache, fetch, images, readers
from traflow_lib.files.checksums import file_sha256

pytestmark = pytest.mark.usefixtures("generated_files")


@pytest.fixture
def root(cifar_root):
    return cifar_root


def test_the_published_checksums_and_counts_are_required(root, monkeypatch):
    monkeypatch.delenv(fetch.UNVERIFIED)
    with pytest.raises(
        ValueError,
        match="data_batch_1: its MD5 is [0-9a-f]{32}, that of the published file c99cafc152244af7"
        "53f735de768cd75f; replace it",
    ):
        images.load("cifar10", root=root)
    imagenet_npz(root)
    with pytest.raises(
        ValueError, match=r"imagenet64 \(valid\) has 2 images in .*val_data.npz, not the published 50,000"
    ):
        images.load("imagenet64", "valid", root)


def test_images_of_another_size_are_refused(tmp_path, monkeypatch):
    fashion(tmp_path)
    monkeypatch.setattr(readers, "idx", lambda pairs, pad: iter([(noise(2, 1, 30, 30), None)]))
    with pytest.raises(
        ValueError, match=r"train-images-idx3-ubyte.gz has images of shape \(1, 30, 30\), not \(1, 32, 32\)"
    ):
        images.load("fashion_mnist", root=tmp_path)


def test_the_cache_is_mapped_checksummed_and_used_without_decoding(root, monkeypatch):
    x, labels = images.load("cifar10", "train", root)
    assert x.sha256 == file_sha256(x.file) and np.load(x.file, mmap_mode="r").dtype == np.uint8
    monkeypatch.setattr(cache, "_build", None)
    again, _ = images.load("cifar10", "train", root)
    assert torch.equal(again[:], x[:]) and again.sha256 == x.sha256
    again.source[0] = 0  # private to this process
    assert file_sha256(x.file) == x.sha256


def test_other_sources_make_another_cache(root):
    before, _ = images.load("cifar10", "test", root)
    old = before[:]
    shutil.rmtree(root / "cifar-10-batches-py")
    cifar(root, n=6)
    assert len(images.load("cifar10", "test", root)[0]) == 6 and torch.equal(before[:], old)


@pytest.mark.parametrize("file", ["images.npy", "labels.npy", "cache.json"])
@pytest.mark.parametrize("damage", ["byte", "half", "gone"])
def test_a_damaged_cache_is_made_again(root, file, damage):
    x, _ = images.load("cifar10", "train", root)
    old, state = x[:], x.file.stat()
    victim = x.file.with_name(file)
    content = bytearray(victim.read_bytes())
    content[-3] ^= 1
    victim.unlink() if damage == "gone" else victim.write_bytes(
        content if damage == "byte" else content[: len(content) // 2]
    )
    if damage != "gone":
        os.utime(victim, ns=(state.st_atime_ns, state.st_mtime_ns))
    again, labels = images.load("cifar10", "train", root)
    assert torch.equal(again[:], old) and len(labels) == 20 and again.file.is_file()


LOAD = """
import sys, time
from traflow_lib.data import cache, cifar, images
read = cifar.cifar
def slowly(*arguments):
    print("building", flush=True)
    for chunk in read(*arguments):
        time.sleep(float(sys.argv[2]))
        yield chunk
cifar.cifar = slowly
x, labels = images.load("cifar10", "train", sys.argv[1])
print(len(x), x.sha256)
"""


def start(root, pause: float) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", LOAD, str(root), str(pause)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_processes_that_load_at_once_build_once_and_see_the_same(root):
    outputs = [
        process.communicate(timeout=120)[0].split() for process in [start(root, 0.5) for _ in range(3)]
    ]
    assert sorted(map(len, outputs)) == [2, 2, 3], outputs
    assert len({tuple(output[-2:]) for output in outputs}) == 1 and outputs[0][-2] == "20"


def test_a_killed_build_leaves_nothing_that_is_used(root):
    process = start(root, 5)
    assert process.stdout.readline() == "building\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    folder = root / "runs" / "images"
    assert list(folder.glob("*.part*")) and not list(folder.glob("*/cache.json"))
    assert len(images.load("cifar10", "train", root)[0]) == 20 and not list(folder.glob("*.part*"))


@pytest.mark.parametrize(
    "name, message",
    [
        (
            "celeba64",
            r"celeba64 \(train\) is not there; put img_align_celeba.zip .* of https://mmlab\S+ in "
            r"{root}/celeba",
        ),
        ("ffhq64", r"ffhq64 \(all\) is not there; put ffhq-64x64.zip .* in {root}/ffhq64"),
        (
            "imagenet64",
            r"imagenet64 \(train\) is not there; put train_data_batch_1.npz .* in {root}/imagenet64",
        ),
    ],
)
def test_the_command_says_which_file_to_put_where(tmp_path, capsys, name, message):
    assert cli.main(["data", name, "--root", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and re.search(message.format(root=re.escape(str(tmp_path))), error)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """An http server on tmp_path/web, known as the place where CIFAR-10 is."""
    (tmp_path / "web").mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=tmp_path / "web")
    ) as web:
        thread = threading.Thread(target=web.serve_forever, args=(0.02,))
        thread.start()
        url = f"http://127.0.0.1:{web.server_port}/cifar-10-python.tar.gz"
        monkeypatch.setitem(fetch.URLS, "cifar10", [(url, "cifar-10-python.tar.gz")])
        yield tmp_path / "web"
        web.shutdown()
        thread.join()


def test_the_command_fetches_what_is_missing_and_prepares_it(tmp_path, server, capsys):
    cifar(server, pack=True)
    assert cli.main(["data", "cifar10", "--root", str(tmp_path / "data")]) == 0
    fetching, train, test = capsys.readouterr().out.splitlines()
    x, _ = images.load("cifar10", "train", tmp_path / "data")
    assert fetching.startswith("fetching http://127.0.0.1")
    assert (
        train == f"cifar10 train: 20 images of shape (3, 32, 32), cache {x.file}, sha256 {x.sha256}"
        and "test: 4 images" in test
    )


def test_a_fetched_file_that_is_not_the_published_one_is_thrown_away(tmp_path, server, capsys, monkeypatch):
    monkeypatch.delenv(fetch.UNVERIFIED)
    cifar(server, pack=True)
    assert cli.main(["data", "cifar10", "--root", str(tmp_path / "data")]) == 2
    assert (
        "that of the published file c58f30108f718f92721af3b95e74349a" in capsys.readouterr().err
        and not list((tmp_path / "data").iterdir())
    )


def test_without_internet_the_command_says_what_to_get_and_where_to_put_it(tmp_path, server, capsys):
    assert cli.main(["data", "cifar10", "--root", str(tmp_path / "data")]) == 2  # the server has no such file
    message = r"^error: http://\S+/cifar-10-python.tar.gz could not be fetched "
    message += r"\(.*404.*\); get it in another way and put it at \S+/data/cifar-10-python.tar.gz\n$"
    assert re.search(message, capsys.readouterr().err) and not list((tmp_path / "data").iterdir())


def test_a_connection_that_breaks_off_leaves_no_file(tmp_path, server, capsys, monkeypatch):
    cifar(server, pack=True)
    monkeypatch.setattr(
        http.server.SimpleHTTPRequestHandler,
        "copyfile",
        lambda self, source, out: out.write(source.read(100)),
    )
    assert cli.main(["data", "cifar10", "--root", str(tmp_path / "data")]) == 2
    assert (
        "could not be fetched (retrieval incomplete: got only 100 out of" in capsys.readouterr().err
        and not list((tmp_path / "data").iterdir())
    )
