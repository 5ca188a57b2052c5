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
        return {name: job for jobs in self.by_environment.values() for name, job in jobs.items()}

    def lacking(self, name: str) -> list[str]:
        """Return the environments that have a list without this job."""
        return sorted(environment for environment, jobs in self.by_environment.items() if name not in jobs)

    def age(self, now: datetime | None = None) -> str:
        """Return `listed 3 hours ago`, or nothing if that is not known."""
        return f"listed {age(self._seconds(now))}" if self.read else ""

    def is_old(self, now: datetime | None = None) -> bool:
        """Return whether the platform's pipeline has not listed the jobs for a day."""
        return self.read is not None and self._seconds(now) > OLD

    def _seconds(self, now: datetime | None) -> float:
        return max(0.0, ((now or datetime.now(UTC)) - self.read).total_seconds()) if self.read else 0.0


def list_text(environment: str, jobs: KnownJobs, now: datetime) -> str:
    """Return a list as its file has it: `{"environment": ..., "read": <time>, "jobs": {"<team>.<job>": {...}}}`."""
    stated = {"environment": environment, "read": f"{now:%Y-%m-%dT%H:%M:%SZ}", "jobs": dict(sorted(jobs.items()))}
    return json.dumps(stated, indent=1, ensure_ascii=False) + "\n"


def published_jobs(platform: Path, team: str) -> PublishedJobs | None:
    """Return a folder's lists of the environments that a team is in; None if it has none."""
    read = {file.stem: _read(file) for file in sorted((platform / PUBLISHED).glob("*.json"))}
    inside = _environments(platform, team)
    lists = {name: one for name, one in read.items() if one is not None and (inside is None or name in inside)}
    if not lists:
        return None
    times = [time for one in lists.values() if (time := _time(one.get("read")))]
    return PublishedJobs({name: dict(sound_jobs(one["jobs"])) for name, one in lists.items()}, min(times, default=None))


def _read(file: Path) -> dict[str, Any] | None:
    """A list, or None of what is none: then its jobs are not known."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and isinstance(content.get("jobs"), dict) else None


def sound_jobs(jobs: Mapping[str, object]) -> Iterator[tuple[str, KnownJob]]:
    """Yield the jobs of a list with what a check reads of them; malformed ones are left out.

    A team may put any release by hand, and what is in it must not stop the checks of others.
    """
    for name, job in jobs.items():
        if NAME.fullmatch(name) and isinstance(job, Mapping):
            yield name, KnownJob(schedule=_schedule(job.get("schedule")), wait_for=_names(job.get("wait_for")))


def _schedule(value: object) -> Schedule:
    if not isinstance(value, Mapping):
        return value if isinstance(value, str) else None
    others = AfterJobs()
    if "after" in value:
        others["after"] = _names(value["after"])
    if "assets" in value:
        others["assets"] = _names(value["assets"])
    return others


def _names(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _time(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _environments(platform: Path, team: str) -> set[str] | None:
    """Names of the environments that the team's file names; None where it is in all, or has no readable file."""
    file = platform / "values" / "teams" / f"{team}.yaml"
    data = load(file, file.name).data if file.is_file() else None
    named = data.get("environments") if isinstance(data, dict) else None
    return set(_names(named)) or None
