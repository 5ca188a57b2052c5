"""`jobyard trigger`: a run by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from jobyard_cli.cli.options import (
    AirflowUrl,
    JobName,
    OptionalEnvironmentName,
    Parameters,
    PlatformWorkTree,
    RunDay,
    RunTime,
    TeamRepository,
    Unpause,
    WaitForIt,
)
from jobyard_cli.cli.team_airflow import find_airflow, say, zones

if TYPE_CHECKING:
    from jobyard_cli.runs.model import Run
    from jobyard_cli.runs.team_airflow import TeamAirflow


def trigger(
    job: JobName,
    environment: OptionalEnvironmentName = None,
    day: RunDay = None,
    at: RunTime = None,
    param: Parameters = None,
    wait: WaitForIt = False,
    unpause: Unpause = False,
    airflow_url: AirflowUrl = None,
    platform: PlatformWorkTree = None,
    repo: TeamRepository = None,
) -> None:
    """Start a run of a job in Airflow.

    Exit codes: 0 it is started, and with --wait it has succeeded; 1 it failed, or can't be started; 2 the command
    itself is wrong.
    """
    from datetime import UTC, datetime

    from jobyard_cli.errors import UsageError
    from jobyard_cli.running.prepare import checked_job, day_of, time_of
    from jobyard_cli.runs.show import run_words
    from jobyard_cli.runs.trigger import order_of, refuse_paused, start

    wanted, time = day_of(day), time_of(at)
    if time and not wanted:
        raise UsageError("--at needs --day")
    team, airflow = find_airflow(environment, airflow_url, platform, repo)
    dag = airflow.dag(job)
    entry = checked_job(team, job, "nothing was started")
    order = order_of(entry, wanted, time, param or (), datetime.now(UTC), team.other_job)
    refuse_paused(airflow, dag, unpause)
    run = start(airflow, dag, order)
    say(run_words(run, zones(team)(job)))
    if wait:
        _wait(airflow, run)
        return
    say(f"follow it with `jobyard runs {job} '{run.id}'`, or `jobyard logs {job} TASK --follow`")


def _wait(airflow: TeamAirflow, run: Run) -> None:
    from jobyard_cli.runs.wait import follow_run

    ended = follow_run(airflow, run, say)
    say(f"run {ended.id}: {ended.state}")
    if ended.state == "failed":
        raise typer.Exit(1)
