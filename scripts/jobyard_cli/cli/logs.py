"""`jobyard logs`: what a task has printed."""

from __future__ import annotations

from typing import Annotated

import typer

from jobyard_cli.cli.options import (
    AirflowUrl,
    JobName,
    OptionalEnvironmentName,
    PlatformWorkTree,
    RunId,
    TeamRepository,
)
from jobyard_cli.cli.team_airflow import find_airflow, note, say


def logs(
    job: JobName,
    task: Annotated[str, typer.Argument(metavar="TASK", help="Task whose log is shown.")],
    environment: OptionalEnvironmentName = None,
    run: RunId = None,
    attempt: Annotated[int | None, typer.Option("--try", min=1, help="Try.", show_default="the newest")] = None,
    map_index: Annotated[
        int | None, typer.Option(min=0, help="Instance of the task's foreach.", show_default="the only one")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Show lines as they come until the task has ended.")
    ] = False,
    airflow_url: AirflowUrl = None,
    platform: PlatformWorkTree = None,
    repo: TeamRepository = None,
) -> None:
    """Show the log of a task in Airflow.

    Exit codes: 0 it is shown, and with --follow the task has not failed; 1 the task has failed, or its log is not
    available; 2 the command itself is wrong.
    """
    from jobyard_cli.runs.logs import follow_log, log_of
    from jobyard_cli.runs.model import TASK_FAILED

    _, airflow = find_airflow(environment, airflow_url, platform, repo)
    airflow.dag(job)
    chosen = airflow.run(job, run) if run else airflow.newest(job)
    one = airflow.task(chosen, task, map_index)
    if not follow:
        for line in log_of(airflow, chosen, one, attempt):
            print(line)
        return
    ended = follow_log(airflow, chosen, one, attempt, say, note)
    note(f"{ended.label}: {ended.state}")
    if ended.state in TASK_FAILED:
        raise typer.Exit(1)
