"""Films hold what they were told and begin with their end; controls have a picture where no kernel runs."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from traflow_lib.reports import moving, plots
from traflow_lib.reports.notebooks import WIDGET


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAFLOW_RESULTS", str(tmp_path))
    plots.style()
    return tmp_path / "figures" / "smoke"


def pages_of(file) -> list[np.ndarray]:
    film = Image.open(file)
    found = []
    for page in range(film.n_frames):
        film.seek(page)
        found.append(np.asarray(film.convert("RGB")).astype(int))
    return found


def test_a_state_between_two_lies_on_the_straight_line():
    path = torch.tensor([[0.0], [1.0], [3.0]])
    assert [moving.between(path, done).item() for done in (0, 0.25, 0.5, 0.75, 1)] == [0, 0.5, 1, 2, 3]


def test_a_film_begins_with_its_last_moment_on_white(results):
    figure, axis = plt.subplots(figsize=(2, 2))
    bar = axis.bar([0], [1], color="black")[0]
    shown = moving.film(figure, bar.set_height, (0.1, 0.5, 0.9), "bar", "smoke", 'a "bar"')
    dark = [(page.sum(2) < 100).sum() for page in pages_of(results / "bar.gif")]
    assert len(dark) == 3 and dark[0] > 1.3 * dark[2] > 1.3 * dark[1]
    assert (pages_of(results / "bar.gif")[0][0, 0] == 255).all()
    assert 'alt="a &quot;bar&quot;"' in shown.data and not plt.fignum_exists(figure.number)


def test_particles_count_calls_and_end_where_the_path_ends(results, monkeypatch):
    said = []
    monkeypatch.setattr(
        moving, "film", lambda figure, update, moments, *_: said.append((figure, update, moments))
    )
    way = torch.tensor([[[0.0, 0.0]], [[1.0, 2.0]], [[2.0, 2.0]]])
    moving.particles({"teacher": (way, 8), "student": (way[[0, 2]], 1)}, "x", "smoke", "alt", frames=5)
    ((figure, update, moments),) = said
    titles = []
    for moment in moments:
        update(moment)
        titles.append([axis.get_title().split("\n")[1] for axis in figure.axes])
    assert titles[0] == ["0 of 8 calls", "0 of 1 call"] and titles[-1] == ["8 of 8 calls", "1 of 1 call"]
    assert titles[1] == ["2 of 8 calls", "1 of 1 call"]
    assert [axis.collections[-1].get_offsets().tolist() for axis in figure.axes] == [[[2, 2]], [[2, 2]]]
    plt.close(figure)


def test_rows_of_pictures_and_files_become_films(results, tmp_path):
    moments = [{"teacher": torch.full((3, 1, 8, 8), level)} for level in (-1.0, 0.0, 1.0)]
    moving.pictures(moments, ["a", "b", "c"], "rows", "smoke", "alt")
    lightness = [page.mean() for page in pages_of(results / "rows.gif")]
    assert lightness[1] < lightness[2] < lightness[0]
    files = [tmp_path / f"{level}.png" for level in (0, 128, 255)]
    for file, level in zip(files, (0, 128, 255)):
        Image.fromarray(np.full((8, 8, 3), level, np.uint8)).save(file)
    moving.pages(files, ["a", "b", "c"], "pages", "smoke", "alt")
    lightness = [page.mean() for page in pages_of(results / "pages.gif")]
    assert lightness[1] < lightness[2] < lightness[0]


@pytest.mark.parametrize("installed", [True, False])
def test_controls_have_a_picture_of_the_first_choices(installed, monkeypatch):
    if installed:
        pytest.importorskip("ipywidgets")
    else:
        monkeypatch.setitem(__import__("sys").modules, "ipywidgets", None)
    drawn, shown = [], []
    monkeypatch.setattr(moving, "display", lambda what, raw=False: shown.append(what) if raw else None)

    def draw(t, s):
        drawn.append((t, s))
        return plt.figure(figsize=(1, 1))

    moving.explore(draw, "two times", t=[1.0, 0.5], s=[0.2, 0.0])
    assert drawn[0] == (1.0, 0.2) and shown[0]["image/png"] and shown[0]["text/plain"] == "two times"
    assert (WIDGET in shown[0]) == installed
