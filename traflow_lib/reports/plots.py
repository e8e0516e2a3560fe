"""All figures of the kit: one palette, a method always in its own colour.

Files lie under results/figures/<profile>/.
"""

from pathlib import Path
from zlib import crc32

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ..files import paths
from . import tables

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

    rows: from evidence.reference; a teacher's adaptive solver and rows without calls are drawn as horizontal
    lines.
    """
    chosen = [row for row in rows if row["metric"] == metric]
    ticks = set()
    for model, points in tables.frame(chosen).groupby("model"):
        if points["gridded"].all():
            ticks |= set(points["nfe"])
            _line(model, points, points["nfe"], axis)
        elif (height := points["value"].iloc[0]) > 0:
            axis.axhline(height, color=colour(model[0]), linestyle=":", label=", ".join(model))
    axis.set(xscale="log", yscale="log", xlabel="network calls a sample (NFE)", ylabel=label or metric)
    axis.set_xticks(sorted(ticks), [str(tick) for tick in sorted(ticks)], minor=False)
    axis.minorticks_off()


def against_macs(rows: list[dict], metric: str, axis: plt.Axes, label: str | None = None) -> None:
    """Metric against the multiply-accumulates of a whole sample, on log axes.

    They are the calls times those of a call; one line a (method, sampler).

    rows: from evidence.reference, of one data set; those without multiply-accumulates or calls are left out.
    """
    chosen = [row for row in rows if row["metric"] == metric and row["macs"] and row["value"] > 0]
    for model, points in tables.frame([row for row in chosen if row["nfe"]]).groupby("model"):
        _line(model, points, points["nfe"] * points["macs"], axis)
    axis.set(xscale="log", yscale="log", xlabel="multiply-accumulates a sample", ylabel=label or metric)


def _line(model: tuple[str, str], points: pd.DataFrame, x: pd.Series, axis: plt.Axes) -> None:
    """One model's values with their spread, from the smallest x to the largest."""
    method, sampler = model
    order = x.sort_values().index
    axis.errorbar(
        x[order],
        points["value"][order],
        yerr=points["spread"][order].astype(float).fillna(0),
        marker="o",
        capsize=3,
        color=colour(method),
        linestyle="-" if sampler in ("jumps", "euler") else "--",
        label=tables.title({"method": method, "sampler": sampler}),
    )


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
