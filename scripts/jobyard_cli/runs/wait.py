"""Follows runs until they have ended, and says what changes. Airflow may be away meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import TypeVar

from jobyard_cli.runs.model import Run, TaskRun
from jobyard_cli.runs.team_airflow import TeamAirflow
from jobyard_cli.system.waiting import CLOCK, PATIENCE_SECONDS, Clock, insist

PAUSE_SECONDS = 2.0
"""Between two looks at Airflow."""

T = TypeVar("T")
Report = Callable[[str], None]


def follow_run(airflow: TeamAirflow, run: Run, report: Report, clock: Clock = CLOCK) -> Run:
    """Report each task's states as they change; return the run once it has ended.

    Raises:
        AirflowError: Airflow stays away, or refuses.
        UnknownRunError: somebody has deleted the run.
    """
    seen: dict[str, tuple[str, int]] = {}
    while True:
        # Before the tasks, so that of a run that has ended every task is reported.
        state = patiently(lambda: airflow.again(run), report, clock)
        for task in patiently(lambda: airflow.tasks(run), report, clock):
            if seen.get(task.label) != (now := (task.state, task.attempt)):
                seen[task.label] = now
                report(task_words(task))
        if state.is_finished:
            return state
        clock.sleep(PAUSE_SECONDS)


def follow_days(
    airflow: TeamAirflow, job: str, logical: Collection[datetime], report: Report, clock: Clock = CLOCK
) -> list[Run]:
    """Report the states of the runs of these logical dates as they change; return them once all have ended.

    Raises:
        AirflowError: Airflow stays away, or refuses.
    """
    seen: dict[str, str] = {}
    while True:
        runs = patiently(lambda: _runs(airflow, job, logical), report, clock)
        for run in runs:
            if seen.get(run.id) != run.state:
                seen[run.id] = run.state
                report(f"{run.id} {run.state}")
        if {run.logical for run in runs} == set(logical) and all(run.is_finished for run in runs):
            return runs
        clock.sleep(PAUSE_SECONDS)


def patiently(look: Callable[[], T], report: Report, clock: Clock = CLOCK) -> T:
    """Return what a look at Airflow finds, though Airflow be away for a while.

    Raises:
        AirflowBusyError: it stays away.
    """
    return insist(look, PATIENCE_SECONDS, report=report, clock=clock)


def task_words(task: TaskRun) -> str:
    """Return `train running (try 2)`."""
    attempt = f" (try {task.attempt})" if task.attempt > 1 else ""
    return f"{task.label} {task.state}{attempt}"


def _runs(airflow: TeamAirflow, job: str, logical: Collection[datetime]) -> list[Run]:
    wanted = set(logical)
    found = airflow.runs_between(job, min(wanted), max(wanted))
    return sorted((run for run in found if run.logical in wanted), key=lambda run: str(run.logical))
