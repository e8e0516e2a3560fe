"""Stand-in objects: ten things that a child knows at 32 pixels, any size, drawn on demand.

Object i depends on i alone; its class is i % 10, a place in KINDS; all else varies freely.
Every drawing function draws in a frame from -1 to 1 (x to the right, y down) in which its thing is at rest.
"""

import numpy as np

from .pen import Colour, Dice, Pen, arc, box, ellipse, mix, palette
from .scenery import deep, land, room, sea, shadow, sky

SALT, NUMBERS = 1697, 64

PAINTS = palette("D9503F", "F2A23A", "F4CF4E", "5BA66B", "3C7FB8", "7B5CA6", "E0789A", "2FA3A0")
WARM = palette("D9503F", "F2A23A", "F4CF4E", "9A6BC0", "E0789A", "F3EEE6")
CATS = palette("E8A054", "8C8C95", "3E3A44", "F1E4D0", "A9744A")
GREENS = palette("4E9B4B", "3F8458", "78B04A", "C98A3A")
WOOD, WHITE, INK, GLASS, RED, CREAM = palette("8A5A38", "FFFFFF", "2A2730", "BFE6F5", "C8413B", "F5E8D0")
PINK, GOLD, RUBBER, SCREEN, FOAM, RAIN = palette("F08FA0", "F6CE52", "38363E", "3C6FA0", "C2E8EE", "3C7FB8")


def picture(index: int, size: int) -> np.ndarray:
    """Object number index before its scenery as uint8 [3, size, size]."""
    dice = Dice(SALT, index, NUMBERS)
    draw_kind, scene, turn = list(KINDS.values())[index % len(KINDS)]
    paint = dice.choose(WARM if draw_kind in (_flower, _fish) else PAINTS)
    second = dice.choose([colour for colour in PAINTS if colour != paint])
    paint = mix(paint, dice.choose((WHITE, INK)), dice.between(0, 0.15))
    pen = scene(dice, size)
    x, y = dice.between(-0.14, 0.14), dice.between(-0.08, 0.08)
    pen.frame(x, y, dice.between(0.76, 0.98), turn * dice.between(-1, 1), dice.chance(0.5))
    draw_kind(pen, dice, paint, second)
    return pen.pixels()


def _car(pen: Pen, dice: Dice, paint: Colour, second: Colour):
    shadow(pen, 0.66, 0.95)
    high = dice.between(-0.4, -0.28)
    pen.polygon([(-0.62, 0.1), (-0.42, high), (0.2, high), (0.5, 0.1)], paint)
    pen.polygon([(-0.48, 0.08), (-0.34, high + 0.11), (-0.12, high + 0.11), (-0.12, 0.08)], GLASS)
    pen.polygon([(-0.02, 0.08), (-0.02, high + 0.11), (0.15, high + 0.11), (0.35, 0.08)], GLASS)
    pen.tinted(box(0, 0.28, 0.92, 0.25), paint, box(0, 0.5, 1.0, 0.12), INK, 0.4, 0.05)
    pen.line([(-0.8, 0.17), (0.75, 0.17)], 0.06, mix(paint, WHITE, 0.55))
    pen.ellipse(0.85, 0.25, 0.07, 0.08, GOLD)
    for x in (-0.5, 0.5):
        pen.ellipse(x, 0.5, 0.23, 0.23, RUBBER)
        pen.ellipse(x, 0.5, 0.1, 0.1, mix(WHITE, RUBBER, 0.15))


def _boat(pen: Pen, dice: Dice, paint: Colour, second: Colour):
    pen.line([(0, 0.4), (0, -0.95)], 0.09, WOOD)
    tall = dice.between(-0.95, -0.8)
    pen.polygon([(0.07, tall), (0.72, 0.2), (0.07, 0.2)], mix(WHITE, second, 0.1))
    pen.polygon([(0.07, -0.12), (0.44, -0.12), (0.72, 0.2), (0.07, 0.2)], second)
    pen.polygon([(-0.07, tall + 0.2), (-0.55, 0.2), (-0.07, 0.2)], mix(WHITE, INK, 0.08))
    hull = [(-0.82, 0.32), (0.88, 0.32), (0.55, 0.74), (-0.52, 0.74)]
    pen.tinted(hull, paint, box(0, 0.75, 1, 0.18), INK, 0.4, 0.06)
    pen.line([(-0.75, 0.36), (0.8, 0.36)], 0.08, mix(paint, WHITE, 0.6))
    for x in (-0.75, -0.25, 0.25, 0.75):
        pen.line(arc(x, 0.66, 0.25, 0.12, 0.3, 0.7), 0.1, FOAM)


def _house(pen: Pen, dice: Dice, paint: Colour, second: Colour):
    shadow(pen, 0.76, 0.8)
    wall, wide = mix(paint, WHITE, 0.6), dice.between(0.58, 0.7)
    pen.polygon([(0.25, -0.85), (0.45, -0.85), (0.45, -0.2), (0.25, -0.2)], mix(RED, INK, 0.3))
    front = [(-wide, -0.1), (wide, -0.1), (wide, 0.78), (-wide, 0.78)]
    pen.tinted(front, wall, box(0, 0, wide, 0.12), INK, 0.35, 0.05)
    roof = [(-wide - 0.2, 0), (0, dice.between(-0.85, -0.7)), (wide + 0.2, 0)]
    pen.tinted(roof, paint, [(0.1, -0.9), (1, 0.1), (0.3, 0.1)], INK, 0.35, 0.06)
    pen.polygon([(-0.38, 0.78), (-0.38, 0.28), (-0.1, 0.28), (-0.1, 0.78)], WOOD)
    pen.polygon([(0.12, 0.2), (0.46, 0.2), (0.46, 0.52), (0.12, 0.52)], WHITE)
    pen.polygon([(0.17, 0.25), (0.41, 0.25), (0.41, 0.47), (0.17, 0.47)], dice.choose((GLASS, GOLD)))


def _tree(pen: Pen, dice: Dice, paint: Colour, second: Colour):
    shadow(pen, 0.82, 0.5)
    pen.polygon([(-0.12, 0.2), (0.12, 0.2), (0.17, 0.84), (-0.17, 0.84)], WOOD)
    green = dice.choose(GREENS)
    if dice.chance(0.4):
        for y, wide in ((0.45, 0.68), (0.05, 0.54), (-0.35, 0.4)):
            layer = [(-wide, y), (0, y - 0.65), (wide, y)]
            pen.tinted(layer, green, box(0.3, y + 0.05, 0.5, 0.2), INK, 0.4, 0.07)
        return
    for x, y, radius in ((-0.4, 0, 0.38), (0.4, 0, 0.38), (0, -0.4, 0.48), (0, 0.05, 0.4)):
        pen.ellipse(x, y, radius, radius, mix(green, INK, 0.15 if y > -0.2 else 0))
    pen.soft(ellipse(-0.15, -0.4, 0.3, 0.25), WHITE, 0.35, 0.1)
    if dice.chance(0.6):
        for x, y in ((-0.45, 0.05), (-0.1, -0.5), (0.1, -0.05), (0.5, 0), (0.25, -0.45)):
            pen.ellipse(x, y, 0.085, 0.085, RED)


def _flower(pen: Pen, dice: Dice, paint: Colour, second: Colour):
    green = GREENS[0]
    pen.line([(0, -0.2), (0.03, 0.4), (0, 1.3)], 0.12, green)
    for side in (-1, 1):
        pen.ellipse(side * 0.27, 0.62, 0.28, 0.11, mix(green, WHITE, 0.1), side * -0.5)
    count, first = dice.choose((5, 6, 8)), dice.between(0, 1)
    for k in range(count):
        turn = 2 * np.pi * (k + first) / count
        x, y = 0.36 * np.sin(turn), -0.25 - 0.36 * np.cos(turn)
        pen.ellipse(x, y, 1.1 / count + 0.04, 0.32, mix(paint, WHITE, 0.12 * (k % 2)), turn)
    pen.soft(ellipse(0, -0.25, 0.3, 0.3), INK, 0.3, 0.08)
    pen.ellipse(0, -0.25, 0.22, 0.22, GOLD if paint[2] > 90 else WOOD)
    pen.soft(ellipse(-0.05, -0.3, 0.08, 0.08), WHITE, 0.6, 0.04)


def _fish(pen: Pen, dice: Dice, paint: Colour, second: Colour):
    dark = mix(paint, INK, 0.25)
    pen.polygon([(-0.45, 0), (-0.95, -0.42), (-0.82, 0), (-0.95, 0.42)], dark)
    pen.polygon([(-0.25, -0.3), (-0.1, -0.68), (0.35, -0.3)], dark)
    pen.polygon([(-0.1, 0.3), (-0.1, 0.58), (0.25, 0.3)], dark)
    body = ellipse(0.1, 0, 0.68, dice.between(0.38, 0.48))
    pen.polygon(body, paint)
    if dice.chance(0.65):
        for x in (-0.25, 0.08):
            pen.polygon([(x - 0.07, -0.33), (x + 0.07, -0.36), (x + 0.1, 0.36), (x - 0.04, 0.33)], second)
    pen.soft(ellipse(0.1, 0.4, 0.7, 0.25), INK, 0.3, 0.08, body)
    pen.soft(ellipse(0.15, -0.25, 0.4, 0.1), WHITE, 0.5, 0.06, body)
    pen.ellipse(0.46, -0.08, 0.15, 0.15, WHITE)
    pen.ellipse(0.49, -0.08, 0.08, 0.08, INK)
    for x, y in ((0.88, -0.35), (0.8, -0.62)):
        pen.ellipse(x, y, 0.08, 0.08, mix(GLASS, WHITE, 0.5))


def _cat(pen: Pen, dice: Dice, paint: Colour, second: Colour):
    fur = dice.choose(CATS)
    dark, light = mix(fur, INK, 0.4), mix(fur, WHITE, 0.55)
    for side in (-1, 1):
        pen.polygon([(side * 0.78, -0.05), (side * 0.72, -0.92), (side * 0.12, -0.5)], fur)
        pen.polygon([(side * 0.66, -0.3), (side * 0.64, -0.72), (side * 0.32, -0.48)], PINK)
    pen.tinted(ellipse(0, 0.1, 0.82, 0.7), fur, ellipse(0, 0.75, 0.8, 0.25), INK, 0.25, 0.1)
    if dice.chance(0.6):
        for x in (-0.2, 0, 0.2):
            pen.line([(x, -0.52), (x * 0.8, -0.32)], 0.1, dark)
    iris = dice.choose((GREENS[2], GOLD, PAINTS[4]))
    for side in (-1, 1):
        pen.ellipse(side * 0.36, 0, 0.19, 0.2, mix(iris, WHITE, 0.35))
        pen.ellipse(side * 0.36, 0, 0.09, 0.18, INK)
        pen.ellipse(side * 0.36 + 0.06, -0.08, 0.05, 0.05, WHITE)
        pen.ellipse(side * 0.15, 0.42, 0.2, 0.15, light)
        pen.line([(side * 0.45, 0.38), (side * 0.95, 0.28)], 0.04, light)
        pen.line([(side * 0.45, 0.46), (side * 0.95, 0.52)], 0.04, light)
    pen.polygon([(-0.12, 0.25), (0.12, 0.25), (0, 0.4)], PINK)


def _airplane(pen: Pen, dice: Dice, paint: Colour, second: Colour):
    dark = mix(paint, INK, 0.3)
    pen.polygon([(0.45, -0.15), (-0.12, -0.68), (-0.38, -0.68), (-0.05, -0.1)], dark)
    pen.polygon([(-0.4, -0.12), (-0.78, -0.72), (-1.0, -0.72), (-0.85, 0)], paint)
    body = [*arc(0.45, 0, 0.5, 0.26, 0, 0.5), (-0.45, 0.22), (-0.98, -0.08), (-0.8, -0.22)]
    pen.tinted(body, mix(WHITE, paint, 0.05), box(0, 0.27, 1, 0.12), INK, 0.4, 0.05)
    pen.polygon([(0.68, -0.2), (0.86, -0.12), (0.9, -0.02), (0.68, -0.02)], SCREEN)
    for x in (-0.45, -0.2, 0.05, 0.3, 0.52):
        pen.ellipse(x, -0.07, 0.07, 0.07, SCREEN)
    pen.polygon([(0.4, 0.06), (-0.42, 0.74), (-0.68, 0.74), (-0.22, 0.06)], paint)
    pen.polygon([(-0.55, 0.02), (-1.0, 0.28), (-1.12, 0.28), (-0.85, 0.0)], dark)


def _mushroom(pen: Pen, dice: Dice, paint: Colour, second: Colour):
    shadow(pen, 0.82, 0.45)
    wide = dice.between(0.2, 0.28)
    stem = [(-wide, -0.05), (wide, -0.05), (wide + 0.1, 0.78), (0, 0.86), (-wide - 0.1, 0.78)]
    pen.tinted(stem, CREAM, box(0, 0.05, 0.5, 0.1), INK, 0.45, 0.06)
    cap = [*arc(0, 0.05, 0.85, 0.9, -0.25, 0.25), *arc(0, 0.03, 0.85, 0.16, 0.25, 0.75)]
    pen.tinted(cap, paint, ellipse(0.2, 0.25, 0.9, 0.25), INK, 0.35, 0.1)
    for x, y, radius in ((-0.45, -0.2, 0.12), (0, -0.5, 0.15), (0.42, -0.22, 0.14), (-0.05, -0.05, 0.1)):
        pen.ellipse(x, y, radius, radius * 0.9, WHITE)


def _umbrella(pen: Pen, dice: Dice, paint: Colour, second: Colour):
    if dice.chance(0.6):
        for x, y in ((-0.9, 0.3), (-0.5, 0.75), (0.6, 0.4), (0.9, 0.8), (-0.3, 0.35), (0.45, 0.85)):
            pen.line([(x, y), (x - 0.04, y + 0.14)], 0.06, RAIN)
    pen.line([(0, -0.9), (0, 0.62), *arc(0.14, 0.62, 0.14, 0.18, 0.75, 0.3, 8)], 0.1, WOOD)
    dome = arc(0, 0.1, 0.92, 0.9, -0.25, 0.25, 25)
    edge = np.linspace(dome[-1], dome[0], 25)
    edge[:, 1] -= 0.12 * np.abs(np.sin(np.linspace(0, 4 * np.pi, 25)))  # four arches
    canopy = [*dome, *edge]
    pen.polygon(canopy, paint)
    for first in (0, 12):
        pen.polygon([(0, -0.8), *edge[first : first + 7]], second)
    pen.soft(ellipse(0.5, 0, 0.5, 0.6), INK, 0.25, 0.15, canopy)
    pen.soft(ellipse(-0.35, -0.4, 0.2, 0.2), WHITE, 0.4, 0.1, canopy)


# what draws each class, before what, and how far it turns at most (radians)
KINDS = {
    "car": (_car, land, 0.06),
    "boat": (_boat, sea, 0.12),
    "house": (_house, land, 0.05),
    "tree": (_tree, land, 0.06),
    "flower": (_flower, land, 0.15),
    "fish": (_fish, deep, 0.25),
    "cat": (_cat, room, 0.15),
    "airplane": (_airplane, sky, 0.3),
    "mushroom": (_mushroom, land, 0.06),
    "umbrella": (_umbrella, land, 0.2),
}
