"""What can go wrong with a team's runs in Airflow, each said so that a person can act on it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from jobyard_cli.check.findings import did_you_mean, unknown
from jobyard_cli.errors import JobyardError, UsageError

SHOWN = 5
"""So many known names are in a message."""


class RunsError(JobyardError):
    """Runs can't be looked at, or steered."""


class UnknownJobInAirflowError(RunsError, UsageError):
    """Neither the repository nor Airflow has such a job."""

    def __init__(self, job: str, known: Collection[str], where: str) -> None:
        super().__init__(unknown("job", job, known, f"{where} and this repository have"))


class NotReleasedError(RunsError):
    """The repository has the job, and Airflow does not yet."""

    def __init__(self, job: str, dag: str, where: str) -> None:
        super().__init__(
            f"job '{job}' is not released yet: {where} has no DAG {dag}. The pipeline releases it after the merge "
            "(`jobyard sync`)"
        )


class NoRunsError(RunsError):
    """The job has not run yet."""

    def __init__(self, job: str) -> None:
        super().__init__(f"job '{job}' has no run yet: `jobyard trigger {job}` starts one")


class UnknownRunError(RunsError, UsageError):
    """The job has no such run; the message has the nearest, or else the newest."""

    def __init__(self, job: str, run: str, known: Sequence[str]) -> None:
        hint = did_you_mean(run, known) or f"the newest: {', '.join(known[:SHOWN]) or 'none'}"
        super().__init__(f"job '{job}' has no run '{run}' ({hint}); `jobyard runs {job}` lists them")


class UnknownTaskOfRunError(RunsError, UsageError):
    """The run has no such task, no such instance of its foreach, or no such try."""


class NotStartedError(RunsError):
    """The task has not started, and has no log."""

    def __init__(self, label: str, run: str, state: str) -> None:
        super().__init__(f"task {label} of run {run} has not started (state: {state}); it has no log yet")


class DayError(RunsError, UsageError):
    """Days are wrong; the message has every problem."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))


class NoClockError(RunsError, UsageError):
    """The job has no schedule by the clock, and so no days to backfill."""

    def __init__(self, job: str) -> None:
        super().__init__(
            f"job '{job}' has no cron schedule, so that its days can't be listed: "
            f"start single runs with `jobyard trigger {job} --day DAY`"
        )


class PausedJobError(RunsError):
    """The DAG is paused: its runs would wait."""

    def __init__(self, job: str, dag: str) -> None:
        super().__init__(
            f"job '{job}' is paused in Airflow: a run would wait until somebody unpauses {dag}. "
            "Add --unpause to do so; its scheduled runs go on then, too"
        )


class RunExistsError(RunsError):
    """The job has a run with that logical date; Airflow allows one."""

    def __init__(self, job: str, run: str, state: str) -> None:
        super().__init__(
            f"job '{job}' has a run of that day: {run} ({state}). To run it again: `jobyard clear {job} --run '{run}'`"
        )


class RefusedError(RunsError):
    """Airflow or MWAA does not permit it; the message says which permission is missing."""

    def __init__(self, refusal: str, permission: str, role: str) -> None:
        super().__init__(
            f"{refusal}\nthis needs the Airflow permission {permission}, which Airflow's role {role} has for all DAGs "
            "(docs/runs.md has what a team's role has). On MWAA, IAM must allow airflow:InvokeRestApi on "
            f"role/<environment>/{role}, or on role/<environment>/Public for a person with the team's role"
        )


class AnswerLostError(RunsError):
    """Airflow did not answer a call that changes something, which is not sent twice."""

    def __init__(self, what: str, reason: str, look: str) -> None:
        super().__init__(f"{reason}\n{what}: nothing was sent twice; look with `{look}` before you repeat it")


class ConflictError(RunsError):
    """Airflow has something already that excludes it."""


class NeedsYesError(RunsError, UsageError):
    """Nobody can be asked, as the input is not a terminal."""

    def __init__(self) -> None:
        super().__init__("standard input is not a terminal, so that nobody can be asked: add --yes")
