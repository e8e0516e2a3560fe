"""Whether an image file is whole: PNG and JPEG hold more than Pillow asks of them."""

import zlib
from collections.abc import Iterator
from struct import unpack

from .readers import require

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of PNG's colour types
# of an interlaced PNG: first column and row, and the distance to the next (Adam7)
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def require_whole(image, content: bytes) -> None:
    """ValueError if a file, just opened by Pillow, is damaged or cut where Pillow may not notice.

    PNG: every chunk's checksum, and that of the pixels, of which all are there. JPEG has no checksums: only
    its end is looked for. What other formats lack, Pillow says.
    """
    if image.format == "PNG":
        found = list(_chunks(content))
        _require_all_rows(found[0][1], b"".join(body for name, body in found if name == b"IDAT"))
    elif image.format == "JPEG":  # read up to its first scan; thumbnails before it have ends of their own
        require(content.find(b"\xff\xd9", image.fp.tell()) > 0, "it has no end")


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    place, name = 8, b""
    while name != b"IEND":
        body = place + 8 + int.from_bytes(content[place : place + 4])
        name, check = content[place + 4 : place + 8], int.from_bytes(content[body : body + 4])
        require(len(content) >= body + 4, "it ends before its last chunk")
        require(zlib.crc32(content[place + 4 : body]) == check, f"its chunk {name!r} has another checksum")
        yield name, content[place + 8 : body]
        place = body + 4


def _require_all_rows(head: bytes, packed: bytes) -> None:
    """(Width, height, depth, colour type, .., interlaced), and the pixels as zlib packed them."""
    width, height, depth, colours, *_, interlaced = unpack(">IIBBBBB", head)
    passes = PASSES if interlaced else ((0, 0, 1, 1),)
    sizes = [(-((x - width) // dx), -((y - height) // dy)) for x, y, dx, dy in passes]
    size = sum(
        down * (1 + -(-across * depth * CHANNELS[colours] // 8)) for across, down in sizes if across > 0
    )
    stream = zlib.decompressobj()
    found = len(stream.decompress(packed, size + 1))
    require(stream.eof and found == size, f"its pixels take {size:,} bytes; found {found:,} or no checksum")
