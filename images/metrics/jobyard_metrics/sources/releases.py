"""The teams' releases, `<team>/jobs.json` below Airflow's dags folder: what jobs there are, and what they ask for.

A team's pipeline may put any bytes there. A release that can't be read, or a field that is not as
dags/jobyard/entries.py defines it, affects that team's part alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jobyard_metrics.objects import ObjectStore
from jobyard_metrics.quantities import quantity
from jobyard_metrics.values import moment, number, rounded, text, whole

FILE = "jobs.json"
LARGEST = 64 * 2**20
"""Bytes of a release; the scheduler reads smaller ones alone."""
PRESETS = {
    "@hourly": "every hour",
    "@daily": "every day at 00:00",
    "@weekly": "every Sunday at 00:00",
    "@monthly": "on the first day of every month at 00:00",
    "@quarterly": "on the first day of every quarter at 00:00",
    "@yearly": "on 1 January at 00:00",
    "@once": "once",
    "@continuous": "as soon as the last run has ended",
}


@dataclass(frozen=True)
class Releases:
    """The jobs of all teams by team and job, and the teams whose release can't be read, with the reason."""

    jobs: Mapping[tuple[str, str], Mapping[str, Any]]
    commits: Mapping[str, str | None]
    unreadable: Mapping[str, str]

    def uses_output(self, team: str, job: str, task: str) -> bool | None:
        """Return whether another task uses the output of a task; null where no release has the task."""
        entry = _mapping(_tasks(self.jobs.get((team, job), {})).get(task))
        return bool(entry.get("output")) if entry else None

    def deadline(self, team: str, job: str) -> int | None:
        """Return the seconds from a run's start to the end that it should have met, if the job has a deadline."""
        return whole(self.jobs.get((team, job), {}).get("deadline"))

    def rows(self, dags: Mapping[tuple[str, str], Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the rows of `tables.JOBS`; `dags` has Airflow's entry of each job's DAG."""
        for (team, job), entry in self.jobs.items():
            yield _row(team, job, entry, self.commits[team], dags.get((team, job), {}))


def read(store: ObjectStore) -> Releases:
    """Return the releases of every team that has one.

    Raises:
        StoreError: the bucket or folder can't be read.
    """
    jobs: dict[tuple[str, str], Mapping[str, Any]] = {}
    commits: dict[str, str | None] = {}
    unreadable: dict[str, str] = {}
    for team in store.folders():
        found = store.get(f"{team}/{FILE}")
        if found is None:
            continue
        try:
            release = _parsed(found.body, team)
        except (ValueError, RecursionError) as error:
            unreadable[team] = str(error)[:200]
            continue
        commits[team] = text(release.get("commit"))
        jobs.update({(team, name): _mapping(entry) for name, entry in _mapping(release.get("jobs")).items()})
    return Releases(jobs, commits, unreadable)


def _parsed(body: bytes, team: str) -> Mapping[str, Any]:
    if len(body) > LARGEST:
        raise ValueError(f"it must have at most {LARGEST} bytes; got {len(body)}")
    release = json.loads(body)
    owner = release.get("team") if isinstance(release, dict) else None
    if owner != team:
        raise ValueError(f"it must be a release of team {team!r}; got {str(owner)[:50]!r}")
    return _mapping(release)


def _row(team: str, job: str, entry: Mapping[str, Any], commit: str | None, dag: Mapping[str, Any]) -> dict[str, Any]:
    paused = dag.get("is_paused")
    return {
        "team": team,
        "job": text(job),
        "owner": text(entry.get("owner")),
        "description": text(entry.get("description")),
        "schedule": _schedule(entry.get("schedule"), text(dag.get("timetable_description"))),
        "timezone": text(entry.get("timezone")),
        # Airflow 3 and Airflow 2 have different names for it.
        "next_run": moment(dag.get("next_dagrun_run_after") or dag.get("next_dagrun_create_after")),
        "paused": paused if isinstance(paused, bool) else None,
        "deadline": whole(entry.get("deadline")),
        "commit": commit,
        "after": [*_upstream(entry)],
        "tasks": [_task(name, _mapping(task), _tasks(entry)) for name, task in _tasks(entry).items()],
    }


def _schedule(schedule: Any, described: str | None) -> str | None:
    """Return the schedule in words; those for a cron expression are Airflow's own."""
    if schedule is None:
        return "by hand"
    if isinstance(schedule, dict):
        parts = [f"after {name}" for name in _texts(schedule.get("after"))]
        parts += [f"when {uri} is written" for uri in _texts(schedule.get("assets"))]
        return " and ".join(parts)
    return PRESETS.get(str(schedule)) or described or text(schedule)


def _upstream(entry: Mapping[str, Any]) -> Iterator[str]:
    yield from _texts(_mapping(entry.get("schedule")).get("after"))
    for wait in _list(entry.get("wait_for")):
        if name := text(_mapping(wait).get("job")):
            yield name


def _task(name: str, task: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    requests = _mapping(_mapping(task.get("resources")).get("requests"))
    return {
        "name": text(name),
        "image": text(task.get("image")),
        "node_group": text(task.get("node_group")),
        "needs": [*_texts(task.get("needs"))],
        "requested_cpu": quantity(requests.get("cpu")),
        "requested_memory": rounded(quantity(requests.get("memory"))),
        "thresholds": [*_thresholds(name, others)],
    }


def _thresholds(name: str, others: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The gates of other tasks on the output of the task `name`, those that compare numbers."""
    for other in others.values():
        gate = _mapping(_mapping(other).get("gate"))
        bound = gate.get("bound")
        if gate.get("output_of") == name and isinstance(bound, int | float) and not isinstance(bound, bool):
            yield {"name": text(gate.get("value")) or "", "test": text(gate.get("test")), "bound": number(bound)}


def _tasks(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    return _mapping(entry.get("tasks"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _texts(value: Any) -> Iterator[str]:
    for one in _list(value):
        if found := text(one):
            yield found
