"""A person's own pictures: every kind of file has the right pixels or is named; the cache knows contents."""

import os
import shutil
import zlib

import numpy as np
import pytest
import torch
from image_files import noise, picture_of
from PIL import Image, ImageOps

from traflow_lib.data import cache, images
from traflow_lib.data.folder import ImageFolder
from traflow_lib.files.checksums import file_sha256
from traflow_lib.randomness import Draws

pytestmark = pytest.mark.usefixtures("generated_files")


@pytest.fixture
def folder(tmp_path):
    """Six pictures 000.png .. 005.png, 8 x 8, colour."""
    place = tmp_path / "pictures"
    for number in range(6):
        picture_of(place / f"{number:03d}.png", seed=number)
    return place


def levels(found, number: int = 0) -> np.ndarray:
    """One image as 0..255 again, [H, W] or [H, W, 3]."""
    pixels = ((found[number].double() + 1) * 127.5).round().numpy().astype(np.uint8)
    return pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)


def test_a_folder_is_the_kits_own_kind_of_images(folder):
    found = ImageFolder(str(folder))
    assert isinstance(found, images.Images) and found.shape == (6, 3, 8, 8) and len(found) == 6
    for number in range(6):
        assert np.array_equal(levels(found, number), noise(8, 8, 3, seed=number))
    assert found.sha256 == file_sha256(found.file) == ImageFolder(folder).sha256
    assert found.labels is None and found.classes == () and found.skipped == 0
    assert found.sample(5, Draws()).shape == (5, 3, 8, 8) and found.sample_labelled(2, Draws())[1] is None


@pytest.mark.parametrize("size", [(40, 24), (24, 40), (33, 33), (16, 16)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_picture_is_shrunk_and_cut_as_pillow_does_it(tmp_path, size, mode):
    picture_of(tmp_path / "p" / "a.png", mode, size)
    found = ImageFolder(tmp_path / "p", 16)
    with Image.open(tmp_path / "p" / "a.png") as image:
        fitted = ImageOps.fit(image, (16, 16), Image.Resampling.LANCZOS)
        assert np.array_equal(levels(found), np.asarray(fitted))
        if size[0] == size[1]:
            assert np.array_equal(levels(found), np.asarray(image.resize((16, 16), Image.Resampling.LANCZOS)))


def white_behind(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha[..., None] / 255.0
    return pixels * share + 255 * (1 - share)


def grey(file):
    Image.fromarray(noise(8, 8)).save(file)
    return noise(8, 8)


def grey_and_alpha(file):
    pixels, alpha = noise(8, 8), noise(8, 8, seed=1)
    Image.merge("LA", [Image.fromarray(pixels), Image.fromarray(alpha)]).save(file)
    return white_behind(pixels[..., None], alpha)[..., 0]


def rgba(file):
    pixels, alpha = noise(8, 8, 3), noise(8, 8, seed=1)
    Image.fromarray(np.concatenate([pixels, alpha[..., None]], axis=2)).save(file)
    return white_behind(pixels, alpha)


def palette(file):
    image = Image.fromarray(noise(8, 8, 3)).convert("P", palette=Image.Palette.ADAPTIVE)
    image.save(file)
    return np.asarray(image.convert("RGB"))


def palette_with_a_hole(file):
    image = Image.fromarray(noise(8, 8, 3)).convert("P", palette=Image.Palette.ADAPTIVE, colors=8)
    image.save(file, transparency=2)
    return np.where(np.asarray(image)[..., None] == 2, 255, np.asarray(image.convert("RGB")))


def one_bit(file):
    pixels = noise(8, 8) > 127
    Image.fromarray(pixels).save(file)
    return pixels * 255


def sixteen_bits(file):
    pixels = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1040
    Image.fromarray(pixels).save(file)
    return pixels / 257


def sixteen_bits_big_endian(file):
    pixels = np.arange(64).reshape(8, 8) * 1040
    file.write_bytes(b"P5 8 8 65535\n" + pixels.astype(">u2").tobytes())
    return pixels / 257


def cmyk(file):
    image = Image.fromarray(noise(8, 8, 3)).convert("CMYK")
    image.save(file)
    return np.asarray(image.convert("RGB"))


def turned(file):
    """Stored on its side; EXIF says so."""
    pixels, exif = noise(8, 8, 3), Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it
    Image.fromarray(np.rot90(pixels).copy()).save(file, exif=exif)
    return pixels


def moving(file):
    frames = [Image.fromarray(noise(8, 8, seed=seed)) for seed in range(3)]
    frames[0].save(file, save_all=True, append_images=frames[1:])
    return noise(8, 8)


KINDS = [
    (grey, "a.png"), (grey, "a.bmp"), (grey, "a.TIFF"), (grey, "a.pgm"), (grey, "a.jp2"), (grey, "a.gif"),
    (grey_and_alpha, "a.png"), (rgba, "a.png"), (rgba, "a.tif"), (palette, "a.png"), (palette, "a.gif"),
    (palette_with_a_hole, "a.png"), (palette_with_a_hole, "a.gif"), (one_bit, "a.png"),
    (sixteen_bits, "a.png"), (sixteen_bits, "a.tif"), (sixteen_bits_big_endian, "a.pgm"), (cmyk, "a.tif"),
    (turned, "a.png"), (turned, "a.tif"), (moving, "a.gif"), (moving, "a.tif"),
]  # fmt: skip


@pytest.mark.parametrize("make, name", KINDS, ids=[f"{make.__name__}-{name}" for make, name in KINDS])
def test_every_kind_of_file_has_the_right_pixels(tmp_path, make, name):
    (tmp_path / "p").mkdir()
    expected = make(tmp_path / "p" / name)
    found = levels(ImageFolder(tmp_path / "p"))
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1  # a blend may be rounded down
    if make in (sixteen_bits, sixteen_bits_big_endian):
        assert np.array_equal(found, expected.round())


@pytest.mark.parametrize("which", [0, 3])
def test_one_grey_file_turns_no_colour_grey_and_all_grey_have_one_channel(folder, which):
    before = ImageFolder(folder)[:]
    picture_of(folder / f"{which:03d}.png", "L", seed=which)
    after = ImageFolder(folder)[:]
    assert after.shape == before.shape and torch.equal(after[which, 0], after[which, 2])
    others = [number for number in range(6) if number != which]
    assert torch.equal(after[others], before[others])
    for number in range(6):
        picture_of(folder / f"{number:03d}.png", "LA" if number == 2 else "L", seed=number)
    assert ImageFolder(folder).shape == (6, 1, 8, 8)


def truncated(file):
    picture_of(file, size=(64, 64))
    file.write_bytes(file.read_bytes()[:3000])


def of_32_bits(mode):
    def make(file):
        file.unlink()
        Image.new(mode, (8, 8)).save(file.with_name("004.tif"))

    return make


def bomb(file):
    """A head that asks for 60,000 x 60,000 pixels."""
    content = bytearray(file.read_bytes())
    content[16:24] = 2 * (60_000).to_bytes(4, "big")
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    file.write_bytes(content)


def link_to_nothing(file):
    file.unlink()
    file.symlink_to("nowhere.png")


SPOILT = {
    "empty": (lambda file: file.write_bytes(b""), "004.png is damaged"),
    "truncated": (truncated, "004.png is damaged"),
    "text": (lambda file: file.write_text("no picture"), "004.png is damaged"),
    "integers": (of_32_bits("I"), "004.tif has 32-bit numbers .mode I..*whose range is not known"),
    "floats": (of_32_bits("F"), "004.tif has 32-bit numbers .mode F..*whose range is not known"),
    "bomb": (bomb, "004.png .*decompression bomb"),
    "larger": (lambda file: picture_of(file, size=(9, 8)), "004.png has 9x8 pixels and 000.png 8x8"),
    "link": (link_to_nothing, "004.png is damaged.*No such file"),
}


@pytest.mark.parametrize("spoil, complaint", SPOILT.values(), ids=SPOILT)
def test_a_file_that_cannot_be_used_is_named_in_one_line(folder, tmp_path, spoil, complaint):
    spoil(folder / "004.png")
    with pytest.raises(ValueError, match=complaint) as caught:
        ImageFolder(folder)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("runs/images/*.part")) and not list(tmp_path.glob("runs/images/*/*.npy"))


def test_the_first_of_several_faults_is_named_and_the_others_are_counted(folder):
    for number in (1, 3, 4):
        truncated(folder / f"{number:03d}.png")
    with pytest.raises(ValueError, match=r"001.png is damaged.* \(and 2 more of 6 files\)"):
        ImageFolder(folder, 8)


def test_nothing_is_enlarged(folder):
    with pytest.raises(ValueError, match=r"000.png has 8x8 pixels, fewer than size 9"):
        ImageFolder(folder, 9)


def test_what_is_hidden_or_no_picture_is_left_out(folder):
    before = ImageFolder(folder)
    (folder / "._000.png").write_bytes(b"\0\5\x16\7")
    picture_of(folder / ".thumbnails" / "000.png", size=(4, 4))
    for name in ("Thumbs.db", "readme.txt", "scene.eps", "data.h5"):
        (folder / name).write_text("x")
    after = ImageFolder(folder)
    assert after.skipped == 4 and after.sha256 == before.sha256 and after.file == before.file


def test_links_are_followed_but_not_in_circles(folder, tmp_path):
    picture_of(tmp_path / "elsewhere" / "x.png", seed=9)
    (folder / "b").symlink_to(tmp_path / "elsewhere")
    (folder / "a").mkdir()
    (folder / "a" / "up").symlink_to(folder)
    (tmp_path / "elsewhere" / "back").symlink_to(folder)
    found = ImageFolder(folder)
    assert len(found) == 7 and np.array_equal(levels(found, 6), noise(8, 8, 3, seed=9))


def test_classes_are_the_first_subfolders_where_every_image_lies_in_one(tmp_path):
    for number, name in enumerate(("dog/b.png", "dog/old/a.png", "cat/a.png", "newt/a.png")):
        picture_of(tmp_path / "p" / name, seed=number)
    found = ImageFolder(tmp_path / "p")
    assert found.classes == ("cat", "dog", "newt") and found.labels.tolist() == [0, 1, 1, 2]
    assert found.labels.dtype == torch.int64 and np.array_equal(levels(found, 0), noise(8, 8, 3, seed=2))
    x, labels = found.sample_labelled(50, Draws.seeded(0))
    assert all(any(torch.equal(one, found[i]) for i in range(4) if found.labels[i] == label)
               for one, label in zip(x, labels))  # fmt: skip
    picture_of(tmp_path / "p" / "loose.png")
    assert ImageFolder(tmp_path / "p").labels is None


def changed(file):
    """Other pixels; name, date and size are as before."""
    date, pixels = file.stat().st_mtime_ns, Image.open(file)
    size = file.stat().st_size
    pixels.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(file)
    file.write_bytes(file.read_bytes().ljust(size, b"\0"))
    os.utime(file, ns=(date, date))


@pytest.mark.parametrize(
    "change",
    [changed, lambda file: file.unlink(), lambda file: shutil.copy(file, file.with_name("006.png"))],
    ids=["changed", "removed", "added"],
)
def test_another_content_is_another_data_set(folder, change, monkeypatch):
    before = ImageFolder(folder)
    change(folder / "003.png")
    after = ImageFolder(folder)
    assert after.file != before.file and after.sha256 != before.sha256
    monkeypatch.setattr(cache, "_build", None)  # nothing is decoded again
    assert ImageFolder(folder).sha256 == after.sha256
    moved = folder.rename(folder.with_name("moved"))
    assert ImageFolder(moved).file == after.file


def test_a_size_is_part_of_what_is_kept(folder):
    assert ImageFolder(folder, 4).shape == (6, 3, 4, 4) and ImageFolder(folder).shape == (6, 3, 8, 8)


@pytest.mark.parametrize("size", [0, -1, 2.5, "64"])
def test_a_size_that_is_none_is_refused(folder, size):
    with pytest.raises(ValueError, match="size is .*: a whole number of pixels"):
        ImageFolder(folder, size)


def test_no_folder_and_no_images_are_one_line(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder .*nowhere"):
        ImageFolder(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="there is no folder .*000.png"):
        ImageFolder(folder / "000.png")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("a")
    with pytest.raises(FileNotFoundError, match=r"texts has no image files \(1 others\)"):
        ImageFolder(tmp_path / "texts")


def test_a_folder_has_an_address(folder, monkeypatch):
    found, labels = images.load(f"folder:{folder}@4", flip=True)
    assert found.flip and labels is None and torch.equal(found[:], ImageFolder(folder, 4)[:])
    assert images.splits(f"folder:{folder}") == ["all"] and images.shape(f"folder:{folder}@4") == (3, 4, 4)
    monkeypatch.chdir(folder.parent)
    assert images.load("folder:pictures")[0].sha256 == ImageFolder(folder).sha256
    with pytest.raises(ValueError, match="unknown split 'train' of folder:pictures; there are all"):
        images.load("folder:pictures", "train")
    with pytest.raises(ValueError, match="unknown image data set 'pictures'; .*folder:PATH@SIZE"):
        images.load("pictures")
