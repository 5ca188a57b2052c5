"""Takes pictures of every view of the metrics page: light, dark, and some at a phone's width.

scripts/screenshots.py PAGE TARGET [TEAM/JOB]

PAGE is the page's folder or the address of its start page, TARGET the folder for the pictures. The job is the one that
costs most unless it is given. `make screenshots` draws a page from made-up data first.
"""

from __future__ import annotations

import sys
from pathlib import Path

from jobyard_local import machine
from playwright.sync_api import Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
INTER = "/usr/share/fonts/opentype/inter/Inter-Regular.otf"
WIDE = (1280, 860)
PHONE = (360, 740)
DRAWN = """new Promise((resolve) => {
  const isDrawn = (chart) => chart.childElementCount > 0;
  const check = () => {
    const charts = [...document.querySelectorAll(".chart")];
    if (document.querySelector("main h1") && charts.every(isDrawn)) resolve();
    else requestAnimationFrame(check);
  };
  check();
})"""


def main() -> None:
    """Take the pictures, and print their paths."""
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    target = Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    # `install` looks for programs; a font's file is not one.
    missing = {"chromium": CHROMIUM} | ({} if Path(INTER).exists() else {"fonts-inter": INTER})
    machine.install(missing, print)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        window = browser.new_page(device_scale_factor=1.5)
        take_all(window, _address(sys.argv[1]), target, sys.argv[3] if len(sys.argv) == 4 else None)
        browser.close()


def _address(page: str) -> str:
    return page if "://" in page else (Path(page).resolve() / "index.html").as_uri()


def take_all(window: Page, address: str, target: Path, job: str | None) -> None:
    """Take each view; `job` is `<team>/<job>` as in the address of its view."""
    job = job or _dearest_job(window, address)
    views = {"day": "", "jobs": "jobs", "teams": "teams", "dependencies": "dependencies"}
    views |= {"team": f"team/{job.partition('/')[0]}", "job": f"job/{job}"}
    for name, view in views.items():
        for theme in ("light", "dark"):
            _take(window, f"{address}#/{view}", theme, WIDE, target / f"{name}-{theme}.png")
    for name in ("day", "job"):
        _take(window, f"{address}#/{views[name]}", "light", PHONE, target / f"{name}-phone.png")


def _dearest_job(window: Page, address: str) -> str:
    _see(window, f"{address}#/jobs", "light", WIDE)
    window.get_by_role("button", name="Cost").click()
    link = window.locator("tbody th a").first.get_attribute("href")
    return (link or "").removeprefix("#/job/")


def _see(window: Page, address: str, theme: str, size: tuple[int, int]) -> None:
    window.set_viewport_size({"width": size[0], "height": size[1]})
    window.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    window.goto("about:blank")
    window.goto(address)
    window.evaluate(DRAWN)


def _take(window: Page, address: str, theme: str, size: tuple[int, int], picture: Path) -> None:
    _see(window, address, theme, size)
    window.screenshot(path=picture, full_page=True)
    print(picture)


if __name__ == "__main__":
    main()
