"""Many points in one plot, each with its name beside it: published results against what they cost."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from .plots import PALETTE

COLOURS = PALETTE["published"]
STARS = ("ours-paper", "this kit")


def draw(points: list[tuple[float, float, str, str]], axis: plt.Axes) -> None:
    """Points (x, y, name, kind of method) on log axes, each named as near as no other name or point is.

    Set the figure's size and the axis' limits before: the names are placed in them.
    """
    axis.set(xscale="log", yscale="log")
    for kind in dict.fromkeys(point[3] for point in points):
        x, y = zip(*(point[:2] for point in points if point[3] == kind))
        look = {"marker": "*", "s": 90} if kind in STARS else {"s": 20}
        label = "the paper (SCoT)" if kind == "ours-paper" else kind
        axis.scatter(x, y, color=COLOURS[kind], label=label, zorder=3, **look)
    figure = axis.figure
    assert isinstance(figure, Figure)  # and not a part of one
    figure.draw_without_rendering()  # settles the layout
    pixel = figure.dpi / 72
    places = [axis.transData.transform(point[:2]) for point in points]
    taken = [Bbox.from_bounds(x - 4 * pixel, y - 4 * pixel, 8 * pixel, 8 * pixel) for x, y in places]
    offsets = [(dx, dy) for dx in (9, -9, 30, -30) for dy in range(-60, 61, 5)]
    offsets.sort(key=lambda offset: offset[0] ** 2 + offset[1] ** 2)
    for (x, y, name, kind), place in sorted(zip(points, places), key=lambda pair: -pair[0][1]):
        text = axis.annotate(name, (x, y), (0, 0), fontsize=7, va="center", textcoords="offset points")
        text.set_in_layout(False)
        drawn = text.get_window_extent()
        boxes = {(dx, dy): _beside(place, drawn, dx * pixel, dy * pixel) for dx, dy in offsets}
        inside = (
            at for at, box in boxes.items() if axis.bbox.contains(*box.p0) and axis.bbox.contains(*box.p1)
        )
        free = (at for at in inside if not boxes[at].count_overlaps(taken))
        dx, dy = next(free, offsets[0])
        text.set(position=(dx, dy), ha="left" if dx > 0 else "right")
        taken.append(boxes[dx, dy])
        line = {"arrowstyle": "-", "color": COLOURS[kind], "linewidth": 0.5}
        axis.annotate("", (x, y), (dx * 0.9, dy), textcoords="offset points", arrowprops=line)


def _beside(place, drawn: Bbox, dx: float, dy: float) -> Bbox:
    """The box of a text as large as `drawn`, in pixels, that starts (dx > 0) or ends beside a place."""
    left = place[0] + dx - (drawn.width if dx < 0 else 0)
    return Bbox.from_bounds(left, place[1] + dy - drawn.height / 2, drawn.width, drawn.height)
