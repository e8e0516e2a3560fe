"""Pictures that move: films, stored as GIF, and pictures that follow controls where a kernel runs."""

import base64
import io
import math
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import HTML, display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from ..files import paths
from . import plots
from .notebooks import WIDGET

FRAME, PAUSE = 80, 2100  # milliseconds of a frame, and of the last one


def film(
    figure: Figure, update: Callable[[Any], None], moments: Iterable, name: str, profile: str, alt: str
) -> HTML:
    """The figure at every moment, as update(moment) makes it: results/figures/<profile>/<name>.gif.

    It begins with the last moment, so that paper and other places where nothing moves show all. Returns what
    a notebook shows, with `alt` for those who cannot see it. The figure is closed.
    """
    figure.set_dpi(80)
    figure.draw_without_rendering()  # square axes find their place in a second layout
    frames = []
    for moment in moments:
        update(moment)
        frames.append(_pixels(figure))
        figure.set_layout_engine("none")  # nothing moves but what update moves
    plt.close(figure)
    # one palette for all: colours that flicker look like motion
    sheet = Image.new("RGB", (frames[0].width, 3 * frames[0].height))
    for place, frame in enumerate((frames[0], frames[len(frames) // 2], frames[-1])):
        sheet.paste(frame, (0, place * frame.height))
    palette = sheet.quantize(64)
    levels = palette.getpalette() or []
    palette.putpalette([255 if level > 247 else level for level in levels])  # white stays white
    flat = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    flat.insert(0, flat.pop())
    lasting = [PAUSE, PAUSE // 3, *[FRAME] * (len(flat) - 2)]
    file = paths.results() / "figures" / profile / f"{name}.gif"
    file.parent.mkdir(parents=True, exist_ok=True)
    flat[0].save(file, save_all=True, append_images=flat[1:], duration=lasting, loop=0, optimize=True)
    return HTML(f'<img alt="{escape(alt)}" src="data:image/gif;base64,{_text(file.read_bytes())}">')


def _pixels(figure: Figure) -> Image.Image:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def between(path: Tensor, done: float) -> Tensor:
    """The state of a path [T, ...] when a share from 0 to 1 of its way is done; straight between states."""
    place = done * (len(path) - 1)
    before = min(int(place), len(path) - 2)
    return torch.lerp(path[before], path[before + 1], place - before)


def particles(
    panels: dict[str, tuple[Tensor, int]], name: str, profile: str, alt: str, frames: int = 30
) -> HTML:
    """Clouds that walk from noise to data side by side, all at the same time t.

    panels: {title: (path [T, B, 2] at even times from t = 1 to 0, the network calls of all of it)}.
    """
    figure, axes = plots.squares(panels, 2.6, len(panels))
    dots = {}
    for axis, (title, (path, _)) in zip(axes, panels.items()):
        axis.scatter(*path[0].T, s=3, color=plots.COLOURS["noise"], linewidths=0)
        shade = plots.colour(title.partition(",")[0])
        dots[title] = axis, axis.scatter(*path[0].T, s=5, color=shade, alpha=0.8, linewidths=0)

    def update(done: float) -> None:
        for title, (axis, scatter) in dots.items():
            path, calls = panels[title]
            scatter.set_offsets(between(path, done))
            made = math.ceil(done * calls)  # a step's call is made when it begins
            axis.set_title(f"{title}\n{made} of {calls} call{'s' * (calls > 1)}", fontsize=10)
            axis.set_xlabel(f"t = {1 - done:.2f}", fontsize=9)

    return film(figure, update, [k / (frames - 1) for k in range(frames)], name, profile, alt)


def lines(panels: dict[str, tuple[Tensor, str]], name: str, profile: str, alt: str, frames: int = 30) -> HTML:
    """Places on a line against time, drawn from noise to data: {title: (path [T, B], colour)}."""
    figure, axes = plt.subplots(1, len(panels), figsize=(3.4 * len(panels), 3), sharey=True)
    moments = torch.linspace(0, 1, frames)
    drawn = []
    for axis, (title, (path, shade)) in zip(axes, panels.items()):
        axis.set(title=title, xlabel="t   (1 noise, 0 data)", xlim=(1.03, -0.03), ylim=(-3, 3))
        way = torch.stack([between(path, done) for done in moments.tolist()])
        heads = axis.scatter(torch.ones(path.shape[1]), path[0], s=8, color=shade, zorder=3)
        drawn.append((way, axis.plot(1 - moments, way, color=shade, linewidth=0.8), heads))
    axes[0].set_ylabel("x")

    def update(last: int) -> None:
        for way, threads, heads in drawn:
            for thread, x in zip(threads, way.T):
                thread.set_data(1 - moments[: last + 1], x[: last + 1])
            heads.set_offsets(torch.stack([(1 - moments[last]).expand(len(way.T)), way[last]], dim=1))

    return film(figure, update, range(frames), name, profile, alt)


def pictures(
    moments: Sequence[dict[str, Tensor]], titles: Sequence[str], name: str, profile: str, alt: str
) -> HTML:
    """Rows of images [N, C, H, W] in [-1, 1] that change from moment to moment, each with its title."""
    figure = plots.image_rows(moments[0], columns=len(next(iter(moments[0].values()))))

    def update(moment: int) -> None:
        figure.suptitle(titles[moment], fontsize=11)
        for axis, (label, x) in zip(figure.axes, moments[moment].items()):
            axis.images[0].set_data(plots.strip(x))
            axis.set_ylabel(label, rotation=0, ha="right", va="center")

    return film(figure, update, range(len(moments)), name, profile, alt)


def pages(files: Sequence[Path], titles: Sequence[str], name: str, profile: str, alt: str) -> HTML:
    """Picture files of one size after each other, each with its title: the grids that a training leaves."""
    figure, axis = plt.subplots(figsize=(4.2, 4.4))
    axis.set_axis_off()
    shown = axis.imshow(plt.imread(files[0]), interpolation="nearest")

    def update(page: int) -> None:
        shown.set_data(plt.imread(files[page]))
        axis.set_title(titles[page], fontsize=11)

    return film(figure, update, range(len(files)), name, profile, alt)


def explore(draw: Callable[..., Figure], alt: str, **choices: Sequence) -> None:
    """Show draw(**chosen), redrawn as its arguments are moved among the choices, from the first on.

    Without ipywidgets, and wherever no kernel runs, the first picture stays as it is.
    """
    first = draw(**{key: values[0] for key, values in choices.items()})
    written = io.BytesIO()
    first.savefig(written, format="png", dpi=first.dpi)
    plt.close(first)
    bundle: dict[str, Any] = {"image/png": _text(written.getvalue()), "text/plain": alt}
    try:
        import ipywidgets
    except ImportError:
        display(bundle, raw=True)
        return
    sliders = {
        key: ipywidgets.SelectionSlider(options=list(values), description=key, continuous_update=False)
        for key, values in choices.items()
    }

    def shown(**chosen) -> None:
        figure = draw(**chosen)
        display(figure)
        plt.close(figure)

    # an output of its own for the picture: a redrawn one replaces the last
    moving = ipywidgets.interactive_output(shown, sliders)
    box = ipywidgets.VBox([ipywidgets.HBox(list(sliders.values())), moving])
    bundle[WIDGET] = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    display(bundle, raw=True)
