"""Where an object stands, swims or flies: each scene chooses its colours and details and gives its pen."""

from .pen import Dice, Pen, box, ellipse, mix, palette

SKIES = (  # top and bottom: at noon, in the morning, in the evening, in the mist
    palette("7FC3EE", "DDF1FA"),
    palette("8FB4E8", "F6DCCB"),
    palette("F3B58E", "FBE7B5"),
    palette("9CD6DA", "F1F4D8"),
)
GROUNDS = palette("7DBB5E", "96C46A", "D9C07F", "B7A07C", "EEF3F6", "6FA886")
SEAS = (palette("5EC4D6", "1F6FA8"), palette("7AD0C0", "2A7F94"), palette("6FA9E6", "2B4C9B"))
WALLS = palette("F0B8AE", "F9DDB0", "B9DCC0", "AFCBE6", "D2C3E4", "F2C6D2", "A9DAD6")
WHITE, INK, GOLD, SAND, WEED = palette("FFFFFF", "2A2730", "F6CE52", "D9C07F", "3F8458")


def sky(dice: Dice, size: int) -> Pen:
    """Clouds, and the sun perhaps."""
    pen = Pen(size, *dice.choose(SKIES))
    if dice.chance(0.3):
        x, y = dice.choose((-0.7, 0.7)), dice.between(-0.8, -0.6)
        pen.soft(ellipse(x, y, 0.3, 0.3), WHITE, 0.7, 0.15)
        pen.ellipse(x, y, 0.17, 0.17, GOLD)
    for _ in range(2):
        x, y, wide = dice.between(-1, 1), dice.between(-0.85, -0.3), dice.between(0.2, 0.35)
        pen.soft(ellipse(x, y, wide, 0.09), WHITE, 0.9, 0.05)
        pen.soft(ellipse(x + 0.1, y - 0.08, wide * 0.5, 0.1), WHITE, 0.9, 0.05)
    return pen


def land(dice: Dice, size: int) -> Pen:
    """A hill below a sky, with tufts or stones."""
    pen = sky(dice, size)
    ground, line = dice.choose(GROUNDS), dice.between(0.3, 0.5)
    pen.ellipse(dice.between(-1, 1), line + 1.3, 2.2, 1.5, mix(ground, SKIES[0][0], 0.35))
    hill = ellipse(dice.between(-0.4, 0.4), line + 2, 3.2, 1.9)
    pen.tinted(hill, ground, box(0, 1.1, 1.6, 0.35), INK, 0.25, 0.15)
    for _ in range(5):
        x, y = dice.between(-0.95, 0.95), dice.between(line + 0.25, 0.95)
        pen.ellipse(x, y, 0.07, 0.03, mix(ground, dice.choose((WHITE, INK)), 0.25))
    return pen


def sea(dice: Dice, size: int) -> Pen:
    """Water up to the horizon."""
    pen = sky(dice, size)
    light, deep = dice.choose(SEAS)
    pen.polygon([(-1, 0.3), (1, 0.3), (1, 1.1), (-1, 1.1)], light)
    pen.soft(box(0, 1.1, 1.6, 0.5), deep, 0.8, 0.2)
    return pen


def deep(dice: Dice, size: int) -> Pen:
    """Under water, with sand and bubbles."""
    pen = Pen(size, *dice.choose(SEAS))
    pen.ellipse(dice.between(-0.6, 0.6), 1.5, 2.2, 0.75, SAND)
    for x in (dice.between(-0.95, -0.7), dice.between(0.7, 0.95)):
        pen.line([(x, 1), (x + 0.06, 0.75), (x - 0.03, 0.5), (x + 0.03, 0.3)], 0.12, WEED)
    return pen


def room(dice: Dice, size: int) -> Pen:
    """A wall in a soft colour."""
    wall = dice.choose(WALLS)
    return Pen(size, wall, mix(wall, dice.choose(WALLS), 0.3), glow=0.4)


def shadow(pen: Pen, y: float, wide: float):
    """The shadow of a thing on the ground."""
    pen.soft(ellipse(0, y, wide, 0.1), INK, 0.45, 0.06)
