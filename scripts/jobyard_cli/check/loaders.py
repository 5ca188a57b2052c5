"""Warn of a team whose release is large for the loaders that it has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from jobyard import limits
from jobyard.entries import Job
from jobyard.parts import part_of

from jobyard_cli.check.findings import WARNING, Finding
from jobyard_cli.team.repo import TeamRepo

MOST_LOADERS = 16
"""As in the schema of a team's file."""


def doubt_loaders(jobs: Mapping[str, Job], repo: TeamRepo) -> Iterator[Finding]:
    """Yield a warning for each environment in which one of the team's loaders would build more tasks than it should.

    `jobs` are all of the repository's. The platform is asked only about a team of that many tasks.
    """
    tasks = {name: len(job["tasks"]) for name, job in jobs.items()}
    if sum(tasks.values()) <= limits.LOADER_TASKS:
        return
    for environment, count in repo.loaders.items():
        fullest = _fullest(tasks, count)
        if fullest > limits.LOADER_TASKS:
            message = (
                f"one of the files from which Airflow reads the release has {fullest:,} tasks to build in environment "
                f"{environment}, more than {limits.LOADER_TASKS:,}: the platform should set "
                f"`loaders: {_enough(tasks)}` in values/teams/{repo.team}.yaml"
            )
            yield Finding("dags", 1, 1, message, "limit", WARNING)


def _fullest(tasks: Mapping[str, int], count: int) -> int:
    """Return the tasks of the loader that has the most."""
    by_part: Counter[int] = Counter()
    for name, number in tasks.items():
        by_part[part_of(name, count)] += number
    return max(by_part.values())


def _enough(tasks: Mapping[str, int]) -> int:
    """Return the least number of loaders of which none has too many."""
    for count in range(1, MOST_LOADERS):
        if _fullest(tasks, count) <= limits.LOADER_TASKS:
            return count
    return MOST_LOADERS
