"""Stand-in images without end: one of six shapes before a shaded background, of any size and channels.

Image i depends on i alone, to the last bit: its random numbers are a hash of it, and pixels are
made by operations that IEEE 754 rounds in one way only. Shapes vary in kind (the label), place, size, angle
and colour; edges are anti-aliased.
"""

import numpy as np

KINDS = ("disc", "ring", "square", "triangle", "cross", "crescent")
BLOCK = 16  # images drawn at a time: the working arrays stay in the processor's cache


def _mix(x: np.ndarray) -> np.ndarray:
    """A hash of 64 bits: splitmix64 (Steele et al., Fast Splittable Pseudorandom Number Generators, 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def uniform(seed: int, index: np.ndarray, count: int) -> np.ndarray:
    """[n, count] numbers in [0, 1) that depend on (seed, index) alone."""
    step = np.uint64(0x9E3779B97F4A7C15)
    stream = _mix(_mix(np.array([seed], np.uint64) + step) + step * index.astype(np.uint64))
    bits = _mix(stream[:, None] + step * np.arange(1, count + 1, dtype=np.uint64))
    return (bits >> np.uint64(11)) * 2.0**-53


def kinds(index: np.ndarray) -> np.ndarray:
    """Labels int64 [n] of the images with these numbers: the place of their shape in KINDS."""
    return (uniform(0, index, 1)[:, 0] * len(KINDS)).astype(np.int64)


def _distance(kind: int, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Signed distance (negative inside) from points in the frame of a shape of radius about 1."""
    if KINDS[kind] == "square":
        return np.maximum(abs(u), abs(v)) - 0.8
    if KINDS[kind] == "triangle":
        return np.maximum(abs(u) * np.float32(3**0.5 / 2) + v / 2, -v) - 0.55
    if KINDS[kind] == "cross":
        a, b = abs(u), abs(v)
        return np.minimum(np.maximum(a - 1, b - 0.3), np.maximum(b - 1, a - 0.3))
    radius = np.sqrt(u * u + v * v)
    if KINDS[kind] == "ring":
        return abs(radius - 0.8) - 0.2
    if KINDS[kind] == "crescent":
        return np.maximum(radius - 1, 0.8 - np.sqrt((u - 0.5) ** 2 + v * v))
    return radius - 0.9


def draw(index: np.ndarray, size: int, channels: int = 3) -> np.ndarray:
    """The images numbered index [n] (integers from 0), uint8 [n, channels, size, size]."""
    index = np.asarray(index)
    pixels = np.empty((len(index), channels, size, size), np.uint8)
    for start in range(0, len(index), BLOCK):
        pixels[start : start + BLOCK] = _block(index[start : start + BLOCK], size, channels)
    return pixels


def _block(index: np.ndarray, size: int, channels: int) -> np.ndarray:
    number = uniform(0, index, 7 + 3 * channels).astype(np.float32)[:, :, None, None]
    kind = kinds(index)
    scale, x, y, turn, half, slope = number[:, 1:7].swapaxes(0, 1)
    dark, light, contrast = (number[:, 7 + k * channels : 7 + (k + 1) * channels] for k in range(3))
    grid = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    across, down = grid[None, None, :], grid[None, :, None]

    radius = 0.25 + 0.3 * scale
    # a rational parametrisation of the half circle: sine and cosine are not rounded alike everywhere
    tangent, side = 2 * turn - 1, np.where(half < 0.5, radius, -radius)
    cosine, sine = (1 - tangent * tangent) / (1 + tangent * tangent), 2 * tangent / (1 + tangent * tangent)
    right, below = (across - (x - 0.5)) / side, (down - (y - 0.5)) / side
    u, v = cosine * right + sine * below, cosine * below - sine * right
    distance = np.empty((len(index), size, size), np.float32)
    for k in np.unique(kind):
        distance[kind == k] = _distance(k, u[kind == k], v[kind == k])
    cover = np.clip(0.5 - distance * radius * (size / 2), 0, 1)[:, None]  # of a pixel, what lies inside

    shade = (0.5 + 0.5 * (slope * across + (1 - slope) * down))[:, None]
    background = dark + (light - dark) * 0.5 * (shade + 0.5)
    colour = 0.5 * (dark + light) + 0.3 + 0.4 * contrast
    colour = colour - np.floor(colour)  # at least 0.3 from the background's middle in every channel
    return np.rint((background + (colour - background) * cover) * 255).astype(np.uint8)
