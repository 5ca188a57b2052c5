"""How many loaders each team has in an environment, and what becomes of those before when the number changes.

The object `jobyard/loaders.json` says it, for all versions of the library; `jobyard.parts` has its form.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from jobyard.contract import loader_path
from jobyard.parts import SCHEMA_VERSION, EarlierLoaders, LoadersFile, TeamLoaders

OVERLAP = timedelta(minutes=15)
"""So long those before go on: MWAA copies a file within about half a minute, and Airflow looks for new files every 5
minutes."""
FORGOTTEN = timedelta(days=1)
"""So long after that the files of those before stay: a task that waits in a queue starts from the file that Airflow
knew then."""


def loader_counts(teams: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Return how many loaders each team has, by its values."""
    return {team: int(values.get("loaders", 1)) for team, values in teams.items()}


def loader_names(counts: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Yield each loader's name below `dags/`, with its team."""
    for team, count in sorted(counts.items()):
        for part in range(1, count + 1):
            yield loader_path(team, part), team


def handed_over(before: LoadersFile, counts: Mapping[str, int], now: datetime) -> LoadersFile:
    """Return what `loaders.json` is to be after `before`; without a change, and before anything is over, the same."""
    teams: dict[str, TeamLoaders] = {}
    for team, count in sorted(counts.items()):
        loaders = _team(before["teams"].get(team), count, now)
        if loaders["count"] > 1 or loaders["earlier"]:
            teams[team] = loaders
    return {"schema_version": SCHEMA_VERSION, "teams": teams}


def _team(before: TeamLoaders | None, count: int, now: datetime) -> TeamLoaders:
    before = before or {"count": 1, "earlier": []}
    until: dict[int, float] = {}
    for entry in before["earlier"]:
        if now.timestamp() < entry["until"] + FORGOTTEN.total_seconds():
            until[entry["count"]] = entry["until"]
    if before["count"] != count:
        until[before["count"]] = (now + OVERLAP).timestamp()
    until.pop(count, None)
    earlier = [EarlierLoaders(count=number, until=moment) for number, moment in sorted(until.items())]
    return {"count": count, "earlier": earlier}


def files_needed(file: LoadersFile) -> set[str]:
    """Return the names of the loaders that the teams of the file have, or had and still need."""
    most: dict[str, int] = {}
    for team, loaders in file["teams"].items():
        most[team] = max([loaders["count"], *(entry["count"] for entry in loaders["earlier"])])
    return {name for name, _ in loader_names(most)}


def parsed(content: bytes) -> LoadersFile:
    """Return the file that the bucket has; that of no team where it is none of ours."""
    none: LoadersFile = {"schema_version": SCHEMA_VERSION, "teams": {}}
    try:
        file: LoadersFile = json.loads(content)
        for loaders in file["teams"].values():
            _ = loaders["count"] + sum(entry["count"] + entry["until"] for entry in loaders["earlier"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return none
    return file


def dumped(file: LoadersFile) -> bytes:
    """Return the file's bytes, the same for the same content."""
    return json.dumps(file, sort_keys=True, indent=1).encode()
