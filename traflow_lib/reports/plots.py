"""All figures of the kit: one palette, a method always in its own colour.

Files lie under results/figures/<profile>/.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import seaborn as sns
import torch
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from torch import Tensor

from ..evaluation import records
from ..files import paths

COLOURS = {
    "data": "#4d4d4d",
    "teacher": "#0072b2",
    "traflow": "#d55e00",
    "traflow_anchored": "#a50f15",
    "traflow_path": "#e69f00",
    "traflow_v1": "#cc79a7",
    "traflow_v4": "#8c510a",
    "reflow": "#009e73",
    "reflow_pp": "#006d4e",
    "reflow_distill": "#7fcdbb",
    "slimflow": "#b2df8a",
    "distill": "#56b4e9",
    "progressive": "#66a61e",
    "cd": "#7b3294",
    "ct": "#c2a5cf",
    "ctm": "#9e9ac8",
    "consistency": "#7b3294",
    "shortcut": "#e7d40a",
    "lmd": "#525252",
    "emd": "#969696",
    "meanflow": "#f781bf",
}
FALLBACK = "#999999"


def style() -> None:
    """Set the look of every figure in a notebook."""
    sns.set_theme(style="ticks", context="notebook", font_scale=0.9)
    plt.rcParams.update(
        {
            "figure.dpi": 90,
            "savefig.dpi": 150,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "figure.constrained_layout.use": True,
        }
    )


def colour(method: str) -> str:
    """The colour of a method, the same for its equal-time run ("cd@time")."""
    return COLOURS.get(method.partition("@")[0], FALLBACK)


def save(figure: Figure, name: str, profile: str) -> Path:
    """Write the figure as PNG to results/figures/<profile>/ and return the file."""
    file = paths.results() / "figures" / profile / f"{name}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, bbox_inches="tight")
    return file


def clouds(
    panels: dict[str, Tensor],
    limit: float = 3.0,
    points: int = 4000,
    height: float = 2.6,
    colours: dict[str, str] | None = None,
) -> Figure:
    """One scatter plot a named cloud [N, 2], side by side on the same square."""
    figure, axes = plt.subplots(1, len(panels), figsize=(height * len(panels), height), squeeze=False)
    for axis, (title, x) in zip(axes[0], panels.items()):
        axis.scatter(
            *x[:points].T,
            s=1.2,
            alpha=0.4,
            linewidths=0,
            color=(COLOURS | (colours or {})).get(title, COLOURS["data"]),
        )
        axis.set(
            title=title, xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xticks=[], yticks=[]
        )
    return figure


def trajectories(
    panels: dict[str, Tensor], limit: float = 3.0, lines: int = 60, height: float = 2.9, columns: int = 6
) -> Figure:
    """Paths [T, B, 2] from noise (grey dots) to data (coloured dots), one panel each.

    At most `columns` stand in a row.
    """
    columns = min(columns, len(panels))
    lines_of_panels = -(-len(panels) // columns)
    figure, axes = plt.subplots(
        lines_of_panels, columns, figsize=(height * columns, height * lines_of_panels), squeeze=False
    )
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    for axis, (title, path) in zip(axes.flat, panels.items()):
        path = path[:, :lines]
        shade = COLOURS.get(title, COLOURS["data"])
        axis.plot(path[..., 0], path[..., 1], color=shade, alpha=0.45, linewidth=0.8)
        axis.scatter(*path[0].T, s=6, color="#bbbbbb")
        axis.scatter(*path[-1].T, s=6, color=shade)
        axis.set(
            title=title, xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xticks=[], yticks=[]
        )
    return figure


def image_rows(rows: dict[str, Tensor], columns: int = 12, size: float = 0.62) -> Figure:
    """One labelled row of images [N, C, H, W] in [-1, 1] a name; a column shows the same noise."""
    figure, axes = plt.subplots(
        len(rows), 1, figsize=(columns * size + 3.0, len(rows) * size * 1.08), squeeze=False
    )
    for axis, (title, x) in zip(axes[:, 0], rows.items()):
        tiles = torch.nn.functional.pad(
            x[:columns].float().clamp(-1, 1), (0, 1), value=1.0
        )  # a white line between images
        strip = torch.cat(list(tiles), dim=2).permute(1, 2, 0) / 2 + 0.5
        axis.imshow(
            strip if strip.shape[2] == 3 else strip[..., 0],
            cmap=None if strip.shape[2] == 3 else "gray",
            vmin=0,
            vmax=1,
            interpolation="nearest",
        )
        axis.set(xticks=[], yticks=[])
        axis.set_ylabel(title, rotation=0, ha="right", va="center")
        sns.despine(ax=axis, left=True, bottom=True)
    return figure


def against_nfe(rows: list[dict], metric: str, axis: plt.Axes, label: str | None = None) -> None:
    """Metric against network calls on log axes, one line a (method, sampler).

    Error bars where several seeds were run.

    rows: from records.load; a teacher's adaptive solver and rows without calls are drawn as horizontal lines.
    """
    lines: dict[tuple, list[dict]] = {}
    for row in rows:
        if row["metric"] == metric:
            lines.setdefault((row["method"], row["sampler"]), []).append(row)
    for (method, sampler), points in sorted(lines.items()):
        points = sorted(points, key=lambda row: row["nfe"])
        if sampler in records.UNGRIDDED:
            if points[0]["value"] > 0:
                axis.axhline(
                    points[0]["value"], color=colour(method), linestyle=":", label=f"{method}, {sampler}"
                )
            continue
        name = method if sampler == "jumps" else f"{method}, {sampler}"
        spread = [row["spread"] or 0 for row in points]
        look = {"color": colour(method), "linestyle": "-" if sampler in ("jumps", "euler") else "--"}
        axis.errorbar(
            [row["nfe"] for row in points],
            [row["value"] for row in points],
            yerr=spread,
            marker="o",
            capsize=3,
            label=name,
            **look,
        )
    ticks = sorted(
        {row["nfe"] for points in lines.values() for row in points if row["sampler"] not in records.UNGRIDDED}
    )
    axis.set(xscale="log", yscale="log", xlabel="network calls a sample (NFE)", ylabel=label or metric)
    axis.set_xticks(ticks, [str(tick) for tick in ticks], minor=False)
    axis.minorticks_off()


def consistency_against_straightness(rows: list[dict], axis: plt.Axes) -> None:
    """One point a method: how crooked its trajectories are against how much two calls disagree with one.

    Error bars over seeds. Log axes.

    rows: from records.load, of one data set; both metrics belong to the student, so its record of any number
    of calls will do.
    """
    found: dict[str, dict[str, dict]] = {}
    for row in rows:
        if row["sampler"] == "jumps" and row["metric"] in ("straightness", "self_consistency"):
            found.setdefault(row["method"], {})[row["metric"]] = row
    for method, both in sorted(found.items()):
        x, y = both["straightness"], both["self_consistency"]
        axis.errorbar(
            x["value"],
            y["value"],
            xerr=x["spread"],
            yerr=y["spread"],
            color=colour(method),
            marker="o",
            capsize=2,
        )
        axis.annotate(method, (x["value"], y["value"]), xytext=(4, 3), textcoords="offset points", fontsize=7)
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="straightness (0: straight, even motion)",
        ylabel="self-consistency error",
    )


def heat_map(cells: dict[tuple, float], axis: plt.Axes, xlabel: str, ylabel: str, label: str) -> None:
    """Values by (y, x) as a grid with its numbers written in, best (smallest) lightest."""
    ys, xs = (sorted({key[i] for key in cells}) for i in (0, 1))
    grid = [[cells.get((y, x), float("nan")) for x in xs] for y in ys]
    sns.heatmap(
        grid,
        ax=axis,
        annot=True,
        fmt=".3g",
        cmap="rocket_r",
        xticklabels=xs,
        yticklabels=ys,
        cbar_kws={"label": label},
    )
    axis.set(xlabel=xlabel, ylabel=ylabel)
    axis.invert_yaxis()


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


def named_points(points: list[tuple[float, float, str, str]], axis: plt.Axes, size: float = 7) -> None:
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


def against_macs(rows: list[dict], metric: str, axis: plt.Axes, label: str | None = None) -> None:
    """Metric against the multiply-accumulates of a whole sample, on log axes.

    They are the calls times those of a call; one line a (method, sampler).

    rows: from records.load, of one data set; those without multiply-accumulates or calls are left out.
    """
    lines: dict[tuple, list[dict]] = {}
    for row in rows:
        if row["metric"] == metric and row["macs"] and row["nfe"] and row["value"] > 0:
            lines.setdefault((row["method"], row["sampler"]), []).append(row)
    for (method, sampler), points in sorted(lines.items()):
        points = sorted(points, key=lambda row: row["nfe"])
        look = {"color": colour(method), "linestyle": "-" if sampler in ("jumps", "euler") else "--"}
        x, y, spread = zip(*[(row["nfe"] * row["macs"], row["value"], row["spread"] or 0) for row in points])
        axis.errorbar(
            x,
            y,
            yerr=spread,
            marker="o",
            capsize=3,
            label=method if sampler == "jumps" else f"{method}, {sampler}",
            **look,
        )
    axis.set(xscale="log", yscale="log", xlabel="multiply-accumulates a sample", ylabel=label or metric)
