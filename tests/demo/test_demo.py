"""The page of `make demo`: its mathematics by Node, its networks by ONNX, and all of it in a browser.

Node and onnx are no part of the locked packages: what needs one of them is skipped without it, and
the browser without a page. `make demo-test` installs onnx, builds the page and runs everything.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
from pathlib import Path

import pytest
import torch

from traflow_lib import load, load_teacher, nets
from traflow_lib.files import paths
from traflow_lib.flow import EmpiricalFlow
from traflow_lib.jump import JumpMap

SOURCE = paths.root() / "demo"
BUILT = Path(os.environ.get("TRAFLOW_DEMO", "nowhere"), "index.html")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync"
)


def js(body: str):
    """What the body of a function gives that knows flow.js, by Node."""
    if not shutil.which("node"):
        pytest.skip("node is not installed, which runs the page's mathematics")
    told = "(x) => console.log(JSON.stringify(x))"
    code = f"const flow = require('./flow.js'); (async () => {{ {body} }})().then({told})"
    found = subprocess.run(["node", "-e", code], cwd=SOURCE, capture_output=True, text=True, check=True)
    return torch.tensor(json.loads(found.stdout), dtype=torch.float32)


def floats(x: torch.Tensor) -> str:
    return f"Float32Array.from({x.flatten().tolist()})"


def test_noises_are_standard_normal_and_depend_on_the_seed_alone():
    x = js("return [7, 7, 8].map((seed) => [...flow.normals(20000, seed)])")
    assert x[0].equal(x[1]) and not x[0].equal(x[2])
    assert abs(x.mean()) < 0.03 and abs(x.std() - 1) < 0.03 and abs(x.pow(4).mean() - 3) < 0.2


def test_every_noise_of_the_map_has_the_length_of_its_middle():
    found = js("""
      const at = flow.sphere(flow.normals(64, 1), flow.normals(64, 2), flow.normals(64, 3));
      return [[0, 0], [1, 0], [0, 1], [0.3, -0.8], [-1, 1]].map(([u, v]) => [...at(u, v)])""")
    assert found.norm(dim=1).sub(found[0].norm()).abs().max() < 1e-4
    middle, right, top = found[:3] / found[0].norm()
    assert max(abs(middle @ right), abs(middle @ top), abs(right @ top)) < 1e-5


def test_between_two_noises_the_ends_are_met_and_the_length_is_kept():
    start, end, *between = js("""
      const ends = [flow.normals(64, 1), flow.normals(64, 2)];
      return [...ends, ...[0, 0.5, 1].map((w) => flow.slerp(...ends, w))].map((x) => [...x])""")
    torch.testing.assert_close(between[0], start)
    torch.testing.assert_close(between[2], end)
    assert abs(between[1].norm() - (start.norm() + end.norm()) / 2) < 1e-4


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_steps_are_those_of_the_jump_map(steps):
    x = torch.tensor([[0.5, -1.0, 2.0]])
    got = js(f"""
      const f = async (x, t, s) => x.map((value) => value * t + s);
      let last;
      for await (last of flow.carried(f, {floats(x)}, {steps}));
      return [...last]""")
    want = JumpMap(lambda x, t, s: x * t[:, None] + s[:, None]).sample(x, steps)
    torch.testing.assert_close(got[None], want)


@pytest.mark.parametrize("t", [1.0, 0.5, 0.05])
def test_the_teacher_of_painted_points_is_the_exact_one(t):
    generator = torch.Generator().manual_seed(0)
    points, x = torch.randn(9, 2, generator=generator), torch.randn(40, 2, generator=generator)
    got = js(f"return [...flow.pointVelocity({floats(points)}, {floats(x)}, {t})]").view(-1, 2)
    torch.testing.assert_close(got, EmpiricalFlow(points)(x, t), atol=1e-4, rtol=1e-4)


def test_the_page_asks_no_network_and_only_for_what_it_holds():
    page = (SOURCE / "index.html").read_text(encoding="utf-8")
    scripts = {file.name: file.read_text(encoding="utf-8") for file in SOURCE.glob("*.js")}
    asked = set(re.findall(r'part\("([\w-]+)"\)', "".join([page, *scripts.values()])))
    assert asked <= set(re.findall(r'\bid="([\w-]+)"', page)) and len(asked) > 20
    assert not re.search(r"https?://|fetch\(", "".join([page, *scripts.values()]))
    assert set(re.findall(r'<script src="(.+?)"', page)) == {"models.js", *scripts}


@pytest.fixture
def build(monkeypatch):
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason=f"{package} is not installed; make demo-test installs it")
    monkeypatch.syspath_prepend(SOURCE)
    import build

    return build


def case(name: str):
    """A network, the shape of its samples, whether it knows s, and its classes."""
    if name == "classes":
        inner = {"kind": "adm", "size": 16, "width": 8, "multipliers": [1, 2], "blocks": 1, "attention": [8]}
        inner |= {"classes": 6, "head_channels": 8}
        net = nets.build({"kind": "edm", "net": inner}, s_input=True)
        for weight in net.parameters():  # layers that start at zero would hide the others
            torch.nn.init.normal_(weight, std=0.05)
        return net, (3, 16, 16), True, 6
    (file,) = paths.committed("checkpoints").glob(f"{name}-*.safetensors")
    if "teacher" in name:
        return load_teacher(file).net, (2,), False, 0
    student = load(file)
    return student.net, student.shape, True, 0


@pytest.mark.parametrize("name", ["checkerboard-teacher", "digits-traflow", "classes"])
def test_exported_networks_are_those_of_pytorch(build, name):
    net, *about = case(name)
    whole = build.exported(net, *about)
    assert build.difference(net, whole, *about) < 1e-3
    half, quarter = build.compact(whole, 16), build.compact(whole, 8)
    assert build.difference(net, half, *about) < 1e-2
    assert build.difference(net, quarter, *about) < 0.2
    assert half.ByteSize() < 0.7 * whole.ByteSize() and quarter.ByteSize() < 0.75 * half.ByteSize()


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM:
        pytest.skip("there is no Chromium")
    if not BUILT.exists():
        pytest.skip(
            "the page is not built, or TRAFLOW_DEMO does not name its folder; make demo-test does both"
        )
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield found
        found.close()


@pytest.fixture(params=[(1280, 800, "light"), (360, 740, "dark")], ids=["desktop", "phone"])
def page(browser, request):
    width, height, scheme = request.param
    opened = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    wrong = []
    opened.on(
        "console",
        lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None,
    )
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on(
        "request", lambda asked: None if asked.url[:5] in ("file:", "blob:") else wrong.append(asked.url)
    )
    opened.goto(BUILT.as_uri())
    yield opened
    seen = (opened.inner_text("#problem"), opened.evaluate("document.documentElement.scrollWidth"))
    opened.close()
    assert not wrong and seen == ("", width)


def rest(page) -> dict:
    page.wait_for_function("pictures.state().picture && !pictures.state().busy && pictures.state().teacher")
    return page.evaluate("""() => {
      const { noise, picture, ...more } = pictures.state();
      return { noise: [...noise], picture: [...picture], ...more };
    }""")


def assert_drawn_by_pytorch(state: dict, name: str, calls: int, most: float, mean: float) -> None:
    """The page's picture is PyTorch's of the same noise, to what its weights' rounding does to a pixel."""
    (file,) = paths.committed("checkpoints").glob(name)
    student = load(file)
    want = JumpMap(student.net).sample(torch.tensor(state["noise"]).view(1, *student.shape), calls)
    apart = (torch.tensor(state["picture"]) - want.flatten()).abs()
    assert apart.max() < most and apart.mean() < mean


CLOTHES = "fashion_mnist-traflow-seed0-e83e860d52.safetensors"
DIGITS = "digits-traflow-seed0-587dafc3db.safetensors"


def test_dragging_draws_what_pytorch_draws(page):
    first = rest(page)
    assert_drawn_by_pytorch(first, CLOTHES, 1, most=0.2, mean=0.01)
    pad = page.locator("#pad")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] * 0.3, steps=5)
    page.mouse.up()
    dragged = rest(page)
    assert abs(dragged["u"] - 0.6) < 0.02 and abs(dragged["v"] - 0.4) < 0.02
    assert_drawn_by_pytorch(dragged, CLOTHES, 1, most=0.2, mean=0.01)
    assert re.fullmatch(r"1 call, \d+ ms", page.inner_text("#student-line"))
    assert re.fullmatch(r"16 calls, \d+ ms", page.inner_text("#teacher-line"))
    pad.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    moved = rest(page)
    assert abs(moved["u"] - dragged["u"] + 0.1) < 1e-6 and abs(moved["v"] - dragged["v"] - 0.1) < 1e-6


def test_digits_with_more_calls_and_other_noises(page):
    page.click("label:has([value=Digits])")
    page.wait_for_function("pictures.state().picture?.length === 64")
    page.click("#calls label:has([value='2'])")
    state = rest(page)
    assert_drawn_by_pytorch(state, DIGITS, 2, most=1e-2, mean=1e-2)
    page.locator("#grid button").nth(3).click()
    assert rest(page)["noise"] != state["noise"]
    page.click("#new-noise")
    page.locator("#steps").fill("5")
    rest(page)
    assert page.inner_text("#teacher-line").startswith("5 calls")


def test_points_go_the_teachers_way_and_the_students(page):
    page.click("label:has([value=Checkerboard])")
    page.wait_for_function("plane.state().frame > 2")
    box = page.locator("#plane").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.4)
    page.wait_for_function("plane.state().sent.length === 1")
    page.locator("#plane").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_function("plane.state().sent.length === 2")
    for sent in page.evaluate("plane.state().sent"):
        end = torch.tensor(sent["path"][-1])
        assert len(sent["path"]) == 25 and torch.dist(torch.tensor(sent["jump"]), end) < 0.5
    page.click("#tool label:has([value=paint])")
    page.mouse.click(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.3)
    page.wait_for_function("plane.state().data === 1")
    page.click("#tool label:has([value=send])")
    page.mouse.click(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.8)
    page.wait_for_function("plane.state().sent.length === 1")
    end = page.evaluate("plane.state().sent[0].path.at(-1)")
    torch.testing.assert_close(torch.tensor(end), torch.tensor([1.28, 1.28]), atol=0.05, rtol=0)


def test_a_browser_without_webassembly_says_so_in_a_line(browser):
    page = browser.new_page()
    page.add_init_script("delete window.WebAssembly")
    page.goto(BUILT.as_uri())
    page.wait_for_function("plane.state().frame > 2")
    assert page.inner_text("#problem").startswith("This browser has no WebAssembly")
    page.close()


def test_a_call_takes_less_than_a_tenth_of_a_second(page):
    rest(page)
    code = """async () => {
      const call = await networks.load("fashion_mnist-student", [1, 32, 32]);
      const times = [];
      for (let i = 0; i < 30; i++) {
        const start = performance.now();
        await call(normals(1024, i), 1, 0);
        times.push(performance.now() - start);
      }
      return times;
    }"""
    times = page.evaluate(code)
    fastest, median = min(times), statistics.median(times)
    print(f"\n{median:.0f} ms a call at 32x32, median of 30; the fastest {fastest:.0f}")
    assert fastest < 100, "the median says little where other work has the cores"
