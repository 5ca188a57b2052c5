"""Starts runs: each by one call that is not repeated, with an id by which it is found if the answer is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any

from jobyard.entries import Job

from jobyard_cli.airflow.transport import AirflowBusyError, AirflowConflictError
from jobyard_cli.running.errors import InvalidOptionError
from jobyard_cli.running.moments import OtherJob, find_moments
from jobyard_cli.running.values import params_of
from jobyard_cli.runs.errors import AnswerLostError, DayError, PausedJobError, RunExistsError
from jobyard_cli.runs.model import Run
from jobyard_cli.runs.team_airflow import START, Dag, TeamAirflow, permitted

MANUAL = "manual"


@dataclass(frozen=True)
class Order:
    """A run to start. Without an interval, Airflow takes the last that was over at the logical date."""

    logical: datetime
    interval: tuple[datetime, datetime] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        """Return the run's id: Airflow lets no other kind of run begin with this word."""
        return f"{MANUAL}__{self.logical.astimezone(UTC).isoformat()}"

    @property
    def body(self) -> dict[str, Any]:
        """Return the call's body, the same for every version."""
        body: dict[str, Any] = {
            "dag_run_id": self.run_id,
            "logical_date": self.logical.astimezone(UTC).isoformat(),
            "conf": dict(self.params),
        }
        if self.interval:
            start, end = self.interval
            body["data_interval_start"] = start.astimezone(UTC).isoformat()
            body["data_interval_end"] = end.astimezone(UTC).isoformat()
        return body


def order_of(
    job: Job, day: date | None, at: time | None, params: Sequence[str], now: datetime, other: OtherJob
) -> Order:
    """Return the run of a day, or the one of now, with the values of `--param`.

    Raises:
        InvalidOptionError: a parameter is unknown, or its value of another type.
        NoSuchRunError: the day has no run of the job, or several.
        DayError: the day is before the job's start, or not over.
    """
    values, problems = params_of(job, params)
    if problems:
        raise InvalidOptionError(problems)
    if day is None:
        return Order(now, None, values)
    moments = find_moments(job, day, at, now, other)
    if problem := _impossible(job, moments.start, moments.end, now):
        raise DayError([problem])
    return Order(moments.start, (moments.start, moments.end), values)


def _impossible(job: Job, start: datetime, end: datetime, now: datetime) -> str:
    if f"{start:%Y-%m-%d}" < str(job["start_date"]):
        return f"the job starts on {job['start_date']} (`start_date`): a run of {start:%Y-%m-%d} would have no tasks"
    if end > now:
        return f"the data interval of {start:%Y-%m-%d} is not over before {end:%Y-%m-%d %H:%M %Z}"
    return ""


def refuse_paused(airflow: TeamAirflow, dag: Dag, unpause: bool) -> None:
    """Unpause a DAG if asked.

    Raises:
        PausedJobError: it is paused, and stays so.
        RefusedError: not permitted.
    """
    if not dag.is_paused:
        return
    if not unpause:
        raise PausedJobError(dag.job, dag.id)
    airflow.unpause(dag)


def start(airflow: TeamAirflow, dag: Dag, order: Order) -> Run:
    """Start a run.

    Raises:
        RunExistsError: the job has a run of that logical date.
        RefusedError: not permitted.
        AnswerLostError: Airflow did not answer, and does not have the run.
        AirflowError: it can't be reached, or refuses, such as a parameter.
    """
    try:
        with permitted(START):
            return Run.of(airflow.client.call("POST", f"dags/{dag.id}/dagRuns", order.body))
    except AirflowConflictError as error:
        for run in airflow.runs_between(dag.job, order.logical, order.logical):
            raise RunExistsError(dag.job, run.id, run.state) from error
        raise
    except AirflowBusyError as error:
        return _found(airflow, dag, order, error)


def _found(airflow: TeamAirflow, dag: Dag, order: Order, lost: AirflowBusyError) -> Run:
    """Return the run that a call without an answer has started."""
    try:
        for run in airflow.runs_between(dag.job, order.logical, order.logical):
            if run.id == order.run_id:
                return run
    except AirflowBusyError:
        pass
    what = f"whether Airflow has started run {order.run_id} is not known"
    raise AnswerLostError(what, str(lost), f"jobyard runs {dag.job}") from lost
