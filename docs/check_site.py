"""Reads the site as a browser does: python docs/check_site.py SITE [PICTURES]; every fault is one line.

From files, the search from a server: no request leaves the site, every link leads somewhere, every figure
has an alternative text, every formula and table is set, no page is wider than a screen or a phone, the search
finds. With PICTURES, a folder, every page is kept as pictures there.
"""

import shutil
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from playwright.sync_api import Error, sync_playwright

WIDTHS = {"phone": 390, "desktop": 1280}
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu"]
# what a page says of itself, once its formulas are set
LOOK = """async () => {
    if (window.MathJax?.startup) await MathJax.startup.promise;
    const all = (css, what) => [...document.querySelectorAll(css)].map(what);
    return {
        links: all('a[href]', a => a.href),
        names: all('[id]', e => e.id),
        undescribed: all('img:not([alt]), img[alt=""]', i => i.src),
        unseen: all('img', i => i).filter(i => i.complete && !i.naturalWidth).map(i => i.src),
        unread: all('p', p => p.innerText.slice(0, 60)).filter(text => text.startsWith('| ')),
        unset: all('mjx-merror, .math:not(:has(mjx-container))', e => e.innerText.slice(0, 60)),
    };
}"""
# by how many pixels it is too wide
WIDE = """() => Math.max(
    ...[...document.querySelectorAll('html, .content')].map(e => e.scrollWidth - e.clientWidth)
)"""


class Quiet(SimpleHTTPRequestHandler):
    """A static server that says nothing."""

    def log_message(self, *words):
        """Say nothing."""


def faults_of_links(site, pages):
    """Links of the pages into the site that lead nowhere; pages: what LOOK found, by file."""
    for file, found in pages.items():
        for link in sorted(set(found["links"])):
            place = urlsplit(link)
            target = Path(unquote(place.path))
            target = target / "index.html" if target.is_dir() else target
            name = unquote(place.fragment)
            if place.scheme != "file" or not target.is_relative_to(site):
                if place.scheme not in ("http", "https"):
                    yield f"{file}: a link out of the site: {link}"
            elif not target.exists():
                yield f"{file}: a link to nothing: {link}"
            elif name and target in pages and name not in pages[target]["names"]:
                yield f"{file}: a link to no heading of its page: {link}"


def look(browser, site, pictures):
    """The faults of all pages, opened as files."""
    pages, faults = {}, []
    page = watched(browser, "file:", faults)
    for file in sorted(site.rglob("*.html")):
        name = file.relative_to(site)
        if name.parts[0] == "demo":
            continue
        page.goto(file.as_uri())
        found = pages[file] = page.evaluate(LOOK)
        for what in ("undescribed", "unseen", "unset", "unread"):
            faults += [f"{name}: {what}: {one}" for one in found[what]]
        for kind, width in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": 900})
            wide = page.evaluate(WIDE)
            faults += [f"{name}: too wide by {wide} pixels on a {kind}"] * (wide > 0)
            if pictures:
                picture = pictures / f"{'_'.join(name.with_suffix('').parts)}-{kind}.png"
                page.screenshot(path=picture, full_page=True)
    return pages, faults + list(faults_of_links(site, pages))


def watched(browser, start, faults):
    """A page that tells of errors, and of requests for anything that does not begin with start."""
    page = browser.new_page()
    page.on("request", lambda r: r.url.startswith((start, "data:")) or faults.append(f"asks for {r.url}"))
    page.on(
        "response",
        lambda r: (
            r.status >= 400 and not r.url.endswith("/favicon.ico") and faults.append(f"not there: {r.url}")
        ),
    )
    page.on("pageerror", lambda error: faults.append(f"{page.url}: {error}"))
    return page


def faults_of_search(browser, site):
    """Whether the search finds the lesson on straightness from a server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    start, faults = f"http://127.0.0.1:{server.server_port}", []
    page = watched(browser, start, faults)
    page.goto(f"{start}/search.html?q=straightness")
    try:
        page.wait_for_selector("#search-results a[href*='02_reflow']", timeout=30_000)
    except Error:
        faults.append("the search does not find 'straightness' in notebook 02")
    server.shutdown()
    return faults


def main(site, pictures=None):
    """Print the faults; 1 if there are any."""
    chromium = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if not chromium:
        print("the site was built, but not looked at: there is no Chromium here")
        return 0
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        pages, faults = look(browser, site, pictures)
        faults += faults_of_search(browser, site)
        browser.close()
    print("\n".join([*faults, f"{len(pages)} pages looked at in a browser, {len(faults)} faults"]))
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main(*(Path(word).resolve() for word in sys.argv[1:])))
