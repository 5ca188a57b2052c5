"""One browser for the whole folder, and the pages that it looks at, each built once."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import date
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from jobyard_cli.cli.steps import Steps
from jobyard_local import machine
from jobyard_metrics.page import Settings, files
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.page.drawn_history import Drawing, draw
from tests.page.made_up_page import SETTINGS

CHROMIUM = "/usr/bin/chromium"
# Playwright's own waiting evaluates text, which the page's policy refuses.
DRAWN = """new Promise((resolve) => {
  const check = () => {
    const charts = [...document.querySelectorAll(".chart")];
    const drawn = charts.every((chart) => chart.childElementCount > 0);
    if (drawn && document.querySelector("main h1, main .notice")) resolve();
    else requestAnimationFrame(check);
  };
  check();
})"""
Days = Mapping[date, Mapping[str, pl.DataFrame]]


@pytest.fixture(scope="package")
def browser(shown: Callable[[], AbstractContextManager[Steps]]) -> Iterator[Browser]:
    """Debian's Chromium without a window, installed if it is missing."""
    with shown() as steps, steps.step("Chromium") as report:
        machine.install({"chromium": CHROMIUM}, report)
    with sync_playwright() as playwright:
        # Root, as which containers run tests, gets no sandbox; the pages are our own.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class Viewer:
    """A window of the browser that collects what goes wrong on its pages."""

    def __init__(self, context: BrowserContext) -> None:
        self.page: Page = context.new_page()
        self.url = ""
        self.wrong: list[str] = []
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", self._dialog)

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.wrong.append(text)

    def _dialog(self, dialog: Any) -> None:
        self.wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def see(self, view: str) -> Page:
        """Open a view, such as `team/risk`, and wait until its charts are drawn."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.url}#/{view}")
        self.settle()
        return self.page

    def settle(self) -> None:
        """Wait until there is a view whose charts are all drawn."""
        self.page.evaluate(DRAWN)

    def text(self) -> str:
        """The text of the view."""
        return self.page.inner_text("main")


Open = Callable[..., Viewer]
USUAL: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}, "timezone_id": "UTC"}


@pytest.fixture(scope="package")
def usual_window(browser: Browser) -> Iterator[Viewer]:
    """The window of all tests that need no other: a new one costs as much as several views."""
    context = browser.new_context(**USUAL)
    yield Viewer(context)
    context.close()


@pytest.fixture
def look(browser: Browser, usual_window: Viewer) -> Iterator[Open]:
    """Look at a page's address; with arguments for the browser's context, in a fresh window. Nothing may go wrong."""
    viewers = [usual_window]

    def open_page(url: str, **options: Any) -> Viewer:
        if options:
            viewers.append(Viewer(browser.new_context(**{**USUAL, **options})))
        viewers[-1].url = url
        return viewers[-1]

    yield open_page
    for viewer in viewers[1:]:
        viewer.page.context.close()
    wrong = [text for viewer in viewers for text in viewer.wrong]
    usual_window.wrong.clear()
    usual_window.page.emulate_media(media="screen", color_scheme="light")
    assert wrong == []


def write_files(folder: Path, days: Days, settings: Settings = SETTINGS, newest: date = Drawing.newest) -> Path:
    """Write a page into a folder; return its start page."""
    for name, body in files(days, newest, settings).items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)
    return folder / "index.html"


@pytest.fixture(scope="package")
def drawn() -> Days:
    """Twelve teams with 48 jobs, 90 days of which two have no data."""
    return draw()


@pytest.fixture(scope="package")
def start_page(drawn: Days, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The start page of those twelve teams, in a folder."""
    return write_files(tmp_path_factory.mktemp("page"), drawn)


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """Requests are not worth a line."""


@pytest.fixture(scope="package")
def serve() -> Iterator[Callable[[Path], str]]:
    """Serve a folder by HTTP; return the address of its start page."""
    servers: list[ThreadingHTTPServer] = []

    def start(folder: Path) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, directory=str(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/index.html"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="package")
def site(start_page: Path, serve: Callable[[Path], str]) -> str:
    """The address of the page of twelve teams, served by HTTP."""
    return serve(start_page.parent)
