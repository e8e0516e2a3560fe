"""All figures of the kit: one palette, a method always in its own colour."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zlib import crc32

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
import torch
import yaml
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from torch import Tensor

from ..files import paths
from . import tables

PALETTE = yaml.safe_load(Path(__file__).with_name("palette.yaml").read_text(encoding="utf-8"))
COLOURS = PALETTE["methods"]
LIMIT = 3.0  # how far the plane is shown in every direction


def style() -> None:
    """Set the look of every figure in a notebook."""
    look = {"figure.dpi": 90, "savefig.dpi": 150, "figure.constrained_layout.use": True}
    look |= {"axes.spines.top": False, "axes.spines.right": False}
    sns.set_theme(style="ticks", context="notebook", font_scale=0.9, rc=look)


def colour(method: str) -> str:
    """The colour of a method, the same for its equal-time run ("cd@time").

    One without a place in COLOURS has one of its own from a colour-blind-safe palette, always the same.
    """
    name = method.partition("@")[0]
    spare = sns.color_palette("colorblind").as_hex()
    return COLOURS.get(name, spare[crc32(name.encode()) % len(spare)])


def save(figure: Figure, name: str, profile: str) -> Path:
    """Write the figure as PNG to results/figures/<profile>/ and return the file."""
    file = paths.results() / "figures" / profile / f"{name}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, bbox_inches="tight")
    return file


def squares(titles: Iterable[str], height: float, columns: int) -> tuple[Figure, Iterable[Any]]:
    """A figure of square panels of the plane, `columns` in a row, and its axes."""
    titles = list(titles)
    columns = min(columns, len(titles))
    rows = -(-len(titles) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(height * columns, height * rows), squeeze=False)
    for axis in axes.flat[len(titles) :]:
        axis.set_axis_off()
    for axis, title in zip(axes.flat, titles):
        axis.set(
            title=title, xlim=(-LIMIT, LIMIT), ylim=(-LIMIT, LIMIT), aspect="equal", xticks=[], yticks=[]
        )
    return figure, axes.flat


def clouds(panels: dict[str, Tensor], height: float = 2.6, colours: dict[str, str] | None = None) -> Figure:
    """One scatter plot a named cloud [N, 2], side by side on the same square."""
    figure, axes = squares(panels, height, len(panels))
    for axis, (title, x) in zip(axes, panels.items()):
        shade = (COLOURS | (colours or {})).get(title, COLOURS["data"])
        axis.scatter(*x[:4000].T, s=1.2, alpha=0.4, linewidths=0, color=shade)
    return figure


def trajectories(panels: dict[str, Tensor], height: float = 2.9) -> Figure:
    """Paths [T, B, 2] from noise (grey dots) to data (coloured dots), a panel each."""
    figure, axes = squares(panels, height, 6)
    for axis, (title, path) in zip(axes, panels.items()):
        path, shade = path[:, :60], COLOURS.get(title, COLOURS["data"])
        axis.plot(path[..., 0], path[..., 1], color=shade, alpha=0.45, linewidth=0.8)
        axis.scatter(*path[0].T, s=6, color=COLOURS["noise"])
        axis.scatter(*path[-1].T, s=6, color=shade)
    return figure


def image_rows(rows: dict[str, Tensor], columns: int = 12) -> Figure:
    """One labelled row of images [N, C, H, W] in [-1, 1] a name; a column shows the same noise."""
    width, height = columns * 0.62 + 3.0, len(rows) * 0.62 * 1.08
    figure, axes = plt.subplots(len(rows), 1, figsize=(width, height), squeeze=False)
    for axis, (title, x) in zip(axes[:, 0], rows.items()):
        axis.imshow(strip(x[:columns]), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axis.set(xticks=[], yticks=[])
        axis.set_ylabel(title, rotation=0, ha="right", va="center")
        sns.despine(ax=axis, left=True, bottom=True)
    return figure


def strip(x: Tensor) -> Tensor:
    """Images [N, C, H, W] in [-1, 1] side by side, as imshow takes them: [H, W'] or [H, W', 3] in [0, 1]."""
    tiles = torch.nn.functional.pad(x.float().clamp(-1, 1), (0, 1), value=1.0)  # a white line between images
    joined = torch.cat(list(tiles), dim=2).permute(1, 2, 0) / 2 + 0.5
    return joined[..., 0] if joined.shape[2] == 1 else joined


def against_nfe(rows: list[dict], metric: str, axis: plt.Axes, label: str | None = None) -> None:
    """Metric against network calls on log axes, one line a (method, sampler), with error bars over seeds.

    rows: from evidence.reference; what has no number of calls is a horizontal line.
    """
    chosen = [row for row in rows if row["metric"] == metric]
    for points in tables.grouped(chosen, "method", "sampler").values():
        first = points[0]
        if tables.gridded(first):
            _line({row["nfe"]: row for row in points}, axis)
        elif first["value"] > 0:
            label_of = f"{first['method']}, {first['sampler']}"
            axis.axhline(first["value"], label=label_of, color=colour(first["method"]), linestyle=":")
    ticks = tables.calls_of(chosen)
    axis.set(xscale="log", yscale="log", xlabel="network calls a sample (NFE)", ylabel=label or metric)
    axis.set_xticks(ticks, list(map(str, ticks)))
    axis.minorticks_off()


def against_macs(rows: list[dict], metric: str, axis: plt.Axes) -> None:
    """Metric against the multiply-accumulates of a whole sample (calls times those of one), on log axes.

    rows: from evidence.reference, of one data set; those without multiply-accumulates or calls are left out.
    """
    measured = [row for row in rows if row["macs"] and row["nfe"]]
    chosen = [row for row in measured if row["metric"] == metric and row["value"] > 0]
    for points in tables.grouped(chosen, "method", "sampler").values():
        _line({row["nfe"] * row["macs"]: row for row in points}, axis)
    axis.set(xscale="log", yscale="log", xlabel="multiply-accumulates a sample", ylabel=metric)


def _line(points: dict[float, dict], axis: plt.Axes) -> None:
    """One model's values with their spread by x."""
    x, rows = zip(*sorted(points.items()))
    axis.errorbar(
        x,
        [row["value"] for row in rows],
        yerr=[row["spread"] or 0 for row in rows],
        marker="o",
        capsize=3,
        color=colour(rows[0]["method"]),
        linestyle="-" if rows[0]["sampler"] in ("jumps", "euler") else "--",
        label=tables.title(rows[0]),
    )


def contest(factors: dict[str, dict[int, float]], named: list[str], axis: plt.Axes, label: str) -> None:
    """How far behind the best every method is, by network calls; the named in colour, all others in grey.

    factors: {method: {calls: error over the lowest at these calls}}; 1 is the best, more is worse.
    """
    look: dict[str, Any]
    for method, at in factors.items():
        look = (
            {"color": colour(method), "linewidth": 2, "zorder": 3}
            if method in named
            else {"color": "#cccccc"}
        )
        axis.plot(list(at), list(at.values()), marker="o", markersize=4, **look)
    last = max(calls for at in factors.values() for calls in at)
    below = 0.0
    for method in sorted(named, key=lambda name: list(factors[name].values())[-1]):
        calls, value = list(factors[method].items())[-1]
        below = max(value, below * 1.13)  # names of lines that end together stand above each other
        look = {"xytext": (calls * 1.08, below), "va": "center", "color": colour(method), "fontsize": 9}
        axis.annotate(method, (calls, value), **look)
    ticks = sorted({calls for at in factors.values() for calls in at})
    axis.set(
        xscale="log", yscale="log", xlabel="network calls a sample", ylabel=label, xlim=(0.9, last * 2.2)
    )
    axis.set_xticks(ticks, list(map(str, ticks)))
    heights = [1, 1.5, 2, 3, 5, 10, 20]
    axis.set_yticks(heights, [f"{height:g} ×" for height in heights])
    axis.minorticks_off()


def scattered(
    places: dict[str, tuple[float, float]], named: list[str], axis: plt.Axes, xlabel: str, ylabel: str
) -> None:
    """One point a method on logarithmic axes, its name beside it; the named in colour, all others in grey."""
    for method, (x, y) in places.items():
        axis.plot(x, y, "o", color=colour(method) if method in named else "#bbbbbb")
    axis.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
    for scale in (axis.xaxis, axis.yaxis):
        scale.set_minor_locator(LogLocator(subs=(2, 3, 5)))
        scale.set_major_formatter("{x:g}")
        scale.set_minor_formatter("{x:g}")
    taken: list[tuple[float, float]] = []  # where names stand, in points of the page: none upon another
    for method, place in sorted(places.items(), key=lambda item: item[1][1]):
        x, y = axis.transData.transform(place) * 72 / axis.figure.dpi
        height = y
        while any(abs(x - other) < 80 and abs(height - used) < 9 for other, used in taken):
            height += 1
        taken.append((x, height))
        look: dict[str, Any] = {"xytext": (6, height - y - 3), "textcoords": "offset points", "fontsize": 8}
        look |= {"color": colour(method), "weight": "bold"} if method in named else {"color": "#777777"}
        axis.annotate(method, place, **look)


def heat_map(cells: dict[tuple, float], axis: plt.Axes, xlabel: str, ylabel: str, label: str) -> None:
    """Values by (y, x) as a grid with its numbers written in, best (smallest) lightest."""
    look = {"annot": True, "fmt": ".3g", "cmap": "rocket_r", "cbar_kws": {"label": label}}
    sns.heatmap(pd.Series(cells).unstack(), ax=axis, xticklabels=True, yticklabels=True, **look)
    axis.set(xlabel=xlabel, ylabel=ylabel)
    axis.invert_yaxis()
