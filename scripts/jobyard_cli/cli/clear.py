"""`jobyard clear`: tasks that Airflow is to run again."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from jobyard_cli.cli.options import AirflowUrl, JobName, OptionalEnvironmentName, PlatformWorkTree, TeamRepository
from jobyard_cli.cli.team_airflow import find_airflow, note, say


def clear(
    job: JobName,
    run: Annotated[str, typer.Option("--run", help="Id of the run, as `jobyard runs` shows it.")],
    task: Annotated[
        str | None, typer.Argument(metavar="TASK", help="Task to clear.", show_default="all tasks of the run")
    ] = None,
    environment: OptionalEnvironmentName = None,
    downstream: Annotated[
        bool, typer.Option("--downstream", help="Clear the tasks that need TASK, too, directly or not.")
    ] = False,
    failed_only: Annotated[bool, typer.Option("--failed-only", help="Clear only tasks that have failed.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    airflow_url: AirflowUrl = None,
    platform: PlatformWorkTree = None,
    repo: TeamRepository = None,
) -> None:
    """Clear tasks of a run, so that Airflow runs them again. It first says which, and asks.

    Exit codes: 0 they are cleared, or none had to be; 1 you declined, or they can't be cleared; 2 the command
    itself is wrong.
    """
    from jobyard_cli.errors import UsageError
    from jobyard_cli.runs.clear import Clearing, to_clear
    from jobyard_cli.runs.clear import clear as carry_out
    from jobyard_cli.runs.wait import task_words

    if downstream and task is None:
        raise UsageError("--downstream needs a TASK: without one, all tasks are cleared")
    _, airflow = find_airflow(environment, airflow_url, platform, repo)
    dag = airflow.dag(job)
    chosen = airflow.run(job, run)
    if task is not None:
        airflow.require_task(chosen, task)
    clearing = Clearing(chosen, task, downstream, failed_only)
    tasks = to_clear(airflow, clearing)
    if not tasks:
        say("nothing to clear")
        return
    for one in tasks:
        say(f"will clear {task_words(one)}")
    if dag.is_paused:
        note(f"job '{job}' is paused in Airflow: the tasks wait until somebody unpauses {dag.id}")
    if not yes:
        _ask(len(tasks))
    carry_out(airflow, clearing)
    say(f"cleared; follow it with `jobyard runs {job} '{chosen.id}'`")


def _ask(count: int) -> None:
    """Ask.

    Raises:
        NeedsYesError: nobody can answer.
        Abort: the person declined.
    """
    from jobyard_cli.runs.errors import NeedsYesError

    if not sys.stdin.isatty():
        raise NeedsYesError
    typer.confirm("Clear this task?" if count == 1 else f"Clear these {count} tasks?", abort=True)
