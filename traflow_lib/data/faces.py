"""Stand-in portraits: cartoon faces of any size, drawn on demand, with CelebA's names for what they show.

Face i depends on i alone. Its class i % 8 is Smiling + 2 Eyeglasses + 4 Wearing_Hat; all else varies freely.
Coordinates are those of the head: its centre is the origin, the crown at about y = -1 and the chin at y = 1.
"""

from dataclasses import dataclass

import numpy as np

from .pen import CIRCLE, Colour, Dice, Pen, along, arc, ellipse, mix, palette

CLASS_ATTRIBUTES = ("Smiling", "Eyeglasses", "Wearing_Hat")  # worth 1, 2 and 4
CLASSES = 8
SALT, NUMBERS = 2502, 64

SKIN = palette("FBE0CC", "F3C9A5", "E2AC7E", "C78B5E", "9A6340", "704532")
HAIR = dict(
    zip(
        ("black", "brown", "chestnut", "auburn", "blond", "gray", "rose"),
        palette("2C2530", "553526", "7D4B2D", "AE5527", "E6BC66", "BDBAC2", "DE7F9B"),
        strict=True,
    )
)
WALLS = palette("F6D7B0", "BFE0D4", "C9D6F0", "F3C6C4", "DCCBEA", "F7E7A9", "A9D3E8", "CFE3B4")
CLOTHES = palette("3E6C8F", "D9605A", "4F9D83", "F0A94B", "6F5A94", "E7E3DA", "39424E", "C9789B")
IRISES = palette("4B2E1E", "6B4423", "3F6E9A", "4E7F4D", "5A6B78")
FRAMES = palette("26242B", "7A2E2E", "2E4A7A", "8A6A2F", "4A4A4A")
GOLD, WHITE, INK, ROSE, LIPSTICK = palette("F0C552", "FFFFFF", "2A2028", "E8736C", "C93A4C")
STYLES = ("short", "parted", "curly", "bob", "long", "wavy", "bun")
LONG = ("bob", "long", "wavy", "bun")
HATS = ("cap", "beanie", "fedora", "straw")


@dataclass
class Look:
    """What a face shows and where."""

    smiling: bool
    glasses: bool
    hat: str | None
    style: str  # of STYLES, or bald
    bangs: bool
    beard: str | None
    lipstick: bool
    earrings: bool
    rosy: bool
    open_mouth: bool
    hair_name: str
    skin: Colour
    hair: Colour
    iris: Colour
    wall: tuple[Colour, Colour]
    clothes: Colour
    hat_colour: Colour
    frame: Colour
    round_glasses: bool
    shift: tuple[float, float]
    scale: float
    tilt: float
    yaw: float
    width: float
    jaw: float
    eye_gap: float
    eye_size: float
    gaze: tuple[float, float]
    brow: float
    nose: float
    mouth: float
    light: int

    def head(self, grow: float = 0.0) -> np.ndarray:
        """The outline [40, 2] of the head, grown by a margin."""
        x, y = CIRCLE.T
        narrow = 1 - self.jaw * np.clip(y, 0, 1) ** 2 * 0.5
        return np.stack([x * narrow * (self.width + grow), y * (0.95 + grow)], 1)

    def eyes(self) -> np.ndarray:
        """The centres [2, 2] of both eyes, at one height and as far from the middle of the features."""
        return np.array([[self.yaw - self.eye_gap, 0.08], [self.yaw + self.eye_gap, 0.08]])


def look(index: int) -> Look:
    """How face number index looks."""
    dice = Dice(SALT, index, NUMBERS)
    smiling, glasses, hat = (bool(index % CLASSES >> bit & 1) for bit in range(3))
    style = dice.choose(STYLES)
    if dice.chance(0.1) and not hat:
        style = "bald"
    long = style in LONG
    kinds = ("full", "goatee", "mustache")
    beard = dice.choose(kinds) if dice.chance(0.0 if long else 0.5) else None
    hair_name = dice.choose(list(HAIR)[:6] if dice.chance(0.93) else ["rose"])
    wall = dice.choose(WALLS)
    skin = along(SKIN, dice.between(0, 1))
    return Look(
        smiling=smiling,
        glasses=glasses,
        hat=dice.choose(HATS) if hat else None,
        style=style,
        bangs=dice.chance(0.45) and style in LONG + ("short",) and not hat,
        beard=beard,
        lipstick=dice.chance(0.6) and long,
        earrings=dice.chance(0.5 if long else 0.15),
        rosy=dice.chance(0.5),
        open_mouth=dice.chance(0.55) if smiling else dice.chance(0.15),
        hair_name=hair_name,
        skin=skin,
        hair=mix(HAIR[hair_name], dice.choose((WHITE, INK)), dice.between(0, 0.12)),
        iris=dice.choose(IRISES),
        wall=(mix(wall, WHITE, dice.between(0.1, 0.5)), mix(wall, dice.choose(WALLS), 0.5)),
        clothes=mix(dice.choose(CLOTHES), wall, dice.between(0, 0.25)),
        hat_colour=dice.choose(CLOTHES),
        frame=dice.choose(FRAMES),
        round_glasses=dice.chance(0.6),
        shift=(dice.between(-0.08, 0.08), dice.between(-0.03, 0.05) + (0.08 if hat else 0)),
        scale=dice.between(0.57, 0.66),
        tilt=dice.between(-0.14, 0.14),
        yaw=dice.between(-0.1, 0.1),
        width=dice.between(0.78, 0.9),
        jaw=dice.between(0.15, 0.55),
        eye_gap=dice.between(0.31, 0.37),
        eye_size=dice.between(0.15, 0.185),
        gaze=(dice.between(-1, 1), dice.between(-0.6, 0.6)),
        brow=dice.between(-0.5, 0.6),
        nose=dice.between(0.7, 1.3),
        mouth=dice.between(0.8, 1.15),
        light=dice.choose((-1, 1)),
    )


def attributes(index: int) -> dict[str, bool]:
    """What face number index shows, under CelebA's names."""
    face = look(index)
    haired = face.style != "bald"
    return {
        "Bald": not haired,
        "Bangs": face.bangs,
        "Black_Hair": haired and face.hair_name == "black",
        "Blond_Hair": haired and face.hair_name == "blond",
        "Brown_Hair": haired and face.hair_name in ("brown", "chestnut"),
        "Eyeglasses": face.glasses,
        "Goatee": face.beard == "goatee",
        "Gray_Hair": haired and face.hair_name == "gray",
        "Mouth_Slightly_Open": face.open_mouth,
        "Mustache": face.beard in ("mustache", "full"),
        "No_Beard": face.beard in (None, "mustache"),
        "Rosy_Cheeks": face.rosy,
        "Smiling": face.smiling,
        "Wavy_Hair": face.style in ("curly", "wavy"),
        "Wearing_Earrings": face.earrings,
        "Wearing_Hat": face.hat is not None,
        "Wearing_Lipstick": face.lipstick,
    }


def labels(index: np.ndarray) -> np.ndarray:
    """Classes int64 [n]: Smiling + 2 Eyeglasses + 4 Wearing_Hat."""
    return np.asarray(index, np.int64) % CLASSES


def draw(index: np.ndarray, size: int) -> np.ndarray:
    """The faces numbered index [n] (integers from 0), uint8 [n, 3, size, size]."""
    return np.stack([portrait(look(int(i)), size) for i in index])


def portrait(face: Look, size: int) -> np.ndarray:
    """One face as uint8 [3, size, size], from the wall behind it to the hat before it."""
    pen = Pen(size, *face.wall)
    pen.soft(ellipse(0, -0.1, 0.75, 0.75), WHITE, 0.5, 0.3)
    pen.frame(face.shift[0], face.shift[1] + 0.04, face.scale)
    hair_behind(pen, face)
    shoulders(pen, face)
    pen.frame(face.shift[0], face.shift[1] + 0.04, face.scale, face.tilt)
    ears(pen, face)
    skin(pen, face)
    if face.beard:
        beard(pen, face)
    mouth(pen, face)
    nose(pen, face)
    for side, (x, y) in zip((-1, 1), face.eyes(), strict=True):
        eye(pen, face, x, y, side)
    hair_before(pen, face)
    if face.glasses:
        glasses(pen, face)
    if face.hat:
        hat(pen, face)
    return pen.pixels()


def hair_behind(pen: Pen, face: Look):
    """Long hair, bun or curls, behind head and shoulders."""
    dark = mix(face.hair, INK, 0.3)
    if face.style == "bob":
        pen.polygon(np.concatenate([arc(0, -0.1, face.width + 0.2, 0.95, -0.28, 0.28), [(face.width + 0.22, 0.75), (-face.width - 0.22, 0.75)]]), dark)
    elif face.style in ("long", "wavy"):
        pen.polygon(np.concatenate([arc(0, -0.1, face.width + 0.2, 0.95, -0.28, 0.28), [(face.width + 0.3, 1.5), (-face.width - 0.3, 1.5)]]), dark)
        if face.style == "wavy":
            for side in (-1, 1):
                for y in (0.1, 0.5, 0.9, 1.3):
                    pen.ellipse(side * (face.width + 0.17), y, 0.22, 0.26, dark)
    elif face.style == "bun" and not face.hat:
        pen.ellipse(0, -1.15, 0.34, 0.3, dark)
        pen.ellipse(-0.05 * face.light, -1.2, 0.24, 0.2, face.hair)
    elif face.style == "curly":
        for x, y in arc(0, -0.25, face.width + 0.12, 0.8, -0.33, 0.33, 11):
            pen.ellipse(x, y, 0.27, 0.27, dark)


def shoulders(pen: Pen, face: Look):
    """Neck, shirt and collar."""
    shade = mix(face.skin, SKIN[-1], 0.35)
    body = ellipse(0, 2.05, 1.35, 0.95)
    pen.polygon(body, face.clothes)
    pen.soft(ellipse(-0.9 * face.light, 2.0, 0.7, 0.9), INK, 0.25, 0.2, body)
    pen.ellipse(0, 1.2, 0.42, 0.22, mix(face.clothes, WHITE, 0.35))
    pen.polygon([(-0.3, 0.6), (0.3, 0.6), (0.33, 1.15), (0, 1.36), (-0.33, 1.15)], shade)


def ears(pen: Pen, face: Look):
    """Both ears, with rings in them."""
    shade = mix(face.skin, SKIN[-1], 0.3)
    for side in (-1, 1):
        x = side * face.width * 0.98
        pen.ellipse(x, 0.14, 0.15, 0.2, face.skin)
        pen.ellipse(x, 0.15, 0.08, 0.12, shade)
        if face.earrings:
            pen.ellipse(x + side * 0.03, 0.44, 0.1, 0.1, GOLD)
            pen.ellipse(x + side * 0.01, 0.41, 0.04, 0.04, WHITE)


def skin(pen: Pen, face: Look):
    """The head, softly shaded on the side away from the light, and its cheeks."""
    head = face.head()
    pen.polygon(head, mix(face.skin, SKIN[-1], 0.3))
    pen.soft(face.head(-0.06) + (0.1 * face.light, -0.06), mix(face.skin, WHITE, 0.06), 1, 0.1, head)
    if face.rosy:
        for x, _ in face.eyes():
            pen.soft(ellipse(x * 1.3, 0.4, 0.16, 0.12), ROSE, 0.7, 0.07, head)


def eye(pen: Pen, face: Look, x: float, y: float, side: int):
    """One eye with its brow; side is -1 for the left one in the picture."""
    size = face.eye_size
    pen.ellipse(x, y, size * 1.08, size * 1.12, WHITE)
    at_x, at_y = x + face.gaze[0] * size * 0.32, y + face.gaze[1] * size * 0.3
    pen.ellipse(at_x, at_y, size * 0.72, size * 0.76, face.iris)
    pen.ellipse(at_x, at_y, size * 0.42, size * 0.45, INK)
    pen.ellipse(at_x + 0.05 * face.light, at_y - 0.055, 0.055, 0.055, WHITE)
    lid = arc(x, y + 0.01, size * 1.1, size * 1.15, -0.23, 0.23)
    pen.line(lid, 0.06, mix(INK, face.skin, 0.15))
    if face.lipstick:
        end = lid[-1 if side > 0 else 0]
        pen.line([end, end + (side * 0.08, -0.07)], 0.05, INK)
    lift = 0.05 * face.brow * side
    brow = [(x - 0.19, y - 0.31 + lift), (x, y - 0.36), (x + 0.19, y - 0.31 - lift)]
    pen.line(brow, 0.08, mix(face.hair if face.hair_name != "blond" else HAIR["chestnut"], INK, 0.35))


def nose(pen: Pen, face: Look):
    """A nose with a light on it."""
    x, shade = face.yaw * 1.5, mix(face.skin, SKIN[-1], 0.4)
    pen.ellipse(x, 0.36, 0.1 * face.nose, 0.09, shade)
    pen.ellipse(x + 0.02 * face.light, 0.335, 0.085 * face.nose, 0.08, mix(face.skin, WHITE, 0.12))


def mouth(pen: Pen, face: Look):
    """Lips: a smile, a laugh, a line or a small o."""
    x, wide = face.yaw * 1.2, 0.3 * face.mouth
    lip = LIPSTICK if face.lipstick else mix(mix(face.skin, ROSE, 0.45), INK, 0.35)
    if face.smiling and face.open_mouth:
        pen.polygon(arc(x, 0.55, wide + 0.04, 0.31, 0.25, 0.75), lip)
        pen.polygon(arc(x, 0.58, wide - 0.02, 0.22, 0.25, 0.75), mix(LIPSTICK, INK, 0.65))
        pen.polygon([(x - wide + 0.03, 0.58), (x + wide - 0.03, 0.58), (x + wide - 0.09, 0.66), (x - wide + 0.09, 0.66)], WHITE)
    elif face.smiling:
        pen.line(arc(x, 0.52, wide, 0.18, 0.3, 0.7), 0.09, lip)
    elif face.open_mouth:
        pen.ellipse(x, 0.65, 0.11, 0.1, lip)
        pen.ellipse(x, 0.65, 0.06, 0.055, mix(LIPSTICK, INK, 0.65))
    else:
        pen.line([(x - wide * 0.6, 0.65), (x, 0.64), (x + wide * 0.6, 0.65)], 0.1 if face.lipstick else 0.075, lip)


def beard(pen: Pen, face: Look):
    """A full beard, a goatee or a moustache."""
    x, hair = face.yaw * 1.2, mix(face.hair, INK, 0.12)
    if face.beard == "full":
        outer, inner = face.head(0.05), arc(x, 0.2, face.width * 0.72, 0.34, 0.75, 0.25)
        lower = outer[(outer[:, 1] > 0.1)]
        pen.polygon(np.concatenate([lower, inner]), hair)
        pen.ellipse(x, 0.66, 0.34 * face.mouth, 0.15, face.skin)
    if face.beard == "goatee":
        pen.ellipse(x, 0.88, 0.24, 0.17, hair)
    if face.beard in ("full", "mustache"):
        for side in (-1, 1):
            pen.ellipse(x + side * 0.14, 0.49, 0.18, 0.07, hair, side * 0.25)


def hair_before(pen: Pen, face: Look):
    """The hair over the forehead, with a gleam."""
    if face.style == "bald":
        pen.soft(ellipse(0.25 * face.light, -0.65, 0.22, 0.1), WHITE, 0.7, 0.05, face.head())
        return
    out = face.width + 0.08
    crown = arc(0, -0.08, out, 0.98, -0.27, 0.27, 24)
    part = 0.4 * face.light
    if face.bangs:
        line = [(out - 0.12, 0.1), (out - 0.2, -0.28), (0.3, -0.22), (0.2, -0.3), (-0.1, -0.2), (-0.25, -0.3), (0.2 - out, -0.24), (0.12 - out, 0.1)]
    elif face.style in ("short", "parted", "bun"):
        line = [(out - 0.1, -0.1), (out - 0.22, -0.4), (part, -0.62 if face.style == "parted" else -0.5), (0.22 - out, -0.4), (0.1 - out, -0.1)]
    else:
        line = [(out - 0.1, 0.15), (out - 0.2, -0.25), (part, -0.72), (0.2 - out, -0.25), (0.1 - out, 0.15)]
    outline = np.concatenate([crown, line])
    pen.polygon(outline, face.hair)
    if face.style == "curly":
        for x, y in arc(0, -0.1, face.width * 0.85, 0.72, -0.22, 0.22, 8):
            pen.ellipse(x, y, 0.2, 0.2, face.hair)
    gleam = arc(0, -0.05, out * 0.75, 0.78, 0.02, 0.16) * (face.light, 1)
    pen.soft(np.concatenate([gleam, gleam[::-1] * 0.85]), WHITE, 0.5, 0.04, outline)


def glasses(pen: Pen, face: Look):
    """Two lenses level with the eyes, bridge and temples."""
    (left, y), (right, _) = face.eyes()
    wide, high = min(face.eye_gap - 0.05, 0.3), 0.27 if face.round_glasses else 0.22
    for side, x in ((-1, left), (1, right)):
        lens = ellipse(x, y, wide, high) if face.round_glasses else box(x, y, wide, high)
        pen.soft(lens, WHITE, 0.22, 0.01)
        pen.line([*lens, lens[0]], 0.07, face.frame)
        pen.line([(x + side * wide, y), (side * face.width, y - 0.04)], 0.07, face.frame)
    pen.line([(left + wide, y - 0.02), (right - wide, y - 0.02)], 0.07, face.frame)


def box(x: float, y: float, width: float, height: float) -> np.ndarray:
    """Corners [40, 2] of a rectangle with round corners."""
    return np.sign(CIRCLE) * np.abs(CIRCLE) ** 0.5 * (width, height) + (x, y)


def hat(pen: Pen, face: Look):
    """A cap, a woollen hat, a fedora or a straw hat."""
    colour = mix(GOLD, WHITE, 0.35) if face.hat == "straw" else face.hat_colour
    dark, light, out = mix(colour, INK, 0.35), mix(colour, WHITE, 0.35), face.width + 0.13
    if face.hat in ("cap", "beanie"):
        dome = np.concatenate([arc(0, -0.38, out, 0.85, -0.25, 0.25), [(-out, -0.38)]])
    else:
        dome = np.array([(-out * 0.8, -0.45), (-out * 0.7, -1.15), (-0.3, -1.28), (0, -1.2), (0.3, -1.28), (out * 0.7, -1.15), (out * 0.8, -0.45)])
    pen.polygon(dome, colour)
    pen.soft(dome * (0.6, 1) + (-0.35 * face.light, 0), INK, 0.3, 0.15, dome)
    if face.hat == "cap":
        pen.ellipse(0.12 * face.light, -0.42, out, 0.17, dark)
        pen.ellipse(0, -1.22, 0.09, 0.06, dark)
    elif face.hat == "beanie":
        pen.line([(-out, -0.42), (0, -0.48), (out, -0.42)], 0.3, light)
        pen.ellipse(0, -1.28, 0.2, 0.2, light)
    else:
        pen.line([(-out * 0.75, -0.6), (0, -0.64), (out * 0.75, -0.6)], 0.2, INK if face.hat == "fedora" else face.hat_colour)
        pen.ellipse(0, -0.45, out * (1.25 if face.hat == "fedora" else 1.45), 0.13, light if face.hat == "straw" else dark)
