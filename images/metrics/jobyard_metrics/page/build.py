"""Builds the page's files from the days that were collected, and puts them into the store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
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
TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


class Store(Protocol):
    """Where the page is put: below the prefix of the metrics."""

    def put(self, name: str, body: bytes, *, content_type: str) -> None:
        """Put one object, replacing it."""


def write(days: Days, day: date, settings: Settings, store: Store) -> list[str]:
    """Put the page below `page/`; return the names of its files, beside which no other is part of it.

    The summary and the start page come last, so that what they refer to is there.
    """
    names = []
    for name, body in files(days, day, settings).items():
        store.put(f"page/{name}", body, content_type=TYPES[name[name.rindex(".") :]])
        names.append(f"page/{name}")
    return names


def files(days: Days, day: date, settings: Settings) -> dict[str, bytes]:
    """Return the page's files by name: the same bytes for the same days and settings.

    Args:
        days: the tables of each day that has data; those after `day`, or before those that the settings keep, are left out.
        day: the newest day.
    """
    history = read(days, day, settings)
    static = dict(_static())
    return {**static, **dict(_data(history)), "index.html": _index(static)}


def _static() -> Iterator[tuple[str, bytes]]:
    yield "app.js", bundle(STATIC / "js")
    for name in ("style.css", "icon.svg"):
        yield name, (STATIC / name).read_bytes()
    for library in sorted(_scripts(STATIC / "vendor"), key=lambda file: file.name):
        yield f"vendor/{library.name}", library.read_bytes()


def _scripts(folder: Traversable) -> Iterator[Traversable]:
    return (file for file in folder.iterdir() if file.name.endswith(".js"))


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
