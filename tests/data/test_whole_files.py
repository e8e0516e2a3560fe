"""A damaged or cut picture is never used, whatever Pillow thinks of it; a whole one always is."""

import io
import zlib

import numpy as np
import pytest
from image_files import noise
from PIL import Image

from traflow_lib.data.folder import ImageFolder

pytestmark = pytest.mark.usefixtures("generated_files")
# of an interlaced PNG: first column and row, and the distance to the next (Adam7)
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
COLOURS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # channels of PNG's colour types


def png(levels, colours, depth=8, interlaced=False, rows=None, **chunks) -> bytes:
    """A PNG of levels [H, W, channels], row by row as its specification says; rows: the pixels' stream."""
    height, width = levels.shape[:2]
    head = np.array([width, height], ">u4").tobytes() + bytes([depth, colours, 0, 0, interlaced])
    parts = [levels[y::dy, x::dx] for x, y, dx, dy in PASSES] if interlaced else [levels]
    rows = rows or b"".join(b"\0" + packed(row, depth) for part in parts if part.size for row in part)
    body = {b"IHDR": head, **{name.encode(): chunk for name, chunk in chunks.items()}}
    body |= {b"IDAT": zlib.compress(rows), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(chunk).to_bytes(4, "big") + name + chunk + zlib.crc32(name + chunk).to_bytes(4, "big")
        for name, chunk in body.items()
    )


def packed(row, depth: int) -> bytes:
    if depth == 16:
        return row.astype(">u2").tobytes()
    bits = np.unpackbits(row.astype(np.uint8).reshape(-1, 1), axis=1)[:, 8 - depth :]
    return np.packbits(bits).tobytes()


@pytest.fixture
def read(tmp_path):
    """The pixels 0..255, [C, H, W], of a file of one image."""

    def found(content: bytes, name: str = "a.png") -> np.ndarray:
        (tmp_path / name).write_bytes(content)
        return ((ImageFolder(tmp_path)[0].double() + 1) * 127.5).round().numpy()

    return found


def levels(colours: int, depth: int, size=(5, 7)) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.integers(0, 2**depth, (*size, COLOURS[colours]))


KINDS = [
    (colours, depth, interlaced)
    for colours, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}.items()
    for depth in depths
    for interlaced in (False, True)
]


@pytest.mark.parametrize("colours, depth, interlaced", KINDS)
def test_a_whole_png_of_every_kind_is_read(colours, depth, interlaced, read):
    given, palette = levels(colours, depth), noise(256, 3)[: 2**depth]
    found = read(
        png(given, colours, depth, interlaced, **({"PLTE": palette.tobytes()} if colours == 3 else {}))
    )
    if colours == 3:
        assert np.array_equal(found, palette[given[..., 0]].transpose(2, 0, 1))
        return
    eight = given * 255 / (2**depth - 1)
    colour = eight[..., : 1 if colours in (0, 4) else 3]
    share = eight[..., -1:] / 255 if colours in (4, 6) else 1
    expected = (colour * share + 255 * (1 - share)).transpose(2, 0, 1)
    assert np.abs(found - expected).max() <= 2  # Pillow's upper 8 of 16 bits


@pytest.mark.parametrize("colours, interlaced", [(0, False), (2, True), (3, False), (4, True)])
def test_no_cut_and_no_changed_byte_of_a_png_gives_other_pixels(colours, interlaced, read):
    chunks = {"PLTE": noise(256, 3).tobytes()} if colours == 3 else {}
    content = png(levels(colours, 8), colours, interlaced=interlaced, **chunks)
    whole = read(content)
    assert np.array_equal(read(content + b"what a camera leaves behind"), whole)
    spoilt = [content[:end] for end in range(len(content))]
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        spoilt.append(bytes(changed))
    accepted = []
    for one in spoilt:
        try:
            accepted.append(read(one))
        except ValueError as error:
            assert "a.png is damaged" in str(error)
    # the last chunk, which is empty, may be spoilt
    assert len(accepted) <= 12 and all(np.array_equal(one, whole) for one in accepted)


def test_a_png_of_fewer_pixels_than_it_says_is_named(read):
    with pytest.raises(ValueError, match="a.png is damaged.*truncated"):
        read(png(levels(2, 8), 2, rows=bytes(5 * 11)))


def test_a_jpeg_without_its_end_is_named(read):
    """Cut, or with zeros to its end as after a broken copy; and with a thumbnail that ends itself."""
    stream, small = io.BytesIO(), io.BytesIO()
    Image.fromarray(noise(8, 8, 3)).save(small, "JPEG")
    Image.fromarray(noise(64, 64, 3)).save(stream, "JPEG", comment=small.getvalue())
    content = stream.getvalue()
    assert read(content + b"\xff\xda a film", "a.jpg").shape == (3, 64, 64)
    for end in range(len(content) // 2, len(content) - 1, 97):
        for spoilt in (content[:end], content[:end] + bytes(len(content) - end)):
            with pytest.raises(ValueError, match=r"a.jpg is damaged.*it has no end"):
                read(spoilt, "a.jpg")


@pytest.mark.parametrize("colours, depth, key", [(0, 1, [0]), (0, 1, [1]), (0, 8, [100]), (2, 8, [1, 2, 3])])
def test_other_transparent_levels_are_white(colours, depth, key, tmp_path):
    given = np.zeros((4, 4, COLOURS[colours]), int)
    given[0] = key
    (tmp_path / "a.png").write_bytes(png(given, colours, depth, tRNS=np.array(key, ">u2").tobytes()))
    found = ImageFolder(tmp_path)[0]
    assert (found[:, 0] == 1).all() and ((found[:, 1:] == -1).all() or key == [0])


@pytest.mark.parametrize(
    "colours, depth, key", [(0, 2, [1]), (0, 4, [5]), (0, 16, [1000]), (2, 16, [1000, 2000, 3000])]
)
def test_a_transparent_level_that_pillow_mistakes_is_refused(colours, depth, key, read):
    given = np.full((4, 4, COLOURS[colours]), key)
    with pytest.raises(ValueError, match="a.png marks a level of .* as transparent; save it in 8 bits"):
        read(png(given, colours, depth, tRNS=np.array(key, ">u2").tobytes()))


@pytest.mark.parametrize("entries", [0, 1, 3])
def test_colours_that_a_palette_lacks_are_named(entries, read):
    chunk = {"PLTE": noise(entries, 3).tobytes()} if entries else {}
    with pytest.raises(ValueError, match="a.png (has colours that its palette lacks|is damaged)"):
        read(png(np.full((4, 4, 1), entries), 3, **chunk))


def test_grey_with_alpha_is_grey_in_8_and_in_16_bits(tmp_path):
    for depth in (8, 16):
        (tmp_path / f"{depth}.png").write_bytes(png(levels(4, depth), 4, depth))
    assert ImageFolder(tmp_path).shape == (2, 1, 5, 7)
