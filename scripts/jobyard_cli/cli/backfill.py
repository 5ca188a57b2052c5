"""`jobyard backfill`: runs of past days."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jobyard_cli.cli.options import (
    AirflowUrl,
    JobName,
    OptionalEnvironmentName,
    PlatformWorkTree,
    TeamRepository,
    Unpause,
    WaitForIt,
)
from jobyard_cli.cli.team_airflow import find_airflow, say

# Typer reads the choices when the command is looked up.
from jobyard_cli.runs.reprocess import Reprocess

if TYPE_CHECKING:
    from jobyard_cli.runs.backfill import Backfill
    from jobyard_cli.runs.team_airflow import TeamAirflow


def backfill(
    job: JobName,
    first: Annotated[
        str,
        typer.Option("--from", metavar="DAY", help="First day, on which a data interval starts, YYYY-MM-DD."),
    ],
    last: Annotated[str, typer.Option("--to", metavar="DAY", help="Last such day, which is included.")],
    environment: OptionalEnvironmentName = None,
    reprocess: Annotated[
        Reprocess, typer.Option(help="Which days that have a run already are run again: those whose run ended so.")
    ] = Reprocess.none,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be run, and start nothing.")] = False,
    wait: WaitForIt = False,
    unpause: Unpause = False,
    airflow_url: AirflowUrl = None,
    platform: PlatformWorkTree = None,
    repo: TeamRepository = None,
) -> None:
    """Run a job for past days. Days are in the job's time zone.

    Exit codes: 0 it is started, and with --wait every run has succeeded; 1 a run failed, or it can't be started; 2 the
    command itself is wrong.
    """
    from datetime import UTC, datetime

    from jobyard_cli.plan.phrases import counted
    from jobyard_cli.running.prepare import checked_job
    from jobyard_cli.runs.backfill import carry_out, plan
    from jobyard_cli.runs.days import days_of
    from jobyard_cli.runs.show import backfill_lines
    from jobyard_cli.runs.trigger import refuse_paused

    team, airflow = find_airflow(environment, airflow_url, platform, repo)
    dag = airflow.dag(job)
    entry = checked_job(team, job, "nothing was started")
    planned = plan(airflow, dag, entry, days_of(entry, first, last), reprocess, datetime.now(UTC))
    for line in backfill_lines(planned):
        say(line)
    runs = counted(len(planned.planned), "run")
    if dry_run or not planned.planned:
        say(f"{runs} to start" if dry_run else "nothing to run")
        return
    refuse_paused(airflow, dag, unpause)
    carry_out(airflow, planned, say)
    say(f"{runs} started")
    if wait:
        _wait(airflow, planned)


def _wait(airflow: TeamAirflow, planned: Backfill) -> None:
    from jobyard_cli.runs.wait import follow_days

    ended = follow_days(airflow, planned.dag.job, [day.logical for day in planned.planned], say)
    failed = [run for run in ended if run.state == "failed"]
    say(f"{len(ended) - len(failed)} succeeded, {len(failed)} failed")
    if failed:
        raise typer.Exit(1)
