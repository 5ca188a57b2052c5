"""The log of a task, once or as it grows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from jobyard_cli.airflow.transport import AirflowNotFoundError
from jobyard_cli.runs.errors import NotStartedError, UnknownTaskOfRunError
from jobyard_cli.runs.model import Run, TaskRun
from jobyard_cli.runs.team_airflow import TeamAirflow
from jobyard_cli.runs.wait import PAUSE_SECONDS, patiently
from jobyard_cli.system.waiting import CLOCK, Clock

Print = Callable[[str], None]


def log_of(airflow: TeamAirflow, run: Run, task: TaskRun, attempt: int | None = None) -> list[str]:
    """Return the lines of the log of a try, by default the newest.

    Raises:
        NotStartedError: the task has not started.
        UnknownTaskOfRunError: it has no such try.
        AirflowError: unreachable, or refused.
    """
    if task.attempt == 0 or task.start is None and attempt is None and not task.has_ended:
        raise NotStartedError(task.label, run.id, task.state)
    if attempt is not None and attempt > task.attempt:
        tries = "1 try" if task.attempt == 1 else f"{task.attempt} tries"
        raise UnknownTaskOfRunError(f"task {task.label} of run {run.id} has had {tries}; got --try {attempt}")
    return airflow.log(run, task, attempt or task.attempt)


def follow_log(
    airflow: TeamAirflow,
    run: Run,
    task: TaskRun,
    attempt: int | None,
    show: Print,
    report: Print,
    clock: Clock = CLOCK,
) -> TaskRun:
    """Show the log as it grows, until the task, or the try that was asked for, has ended; return the task then.

    `report` is given what is not a line of the log, such as that a next try begins.

    Raises:
        UnknownTaskOfRunError: the task was taken out of the run.
        AirflowError: Airflow stays away, or refuses.
    """
    current, waiting = 0, ""
    shown: list[str] = []
    while True:
        # Before the log, so that of a task that has ended every line is shown.
        task = patiently(partial(airflow.task, run, task.task, task.map_index), report, clock)
        wanted = attempt or task.attempt
        if wanted != current:
            if current:
                report(f"{task.label}: try {wanted}")
            current, shown = wanted, []
        lines = patiently(partial(_lines, airflow, run, task, wanted), report, clock)
        for line in _new(lines, shown):
            show(line)
        shown = lines or shown
        if _is_over(task, wanted):
            return task
        if not lines and task.state != waiting:
            waiting = task.state
            report(f"{task.label}: {waiting}")
        clock.sleep(PAUSE_SECONDS)


def _new(lines: list[str], shown: list[str]) -> list[str]:
    """The lines that were not shown; all of them, where what was shown was why the log could not be read."""
    return lines[len(shown) :] if lines[: len(shown)] == shown else lines


def _lines(airflow: TeamAirflow, run: Run, task: TaskRun, attempt: int) -> list[str]:
    """The lines so far; none before the task has a log."""
    if attempt == 0 or attempt > task.attempt:
        return []
    try:
        return airflow.log(run, task, attempt)
    except AirflowNotFoundError:
        return []


def _is_over(task: TaskRun, attempt: int) -> bool:
    return task.has_ended or task.attempt > attempt > 0
