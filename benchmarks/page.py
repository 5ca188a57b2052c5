"""The page of the metrics of many teams: the time to build it, its size, and the time until a browser has drawn it."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from jobyard_local import machine
from jobyard_metrics.page import files
from measure import Target
from playwright.sync_api import Browser, sync_playwright

from tests.page.drawn_history import Drawing, draw
from tests.page.made_up_page import SETTINGS

CHROMIUM = "/usr/bin/chromium"
ROUNDS = 5
BUILD = Target("at most", 40, " s")
SIZE = Target("at most", 2, " MB")
DRAWN = Target("at most", 1, " s")
MEASURE = """() => new Promise((resolve) => {
  const check = () => {
    const charts = [...document.querySelectorAll(".chart")];
    if (document.querySelector("main h1") && charts.every((chart) => chart.childElementCount > 0)) {
      resolve(performance.now() / 1000);
    } else requestAnimationFrame(check);
  };
  check();
})"""


def section() -> str:
    """Measure, and return the result as Markdown."""
    drawing = Drawing(teams=200, jobs=1000, days=90, gaps=())
    days = draw(drawing)
    before = time.process_time()
    built = files(days, Drawing.newest, SETTINGS)
    seconds = time.process_time() - before
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), built)
        views = _views(Path(folder) / "index.html")
    drawn = statistics.median(views)
    size = sum(len(built[name]) for name in FIRST_VIEW) / 1e6
    return f"""\
## The page of 200 teams

1,000 jobs of 200 teams, 90 days. The first view is what a browser loads and draws at the start, opened from a folder in
Debian's Chromium: median of {ROUNDS} windows, from the start of the navigation until every chart is drawn.

| | |
|---|---|
| building all files, CPU seconds | {seconds:.1f} |
| first view, MB without compression | {size:.2f} |
| first view drawn, seconds | {drawn:.2f} |

Building: {BUILD.verdict(seconds)} Size: {SIZE.verdict(size)} Drawn: {DRAWN.verdict(drawn)}
"""


FIRST_VIEW = (
    *("index.html", "app.js", "style.css", "icon.svg", "data/summary.js"),
    *("vendor/d3.min.js", "vendor/plot.umd.min.js", "vendor/dagre.min.js"),
)


def _write(folder: Path, built: Mapping[str, bytes]) -> None:
    for name, body in built.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)


def _views(page: Path) -> list[float]:
    machine.install({"chromium": CHROMIUM}, print)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        views = [_view(browser, page) for _ in range(ROUNDS)]
        browser.close()
    return views


def _view(browser: Browser, page: Path) -> float:
    window = browser.new_page(viewport={"width": 1280, "height": 900})
    window.goto(page.as_uri())
    seconds: float = window.evaluate(MEASURE)
    window.close()
    return seconds
