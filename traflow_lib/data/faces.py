"""What the stand-in faces show, and where; portraits.py draws them.

Face i depends on i alone. Its class i % 8 is, in CelebA's words, Smiling + 2 Eyeglasses + 4 Wearing_Hat; all
else varies freely.
Coordinates are those of the head: its centre is the origin, the crown at about y = -1 and the chin at y = 1.
"""

import numpy as np

from .pen import CIRCLE, Colour, Dice, along, mix, palette

CLASSES = 8
SALT, NUMBERS = 2502, 64

SKIN = palette("FBE0CC", "F3C9A5", "E2AC7E", "C78B5E", "9A6340", "704532")
HAIR_NAMES = ("black", "brown", "chestnut", "auburn", "blond", "gray")
HAIR = dict(zip(HAIR_NAMES, palette("2C2530", "553526", "7D4B2D", "AE5527", "E6BC66", "BDBAC2")))
WALLS = palette("F6D7B0", "BFE0D4", "C9D6F0", "F3C6C4", "DCCBEA", "F7E7A9", "A9D3E8", "CFE3B4")
CLOTHES = palette("3E6C8F", "D9605A", "4F9D83", "F0A94B", "6F5A94", "E7E3DA", "39424E", "C9789B")
IRISES = palette("4B2E1E", "6B4423", "3F6E9A", "4E7F4D", "5A6B78")
FRAMES = palette("26242B", "7A2E2E", "2E4A7A", "8A6A2F", "4A4A4A")
WHITE, INK, ROSE = palette("FFFFFF", "2A2028", "DE7F9B")
STYLES = ("short", "parted", "spiky", "curly", "bob", "long", "wavy", "bun")
LONG = ("bob", "long", "wavy", "bun")
HATS = ("cap", "beanie", "fedora", "straw")


class Look:
    """What face number index shows and where."""

    def __init__(self, index: int):
        dice = Dice(SALT, index, NUMBERS)
        self.smiling, self.glasses, hat = (bool(index % CLASSES >> bit & 1) for bit in range(3))
        self.style: str = dice.choose(STYLES)
        if dice.chance(0.1) and not hat:
            self.style = "bald"
        long = self.style in LONG
        kinds = ("full", "goatee", "mustache")
        self.beard = dice.choose(kinds) if dice.chance(0.0 if long else 0.5) else None
        wall = dice.choose(WALLS)
        self.skin = along(SKIN, dice.between(0, 1))
        natural = [name for name in HAIR if name == "black" or _contrast(HAIR[name], self.skin) > 130]
        self.hair_name = "rose" if dice.chance(0.06) and long else dice.choose(natural)
        self.hat = dice.choose(HATS) if hat else None
        self.bangs = dice.chance(0.45) and self.style in (*LONG, "short") and not hat
        self.lipstick = dice.chance(0.6) and long
        self.earrings = dice.chance(0.5 if long else 0.15)
        self.rosy = dice.chance(0.5)
        self.open_mouth = dice.chance(0.55 if self.smiling else 0.15)
        self.tie = dice.chance(0.35) and not long
        self.stripes = dice.chance(0.3)
        self.hair = mix(HAIR.get(self.hair_name, ROSE), dice.choose((WHITE, INK)), dice.between(0, 0.12))
        self.iris = dice.choose(IRISES)
        self.wall = (mix(wall, WHITE, dice.between(0, 0.35)), mix(wall, dice.choose(WALLS), 0.5))
        self.clothes = mix(dice.choose(CLOTHES), wall, dice.between(0, 0.2))
        self.hat_colour = dice.choose(CLOTHES)
        self.frame = dice.choose(FRAMES)
        self.round_glasses = dice.chance(0.6)
        self.shift = (dice.between(-0.08, 0.08), dice.between(0.01, 0.09) + (0.08 if hat else 0))
        self.scale = dice.between(0.6, 0.69)
        self.tilt = dice.between(-0.14, 0.14)
        self.yaw = dice.between(-0.1, 0.1)
        self.width = dice.between(0.78, 0.9)
        self.jaw = dice.between(0.15, 0.55)
        self.eye_gap = dice.between(0.31, 0.37)
        self.eye_size = dice.between(0.15, 0.185)
        self.gaze = (dice.between(-1, 1), dice.between(-0.6, 0.6))
        self.brow = dice.between(-0.6, 0.2)
        self.nose = dice.between(0.7, 1.3)
        self.mouth = dice.between(0.8, 1.15)
        self.light = dice.choose((-1, 1))

    def head(self, grow: float = 0.0) -> np.ndarray:
        """The outline [40, 2] of the head, grown by a margin."""
        x, y = CIRCLE.T
        narrow = 1 - self.jaw * np.clip(y, 0, 1) ** 2 * 0.5
        return np.stack([x * narrow * (self.width + grow), y * (0.95 + grow)], 1)

    def eyes(self) -> np.ndarray:
        """The centres [2, 2] of both eyes, at one height and as far from the middle of the features."""
        return np.array([[self.yaw - self.eye_gap, 0.08], [self.yaw + self.eye_gap, 0.08]])


def _contrast(a: Colour, b: Colour) -> int:
    return sum(abs(x - y) for x, y in zip(a, b))
