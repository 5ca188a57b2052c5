"""What the commands that look at runs have in common: the team's Airflow, and the time zones of its jobs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, tzinfo
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jobyard_cli.cli.options import team_environment, team_root

if TYPE_CHECKING:
    from jobyard_cli.runs.show import Zone
    from jobyard_cli.runs.team_airflow import TeamAirflow
    from jobyard_cli.team.repo import TeamRepo


def find_airflow(
    environment: str | None, url: str | None, platform: Path | None, repo: Path | None
) -> tuple[TeamRepo, TeamAirflow]:
    """The team's repository, and its Airflow in that environment or at that address.

    Raises:
        NotATeamRepoError: the folder is not a team's repository.
        MissingTargetError: nothing says which Airflow.
        UnknownEnvironmentError: the platform has no such environment.
        MissingPlatformError: no copy of the platform's files can be had.
    """
    from jobyard_cli.runs.target import team_airflow
    from jobyard_cli.team.repo import TeamRepo

    root = team_root(repo)
    team = TeamRepo.load(root)
    return team, team_airflow(team, team_environment(root, environment, platform), url)


def zones(repo: TeamRepo) -> Zone:
    """The time zone of each job, as its file has it; UTC where it says nothing that can be used."""

    @cache
    def zone(job: str) -> tzinfo:
        known = repo.other_job(f"{repo.team}.{job}")
        name = known.get("timezone") if isinstance(known, Mapping) else None
        try:
            return ZoneInfo(str(name)) if name else UTC
        except (ZoneInfoNotFoundError, ValueError):
            return UTC

    return zone


def say(line: str) -> None:
    """Print a line at once, also into a pipe."""
    print(line, flush=True)


def note(line: str) -> None:
    """Print to standard error what is not part of the answer."""
    print(line, file=sys.stderr, flush=True)
