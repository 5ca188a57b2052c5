"""The jobs that teams have released, as the platform's scheduled pipeline listed them: a file for each environment."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from jobyard.entries import AfterJobs, Schedule

from jobyard_cli.check.parts import list_of, mapping
from jobyard_cli.parsing.documents import load
from jobyard_cli.platform.current import PUBLISHED, age

NAME = re.compile(r"[a-z][a-z0-9-]{0,62}\.[a-z][a-z0-9-]{0,62}")
OLD = 86400.0
"""Seconds after which a list is called old."""


class KnownJob(TypedDict):
    """What a check and a plan know of a job that is released; what a list's file has of it, too."""

    schedule: Schedule
    timezone: NotRequired[str]
    owner: NotRequired[str]
    wait_for: NotRequired[list[str]]
    """The jobs that it waits for."""


KnownJobs = Mapping[str, KnownJob]
"""By `<team>.<job>`."""


@dataclass(frozen=True)
class PublishedJobs:
    """What is released: job to what is known of it, by environment; and when the oldest of the lists was made."""

    by_environment: Mapping[str, KnownJobs]
    read: datetime | None = None

    @property
    def jobs(self) -> dict[str, KnownJob]:
        """Return all of them, by `<team>.<job>`."""
        merged: dict[str, KnownJob] = {}
        for jobs in self.by_environment.values():
            merged.update(jobs)
        return merged

    def lacking(self, name: str) -> list[str]:
        """Return the environments that have a list without this job."""
        return sorted(environment for environment, jobs in self.by_environment.items() if name not in jobs)

    def age(self, now: datetime | None = None) -> str:
        """Return `listed 3 hours ago`, or nothing if that is not known."""
        if self.read is None:
            return ""
        return f"listed {age(_seconds_since(self.read, now))}"

    def is_old(self, now: datetime | None = None) -> bool:
        """Return whether the platform's pipeline has not listed the jobs for a day."""
        return self.read is not None and _seconds_since(self.read, now) > OLD


def _seconds_since(moment: datetime, now: datetime | None) -> float:
    return max(0.0, ((now or datetime.now(UTC)) - moment).total_seconds())


def list_text(environment: str, jobs: KnownJobs, now: datetime) -> str:
    """Return a list as its file has it: `{"environment": ..., "read": <time>, "jobs": {"<team>.<job>": {...}}}`."""
    content = {"environment": environment, "read": f"{now:%Y-%m-%dT%H:%M:%SZ}", "jobs": dict(sorted(jobs.items()))}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def published_jobs(platform: Path, team: str) -> PublishedJobs | None:
    """Return a folder's lists of the environments that a team is in; None if it has none."""
    by_environment: dict[str, KnownJobs] = {}
    times: list[datetime] = []
    for environment, content in _lists(platform, team):
        by_environment[environment] = dict(sound_jobs(content["jobs"]))
        if moment := _time(content.get("read")):
            times.append(moment)
    if not by_environment:
        return None
    return PublishedJobs(by_environment, min(times, default=None))


def _lists(platform: Path, team: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each environment that the team is in and has a list, with the list's content."""
    environments = _environments(platform, team)
    for file in sorted((platform / PUBLISHED).glob("*.json")):
        if environments and file.stem not in environments:
            continue
        content = _read(file)
        if isinstance(content.get("jobs"), dict):
            yield file.stem, content


def _read(file: Path) -> dict[str, Any]:
    """Return a list's content, nothing if it can't be read: then its jobs are not known."""
    try:
        return mapping(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def sound_jobs(jobs: Mapping[str, object]) -> Iterator[tuple[str, KnownJob]]:
    """Yield the jobs of a list with what a check reads of them; malformed ones are left out.

    A team may put any release by hand, and what is in it must not stop the checks of others.
    """
    for name, job in jobs.items():
        if NAME.fullmatch(name) and isinstance(job, Mapping):
            yield name, KnownJob(schedule=_schedule(job.get("schedule")), wait_for=_names(job.get("wait_for")))


def _schedule(value: object) -> Schedule:
    if isinstance(value, str):
        return value
    if not isinstance(value, Mapping):
        return None
    schedule = AfterJobs()
    if "after" in value:
        schedule["after"] = _names(value["after"])
    if "assets" in value:
        schedule["assets"] = _names(value["assets"])
    return schedule


def _names(value: object) -> list[str]:
    return [name for name in list_of(value) if isinstance(name, str)]


def _time(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment


def _environments(platform: Path, team: str) -> list[str]:
    """Return the environments that the team's file names; nothing where it is in all, or has no readable file."""
    file = platform / "values" / "teams" / f"{team}.yaml"
    if not file.is_file():
        return []
    return _names(mapping(load(file, file.name).data).get("environments"))
