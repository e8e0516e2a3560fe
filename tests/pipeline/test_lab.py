"""The course in the real JupyterLab, as `make lab` opens it, in a browser; its pictures stay in runs/lab."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from traflow_lib.files import paths

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium here")
PICTURES = paths.runs() / "lab"
OPEN = """async path => {
    const panel = await jupyterapp.commands.execute('docmanager:open', {path, factory: 'Notebook'});
    await panel.context.ready;
    await panel.sessionContext.ready;
    await jupyterapp.commands.execute('toc:show-panel');
    return panel.sessionContext.session.kernel.name;
}"""
RUN = "() => jupyterapp.commands.execute('notebook:run-all-cells')"
OUTPUTS = """() => [...jupyterapp.shell.currentWidget.content.model.cells]
    .filter(cell => cell.type === 'code').flatMap(cell => cell.outputs.toJSON())"""

TO_CONTROLS = """() => {
    const notebook = jupyterapp.shell.currentWidget.content;
    const widget = 'application/vnd.jupyter.widget-view+json';
    const at = [...notebook.model.cells].findIndex(
        cell => cell.type === 'code' && cell.outputs.toJSON().some(output => output.data?.[widget]));
    return notebook.scrollToItem(at, 'start');
}"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab on a working copy of the course, notebook 00 at the profile smoke."""
    runs = tmp_path_factory.mktemp("runs")
    places = os.environ | {"TRAFLOW_RUNS": str(runs), "TRAFLOW_RESULTS": "", "PYTHONPATH": str(paths.root())}
    subprocess.run([sys.executable, "-m", "traflow_lib", "course"], env=places, check=True)
    first = runs / "course" / "00_quickstart.ipynb"
    chosen = first.read_text(encoding="utf-8").replace(r"profile = \"laptop\"", r"profile = \"smoke\"")
    for cell in (notebook := json.loads(chosen))["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = []
    first.write_text(json.dumps(notebook), encoding="utf-8")
    command = [sys.executable, "-m", "jupyterlab", "--notebook-dir", str(runs / "course"), "--no-browser"]
    command += ["--port=0", "--allow-root", "--expose-app-in-browser", "--IdentityProvider.token="]
    with subprocess.Popen(command, env=places, stderr=subprocess.PIPE, text=True) as server:
        for line in server.stderr:
            if found := re.search(r"http://(?:localhost|127\.0\.0\.1):\d+/lab", line):
                break
        yield found[0]
        server.terminate()
        server.stderr.read()


@pytest.fixture
def page(lab):
    with playwright.sync_playwright() as player:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = player.chromium.launch(executable_path=CHROMIUM, args=arguments)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(lab)
        page.wait_for_function("window.jupyterapp?.shell")
        page.evaluate("() => jupyterapp.restored")
        yield page
        browser.close()


def test_the_course_opens_runs_and_shows_figures_in_jupyterlab(page):
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name in ("13_your_own", "04_traflow_2d", "00_quickstart"):
        assert page.evaluate(OPEN, f"{name}.ipynb") == "python3"
        shown = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
        shown.locator(".jp-InputArea .jp-Placeholder, .jp-InputPlaceholder").first.wait_for()  # folded
        page.locator(".jp-TableOfContents-tree >> text=Exercises").first.wait_for()
        page.screenshot(path=PICTURES / f"{name}.png")
    page.evaluate(RUN)
    found = page.evaluate(OUTPUTS)
    assert not [one for one in found if one["output_type"] == "error"]
    assert sum("image/png" in one.get("data", {}) for one in found) >= 2
    assert any("exercise 00.1: not answered yet" in str(one.get("text")) for one in found)
    figure = shown.locator(".jp-OutputArea img").first
    figure.scroll_into_view_if_needed()
    assert figure.evaluate("image => image.naturalWidth") > 500
    page.screenshot(path=PICTURES / "00_quickstart-after.png")

    page.evaluate(TO_CONTROLS)
    picture = shown.locator(".widget-output img")
    picture.wait_for()
    before = picture.get_attribute("src")
    shown.locator(".widget-slider .noUi-handle").press("ArrowRight")
    shown.locator(".widget-slider .widget-readout >> text=2").wait_for()
    playwright.expect(picture).not_to_have_attribute("src", before)
    page.screenshot(path=PICTURES / "00_quickstart-moved.png")
