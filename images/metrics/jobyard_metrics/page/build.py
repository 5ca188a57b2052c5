"""Builds the page's files from the days that were collected, and puts them into the store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from importlib.resources import files as resources
from importlib.resources.abc import Traversable
from typing import Any, Protocol

from jobyard_metrics.page.catalog import Catalog, catalog, job_columns, team_columns
from jobyard_metrics.page.days import calendar_columns, day_files
from jobyard_metrics.page.history import Days, History, read
from jobyard_metrics.page.modules import bundle
from jobyard_metrics.page.scripts import script, team_file
from jobyard_metrics.page.settings import Settings
from jobyard_metrics.page.teams import team_files

STATIC = resources("jobyard_metrics.page") / "static"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


WRITERS = 8


class Listed(Protocol):
    """An object in a list."""

    @property
    def name(self) -> str: ...


class Store(Protocol):
    """Where the page is put: the store of the metrics, of which it needs this much."""

    def put(self, name: str, body: bytes, *, content_type: str = "") -> None:
        """Create or replace an object."""

    def list(self, prefix: str) -> Sequence[Listed]:
        """Return the objects whose names begin with `prefix`."""

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects."""


def write(days: Days, day: date, settings: Settings, store: Store) -> list[str]:
    """Put the page below `page/`, and return the names of its files.

    The summary and the start page come last, so that what they refer to exists. Then the data of days and teams that
    the page no longer has are deleted.
    """
    pages = {f"page/{name}": body for name, body in files(days, day, settings).items()}
    last = ["page/data/summary.js", "page/index.html"]
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda name: _put(store, name, pages[name]), [name for name in pages if name not in last]))
    for name in last:
        _put(store, name, pages[name])
    store.delete(listed.name for listed in store.list("page/data/") if listed.name not in pages)
    return list(pages)


def _put(store: Store, name: str, body: bytes) -> None:
    store.put(name, body, content_type=TYPES[name[name.rindex(".") :]])


def files(days: Days, day: date, settings: Settings) -> dict[str, bytes]:
    """Return the page's files by name: the same bytes for the same days and settings.

    Args:
        days: the tables of each day that has data; of these the page has `day` and those that the settings keep before.
        day: the newest day.
    """
    history = read(days, day, settings)
    static = dict(_static())
    return {**static, **dict(_data(history)), "index.html": _index(static)}


def _static() -> Iterator[tuple[str, bytes]]:
    yield "app.js", bundle(STATIC / "js")
    for name in ("style.css", "icon.svg"):
        yield name, (STATIC / name).read_bytes()
    for library in sorted(_published(STATIC / "vendor"), key=lambda file: file.name):
        yield f"vendor/{library.name}", library.read_bytes()


def _published(folder: Traversable) -> Iterator[Traversable]:
    """The libraries, and the licenses that have to go with them."""
    return (file for file in folder.iterdir() if file.name.endswith((".js", ".txt")))


def _index(static: dict[str, bytes]) -> bytes:
    """The start page, whose links change with what they lead to: no browser mixes a new script with an old style."""
    text = (STATIC / "index.html").read_text(encoding="utf-8")
    for name, body in static.items():
        digest = hashlib.sha256(body).hexdigest()[:12]
        text = text.replace(f'="{name}"', f'="{name}?{digest}"')
    return text.encode()


def _data(history: History) -> Iterator[tuple[str, bytes]]:
    known = catalog(history)
    for team, value in team_files(history, known):
        yield f"data/teams/{team_file(team)}", script(value)
    days = day_files(history, known)
    for day, value in days.items():
        if day != history.day:
            yield f"data/days/{day.isoformat()}.js", script(value)
    yield "data/summary.js", script(_summary(history, known, days.get(history.day)))


def _summary(history: History, known: Catalog, latest: dict[str, Any] | None) -> dict[str, Any]:
    settings = history.settings
    return {
        "kind": "summary",
        "edition": known.edition,
        "day": history.day.isoformat(),
        "settings": {
            "environment": settings.environment,
            "airflow": settings.airflow_url,
            "airflowMajor": settings.airflow_major,
            "argocd": settings.argocd_url,
            "argocdNamespace": settings.argocd_namespace,
            "teamsRead": settings.teams_read,
            "lateAfter": settings.late_after,
            "crowdedAfter": settings.crowded_after,
        },
        "calendar": calendar_columns(history),
        "teams": team_columns(history, known),
        "jobs": job_columns(history, known),
        "latest": latest,
    }
