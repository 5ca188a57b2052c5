"""`jobyard runs`: the newest runs, or one run with its tasks."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from jobyard_cli.cli.options import AirflowUrl, OptionalEnvironmentName, PlatformWorkTree, TeamRepository
from jobyard_cli.cli.team_airflow import find_airflow, zones

if TYPE_CHECKING:
    from jobyard_cli.runs.show import Zone
    from jobyard_cli.runs.team_airflow import TeamAirflow


class RunsFormat(StrEnum):
    """For a person, or for a program."""

    text = "text"
    json = "json"


class RunState(StrEnum):
    """Airflow's states of a run."""

    queued = "queued"
    running = "running"
    success = "success"
    failed = "failed"


def runs(
    job: Annotated[
        str | None, typer.Argument(metavar="JOB", help="Job to show.", show_default="all of the team")
    ] = None,
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Run to show, with its tasks.", show_default="the newest runs")
    ] = None,
    environment: OptionalEnvironmentName = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many runs at most.")] = 20,
    state: Annotated[
        list[RunState] | None, typer.Option(help="Only runs in this state. Repeatable.", show_default="all")
    ] = None,
    output: Annotated[RunsFormat, typer.Option("--format", help="Output format.")] = RunsFormat.text,
    airflow_url: AirflowUrl = None,
    platform: PlatformWorkTree = None,
    repo: TeamRepository = None,
) -> None:
    """Show the newest runs of the team's jobs in Airflow, or one run with its tasks.

    Days and times are in the job's time zone; a run's day is the start of its data interval.

    Exit codes: 0 they are shown, 1 Airflow can't be asked, or does not have the job, 2 the command itself is wrong.
    """
    team, airflow = find_airflow(environment, airflow_url, platform, repo)
    if job is not None:
        airflow.dag(job)
    if job is not None and run is not None:
        _one(airflow, job, run, output, zones(team))
        return
    _newest(airflow, job, limit, [str(one) for one in state or ()], output, zones(team))


def _one(airflow: TeamAirflow, job: str, run_id: str, output: RunsFormat, zone: Zone) -> None:
    from datetime import UTC, datetime

    from jobyard_cli.runs import show

    run = airflow.run(job, run_id)
    tasks = airflow.tasks(run)
    now = datetime.now(UTC)
    if output is RunsFormat.json:
        print(show.run_json(run, tasks, now))
        return
    print(show.run_words(run, zone(job)))
    for line in show.task_lines(tasks, zone(job), now):
        print(line)


def _newest(
    airflow: TeamAirflow, job: str | None, limit: int, states: list[str], output: RunsFormat, zone: Zone
) -> None:
    from datetime import UTC, datetime

    from jobyard_cli.runs import show

    jobs = airflow.jobs() if job is None else [job]
    # Without names, Airflow would list all teams' runs.
    found = airflow.runs(jobs, limit, states) if jobs else []
    now = datetime.now(UTC)
    if output is RunsFormat.json:
        print(show.runs_json(found, now))
        return
    if not found:
        print("no runs")
        return
    for line in show.run_lines(found, zone, now):
        print(line)
