"""Many points in one plot, each with its name beside it: published results against what they cost."""

import matplotlib.pyplot as plt
from matplotlib.transforms import Bbox

GROUPS = {
    "ours-paper": "#d55e00",
    "trajectory": "#e69f00",
    "consistency": "#7b3294",
    "rectified-flow": "#009e73",
    "progressive": "#66a61e",
    "compact": "#56b4e9",
    "distribution-matching": "#f781bf",
    "knowledge-distillation": "#8c510a",
    "teacher": "#0072b2",
    "solver": "#999999",
    "this kit": "#000000",
}


def draw(points: list[tuple[float, float, str, str]], axis: plt.Axes, size: float = 7) -> None:
    """Points (x, y, name, group of GROUPS) on log axes, each named beside it.

    A name stands as near as it can where no other name or point is.

    Set the figure's size and the axis' limits before: the names are placed in them.
    """
    axis.set(xscale="log", yscale="log")
    for group in dict.fromkeys(point[3] for point in points):
        chosen = [point for point in points if point[3] == group]
        look = {"marker": "*", "s": 90} if group in ("ours-paper", "this kit") else {"s": 20}
        label = "the paper (SCoT)" if group == "ours-paper" else group
        axis.scatter(
            [point[0] for point in chosen],
            [point[1] for point in chosen],
            color=GROUPS[group],
            label=label,
            zorder=3,
            **look,
        )
    axis.figure.draw_without_rendering()  # settles the layout
    pixel = axis.figure.dpi / 72
    places = [axis.transData.transform(point[:2]) for point in points]
    taken = [Bbox.from_bounds(x - 4 * pixel, y - 4 * pixel, 8 * pixel, 8 * pixel) for x, y in places]
    offsets = sorted(
        ((dx, dy) for dx in (9, -9, 30, -30) for dy in range(-60, 61, 5)),
        key=lambda offset: offset[0] ** 2 + offset[1] ** 2,
    )
    for (x, y, name, group), place in sorted(zip(points, places), key=lambda pair: -pair[0][1]):
        text = axis.annotate(
            name, (x, y), fontsize=size, va="center", textcoords="offset points", xytext=(0, 0)
        )
        text.set_in_layout(False)
        drawn = text.get_window_extent()
        boxes = {(dx, dy): _beside(place, drawn, dx * pixel, dy * pixel) for dx, dy in offsets}
        free = (
            key
            for key, box in boxes.items()
            if _inside(box, axis.bbox) and not any(box.overlaps(other) for other in taken)
        )
        dx, dy = next(free, offsets[0])
        text.set(position=(dx, dy), ha="left" if dx > 0 else "right")
        taken.append(boxes[dx, dy])
        axis.annotate(
            "",
            (x, y),
            (dx * 0.9, dy),
            textcoords="offset points",
            arrowprops={"arrowstyle": "-", "color": GROUPS[group], "linewidth": 0.5},
        )


def _beside(place, drawn: Bbox, dx: float, dy: float) -> Bbox:
    """The box of a text of the size of `drawn` at an offset from a place, all in pixels.

    It starts there (dx > 0) or ends there.
    """
    left = place[0] + dx - (drawn.width if dx < 0 else 0)
    return Bbox.from_bounds(left, place[1] + dy - drawn.height / 2, drawn.width, drawn.height)


def _inside(box: Bbox, outer: Bbox) -> bool:
    return box.x0 >= outer.x0 and box.x1 <= outer.x1 and box.y0 >= outer.y0 and box.y1 <= outer.y1
