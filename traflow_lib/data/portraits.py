"""Stand-in portraits: cartoon faces of any size, drawn on demand in the coordinates of faces.py."""

import numpy as np

from .faces import Look
from .pen import Pen, arc, box, ellipse, mirrored, mix, palette

WHITE, INK, BROWN, GOLD = palette("FFFFFF", "2A2028", "5E3626", "F0C552")
ROSE, LIPSTICK, WINE = palette("E8736C", "C93A4C", "8A2F38")


def portrait(face: Look, size: int) -> np.ndarray:
    """One face as uint8 [3, size, size], from the wall behind it to the hat before it."""
    pen = Pen(size, *face.wall, glow=0.45)
    pen.frame(*face.shift, face.scale)
    _hair_behind(pen, face)
    _shoulders(pen, face)
    pen.frame(*face.shift, face.scale, face.tilt)
    _ears(pen, face)
    _skin(pen, face)
    if face.beard:
        _beard(pen, face)
    _mouth(pen, face)
    _nose(pen, face)
    for side, (x, y) in zip((-1, 1), face.eyes(), strict=True):
        _eye(pen, face, x, y, side)
    _hair_before(pen, face)
    if face.glasses:
        _glasses(pen, face)
    if face.hat:
        _hat(pen, face)
    return pen.pixels()


def _hair_behind(pen: Pen, face: Look):
    dark = mix(face.hair, INK, 0.3)
    if face.style in ("bob", "long", "wavy"):
        below = 0.6 if face.style == "bob" else 1.6
        top = arc(0, -0.1, face.width + 0.2, 0.95, -0.28, 0.28)
        pen.polygon([*top, *arc(0, below, face.width + 0.24, 0.2, 0.25, 0.75)], dark)
        if face.style == "wavy":
            for side in (-1, 1):
                for y in (0.1, 0.5, 0.9, 1.3):
                    pen.ellipse(side * (face.width + 0.17), y, 0.22, 0.26, dark)
    elif face.style == "bun" and not face.hat:
        pen.ellipse(0, -1.15, 0.34, 0.3, dark)
        pen.ellipse(-0.05 * face.light, -1.2, 0.24, 0.2, face.hair)
    elif face.style == "curly":
        for x, y in arc(0, -0.25, face.width + 0.12, 0.8, -0.33, 0.33, 11):
            if not face.hat or y > -0.75:
                pen.ellipse(x, y, 0.27, 0.27, dark)


def _shoulders(pen: Pen, face: Look):
    shade = mix(face.skin, BROWN, 0.35)
    fold = ellipse(-0.9 * face.light, 2.0, 0.7, 0.9)
    pen.tinted(ellipse(0, 2.05, 1.35, 0.95), face.clothes, fold, INK, 0.25, 0.2)
    light = mix(face.clothes, WHITE, 0.45)
    if face.stripes:
        for inset in (0.2, 0.42):
            pen.line(arc(0, 2.05, 1.35 - inset, 0.95 - inset, -0.2, 0.2), 0.09, light)
    pen.ellipse(0, 1.2, 0.42, 0.22, light)
    pen.polygon(mirrored([(0.3, 0.6), (0.33, 1.15), (0, 1.3)]), shade)
    if face.tie:
        pen.polygon(mirrored([(0, 1.28), (0.34, 1.08), (0.4, 1.3), (0, 1.5)]), WHITE)
        pen.polygon(mirrored([(0.1, 1.26), (0.07, 1.36), (0.15, 1.8)]), face.hat_colour)


def _ears(pen: Pen, face: Look):
    shade = mix(face.skin, BROWN, 0.3)
    for side in (-1, 1):
        x = side * face.width * 0.98
        pen.ellipse(x, 0.14, 0.15, 0.2, face.skin)
        pen.ellipse(x, 0.15, 0.08, 0.12, shade)
        if face.earrings:
            pen.ellipse(x + side * 0.03, 0.44, 0.1, 0.1, GOLD)
            pen.ellipse(x + side * 0.01, 0.41, 0.04, 0.04, WHITE)


def _skin(pen: Pen, face: Look):
    head, lit = face.head(), face.head(-0.06) + (0.1 * face.light, -0.06)
    pen.tinted(head, mix(face.skin, BROWN, 0.3), lit, mix(face.skin, WHITE, 0.06), 1, 0.1)
    if face.rosy:
        for x, _ in face.eyes():
            pen.soft(ellipse(x * 1.3, 0.4, 0.16, 0.12), ROSE, 0.7, 0.07, head)


def _eye(pen: Pen, face: Look, x: float, y: float, side: int):
    """One eye with its brow; side is -1 for the left one in the picture."""
    size = face.eye_size
    pen.ellipse(x, y, size * 1.08, size * 1.12, WHITE)
    at_x, at_y = x + face.gaze[0] * size * 0.32, y + face.gaze[1] * size * 0.3
    pen.ellipse(at_x, at_y, size * 0.72, size * 0.76, face.iris)
    pen.ellipse(at_x, at_y, size * 0.42, size * 0.45, INK)
    pen.ellipse(at_x + 0.05 * face.light, at_y - 0.055, 0.055, 0.055, WHITE)
    lid = arc(x, y + 0.01, size * 1.1, size * 1.15, -0.23, 0.23, 8)
    pen.line(lid, 0.06, mix(INK, face.skin, 0.15))
    if face.lipstick:
        end = lid[-1 if side > 0 else 0]
        pen.line([end, end + (side * 0.08, -0.07)], 0.05, INK)
    lift = 0.05 * face.brow * side
    brow = [(x - 0.19, y - 0.31 + lift), (x, y - 0.36), (x + 0.19, y - 0.31 - lift)]
    pen.line(brow, 0.08, mix(face.hair, INK, 0.7))


def _nose(pen: Pen, face: Look):
    x, shade = face.yaw * 1.5, mix(face.skin, BROWN, 0.4)
    pen.ellipse(x, 0.36, 0.1 * face.nose, 0.09, shade)
    pen.ellipse(x + 0.02 * face.light, 0.335, 0.085 * face.nose, 0.08, mix(face.skin, WHITE, 0.12))


def _mouth(pen: Pen, face: Look):
    x, wide = face.yaw * 1.2, 0.3 * face.mouth
    lip = LIPSTICK if face.lipstick else mix(face.skin, WINE if sum(face.skin) > 380 else ROSE, 0.6)
    if face.smiling and face.open_mouth:
        pen.polygon(arc(x, 0.55, wide + 0.04, 0.31, 0.25, 0.75), lip)
        pen.polygon(arc(x, 0.58, wide - 0.02, 0.22, 0.25, 0.75), mix(LIPSTICK, INK, 0.65))
        pen.polygon(mirrored([(wide - 0.03, 0.58), (wide - 0.09, 0.66)]) + (x, 0), WHITE)
    elif face.smiling:
        pen.line(arc(x, 0.52, wide, 0.18, 0.3, 0.7, 9), 0.09, lip)
    elif face.open_mouth:
        pen.ellipse(x, 0.65, 0.11, 0.1, lip)
        pen.ellipse(x, 0.65, 0.06, 0.055, mix(LIPSTICK, INK, 0.65))
    else:
        closed = [(x - wide * 0.6, 0.65), (x, 0.64), (x + wide * 0.6, 0.65)]
        pen.line(closed, 0.1 if face.lipstick else 0.075, lip)


def _beard(pen: Pen, face: Look):
    x, hair = face.yaw * 1.2, mix(face.hair, INK, 0.12)
    if face.beard == "full":
        outer = face.head(0.05)
        pen.polygon([*outer[outer[:, 1] > 0.1], *arc(x, 0.2, face.width * 0.72, 0.34, 0.75, 0.25)], hair)
        pen.ellipse(x, 0.66, 0.34 * face.mouth, 0.15, face.skin)
    if face.beard == "goatee":
        pen.ellipse(x, 0.88, 0.24, 0.17, hair)
    if face.beard in ("full", "mustache"):
        for side in (-1, 1):
            pen.ellipse(x + side * 0.14, 0.49, 0.18, 0.07, hair, side * 0.25)


def _hair_before(pen: Pen, face: Look):
    if face.style == "bald":
        pen.soft(ellipse(0.25 * face.light, -0.65, 0.22, 0.1), WHITE, 0.7, 0.05, face.head())
        return
    out = face.width + 0.08
    crown = arc(0, -0.08, out, 0.98, -0.27, 0.27, 25)
    if face.style == "spiky" and not face.hat:
        crown[5:-5:2] *= 1.14
    part = 0.4 * face.light
    if face.bangs:
        line = [(out - 0.12, 0.1), (out - 0.2, -0.28), (0.3, -0.22), (0.2, -0.3), (-0.1, -0.2), (-0.25, -0.3)]
        line += [(0.2 - out, -0.24), (0.12 - out, 0.1)]
    elif face.style in ("short", "parted", "spiky", "bun"):
        middle = (part, -0.62 if face.style == "parted" else -0.5)
        line = [(out - 0.1, -0.1), (out - 0.22, -0.4), middle, (0.22 - out, -0.4), (0.1 - out, -0.1)]
    else:
        line = [(out - 0.1, 0.15), (out - 0.2, -0.25), (part, -0.72), (0.2 - out, -0.25), (0.1 - out, 0.15)]
    outline = [*crown, *line]
    pen.polygon(outline, face.hair)
    if face.style == "curly":
        for x, y in arc(0, -0.1, face.width * 0.85, 0.72, -0.17, 0.17, 7):
            pen.ellipse(x, y, 0.2, 0.2, face.hair)
    gleam = arc(0, -0.05, out * 0.75, 0.78, 0.02, 0.16) * (face.light, 1)
    pen.soft([*gleam, *gleam[::-1] * 0.85], WHITE, 0.5, 0.04, outline)


def _glasses(pen: Pen, face: Look):
    (left, y), (right, _) = face.eyes()
    wide, high = min(face.eye_gap - 0.05, 0.3), 0.27 if face.round_glasses else 0.22
    for side, x in ((-1, left), (1, right)):
        lens = ellipse(x, y, wide, high) if face.round_glasses else box(x, y, wide, high)
        pen.soft(lens, WHITE, 0.22, 0.01)
        inner = (lens - (x, y)) * 0.78 + (x, y)
        pen.polygon([*lens, lens[0], *inner, inner[0]], face.frame)
        pen.line([(x + side * wide, y), (side * face.width, y - 0.04)], 0.07, face.frame)
    pen.line([(left + wide, y - 0.02), (right - wide, y - 0.02)], 0.07, face.frame)


def _hat(pen: Pen, face: Look):
    colour = mix(GOLD, WHITE, 0.35) if face.hat == "straw" else face.hat_colour
    dark, light, out = mix(colour, INK, 0.35), mix(colour, WHITE, 0.35), face.width + 0.13
    if face.hat in ("cap", "beanie"):
        dome = np.array([*arc(0, -0.38, out, 0.85, -0.25, 0.25), (-out, -0.38)])
    else:
        dome = mirrored([(0, -1.2), (0.3, -1.28), (out * 0.7, -1.15), (out * 0.8, -0.45)])
    pen.tinted(dome, colour, dome * (0.6, 1) + (-0.35 * face.light, 0), INK, 0.3, 0.15)
    if face.hat == "cap":
        pen.ellipse(0.3 * face.light, -0.42, out, 0.16, dark)
        pen.ellipse(0, -1.22, 0.09, 0.06, dark)
    elif face.hat == "beanie":
        pen.line([(-out, -0.42), (0, -0.48), (out, -0.42)], 0.3, light)
        pen.ellipse(0, -1.28, 0.2, 0.2, light)
    else:
        band, brim = (face.hat_colour, light) if face.hat == "straw" else (INK, dark)
        pen.line([(-out * 0.75, -0.6), (0, -0.64), (out * 0.75, -0.6)], 0.2, band)
        pen.ellipse(0, -0.45, out * (1.36 if face.hat == "straw" else 1.25), 0.13, brim)
