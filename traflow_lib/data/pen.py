"""A pen for small pictures: shapes in a frame that can be moved, scaled and turned, anti-aliased by Pillow.

Everything is drawn at FINER times the size and then averaged, so that a picture of half the size is, but for
rounding, the mean of 2 x 2 of its pixels. Colours are (red, green, blue) from 0 to 255.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from .drawn import uniform

FINER = 4
Colour = tuple[int, int, int]
_ANGLES = np.linspace(0, 2 * np.pi, 40, endpoint=False)
CIRCLE = np.stack([np.sin(_ANGLES), -np.cos(_ANGLES)], 1)  # from the top, clockwise


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """The colour that lies the share (0..1) of the way from a to b."""
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b))
    return red, green, blue


def palette(*codes: str) -> list[Colour]:
    """Colours of hexadecimal codes like F9DCC8."""
    return [(red, green, blue) for red, green, blue in map(bytes.fromhex, codes)]


def along(colours: Sequence[Colour], place: float) -> Colour:
    """The colour at a place (0..1) of a scale of colours."""
    place *= len(colours) - 1
    first = min(int(place), len(colours) - 2)
    return mix(colours[first], colours[first + 1], place - first)


class Dice:
    """Random choices that depend on (salt, index) alone, one number after another."""

    def __init__(self, salt: int, index: int, count: int):
        self.numbers = iter(uniform(salt, np.array([index]), count)[0].tolist())

    def between(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * next(self.numbers)

    def chance(self, share: float) -> bool:
        """True for this share of the indices."""
        return next(self.numbers) < share

    def choose(self, choices: Sequence):
        """One of the choices, all equally often."""
        return choices[int(next(self.numbers) * len(choices))]


class Pen:
    """Draws on a square picture whose frame runs from -1 to 1, x to the right and y down.

    It is shaded from the colour at the top to that at the bottom, lighter in the middle by glow.
    """

    def __init__(self, size: int, top: Colour, bottom: Colour, glow: float = 0):
        self.fine = size * FINER
        middle = (np.arange(size) + 0.5) / size
        down = middle[:, None, None]
        wall = np.array(top) + (np.array(bottom, float) - top) * down
        if glow:
            far = (middle - 0.5) ** 2 + (middle[:, None] - 0.45) ** 2
            wall = wall + (255 - wall) * (glow * np.clip(1 - 4 * far, 0, 1)[..., None])
        pixels = np.broadcast_to(np.rint(wall), (size, size, 3)).astype(np.uint8)
        self.image = Image.fromarray(pixels).resize((self.fine, self.fine), Image.Resampling.NEAREST)
        self.on = ImageDraw.Draw(self.image)
        self.frame()

    def frame(self, x: float = 0, y: float = 0, scale: float = 1, turn: float = 0, flip: bool = False):
        """Later points are scaled, turned (radians, clockwise), mirrored if asked and moved to (x, y)."""
        self.matrix = _turned(turn) * scale
        if flip:
            self.matrix[0] *= -1
        self.origin, self.scale = np.array([x, y]), scale

    def _pixels(self, points, size: int) -> np.ndarray:
        """Points [n, 2] of the frame as the nearest pixels (column, row) of a picture of this size."""
        half = size / 2
        return np.rint(np.asarray(points, float) @ (self.matrix * half) + (self.origin * half + half - 0.5))

    def polygon(self, points, colour: Colour):
        """A filled polygon with corners [n, 2]."""
        self.on.polygon(self._pixels(points, self.fine).ravel().tolist(), fill=colour)

    def ellipse(self, x: float, y: float, width: float, height: float, colour: Colour, turn: float = 0):
        """A filled ellipse by its centre and half axes, turned clockwise by radians."""
        self.polygon(ellipse(x, y, width, height, turn), colour)

    def line(self, points, width: float, colour: Colour):
        """A line through points [n, 2] with round ends and joints."""
        radius = width * self.scale * self.fine / 4
        pixels = self._pixels(points, self.fine).ravel().tolist()
        self.on.line(pixels, fill=colour, width=max(round(2 * radius), 1), joint="curve")
        for x, y in (pixels[:2], pixels[-2:]):
            self.on.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

    def soft(self, points, colour: Colour, strength: float, blur: float, inside=None):
        """Tints a polygon with a blurred edge (blur in units of the frame), only inside another polygon."""
        coarse = self.fine // FINER
        radius = blur * self.scale * coarse / 2
        corners = self._pixels(points, coarse)
        limit = None if inside is None else self._pixels(inside, self.fine)
        low, high = corners.min(0) - 2 * radius - 1, corners.max(0) + 2 * radius + 2
        if limit is not None:
            low, high = np.maximum(low, limit.min(0) // FINER), np.minimum(high, limit.max(0) // FINER + 1)
        low, high = np.clip([low, high], 0, coarse).astype(int)
        wide, tall = high - low
        if min(wide, tall) < 1:
            return
        mask = Image.new("L", (wide, tall))
        ImageDraw.Draw(mask).polygon((corners - low).ravel().tolist(), fill=round(255 * strength))
        mask = mask.filter(ImageFilter.GaussianBlur(radius))
        mask = mask.resize((wide * FINER, tall * FINER), Image.Resampling.BILINEAR)
        if limit is not None:
            inner = Image.new("L", mask.size)
            ImageDraw.Draw(inner).polygon((limit - low * FINER).ravel().tolist(), fill=255)
            mask = ImageChops.multiply(mask, inner)
        self.image.paste(colour, tuple(low * FINER), mask)

    def tinted(self, points, colour: Colour, place, tint: Colour, strength: float, blur: float):
        """A filled polygon with corners [n, 2], tinted where the soft polygon `place` covers it."""
        self.polygon(points, colour)
        self.soft(place, tint, strength, blur, inside=points)

    def pixels(self) -> np.ndarray:
        """The picture as uint8 [3, size, size]."""
        return np.asarray(self.image.reduce(FINER)).transpose(2, 0, 1)


def ellipse(x: float, y: float, width: float, height: float, turn: float = 0) -> np.ndarray:
    """Corners [40, 2] of an ellipse, from its top clockwise."""
    return CIRCLE * (width, height) @ _turned(turn) + (x, y)


def _turned(turn: float) -> np.ndarray:
    """The matrix [2, 2] that turns rows (x, y) clockwise by radians."""
    cosine, sine = np.cos(turn), np.sin(turn)
    return np.array([[cosine, sine], [-sine, cosine]])


def arc(
    x: float, y: float, width: float, height: float, start: float, stop: float, count: int = 16
) -> np.ndarray:
    """Points [count, 2] of an ellipse between two angles in turns, clockwise from the top."""
    angles = np.linspace(start, stop, count) * 2 * np.pi
    return np.stack([x + width * np.sin(angles), y - height * np.cos(angles)], 1)


def box(x: float, y: float, width: float, height: float) -> np.ndarray:
    """Corners [40, 2] of a rectangle with round corners."""
    return np.sign(CIRCLE) * np.abs(CIRCLE) ** 0.5 * (width, height) + (x, y)


def mirrored(right) -> np.ndarray:
    """An outline that is symmetric about x = 0, from the points [n, 2] of its right half, top to bottom."""
    right = np.asarray(right, float)
    return np.concatenate([right, right[::-1] * (-1, 1)])
