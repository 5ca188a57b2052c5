"""Which of a team's loaders builds a job, where the team has several.

All of them read the one release of the team, and each builds a part of its jobs. How many there are is in one file,
`loaders.json`, which `jobyard publish-platform` replaces in one step, so the loaders agree at every moment. After the
number has changed, those before go on for some minutes with what they built: Airflow first has to find new files, and
it removes a DAG that its file no longer has.

This module imports nothing of Airflow's: the command line reads it too.
"""

from collections.abc import Collection, Iterable
from hashlib import sha256
from typing import TypedDict

SCHEMA_VERSION = 1


class EarlierLoaders(TypedDict):
    """How many loaders a team had before."""

    count: int
    until: float  # seconds since 1970: so long they build what they built


class TeamLoaders(TypedDict):
    """How many loaders a team has."""

    count: int
    earlier: list[EarlierLoaders]


class LoadersFile(TypedDict):
    """`loaders.json`: the teams that have, or had, more than one loader."""

    schema_version: int
    teams: dict[str, TeamLoaders]


def part_of(job: str, count: int) -> int:
    """Return which of `count` loaders, from 1 on, builds the job.

    It depends on nothing but the name. Where a loader is added, only the jobs that it gets change places.
    """
    if count == 1:
        return 1
    return max(range(1, count + 1), key=lambda part: sha256(f"{part} {job}".encode()).digest())


def counts_at(file: LoadersFile, team: str, now: float) -> set[int]:
    """Return how many loaders the team has, and how many it had while those go on; `now` is in seconds since 1970."""
    loaders = file["teams"].get(team)
    if loaders is None:
        return {1}
    earlier = {int(entry["count"]) for entry in loaders["earlier"] if now < entry["until"]}
    return {int(loaders["count"]), *earlier}


def own_jobs(jobs: Iterable[str], part: int, counts: Collection[int]) -> list[str]:
    """Return the jobs, sorted, that a loader builds: by each of `counts` it has some."""
    own: set[str] = set()
    for job in jobs:
        if any(part_of(job, count) == part for count in counts):
            own.add(job)
    return sorted(own)
