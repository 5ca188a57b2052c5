"""Runs of days that are over: Airflow 3's backfills, and in Airflow 2, whose API has none, a run for each day."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jobyard.entries import Job

from jobyard_cli.airflow.transport import AirflowBusyError, AirflowConflictError
from jobyard_cli.runs.clear import Clearing, clear
from jobyard_cli.runs.days import Days, clock_of, intervals
from jobyard_cli.runs.errors import AnswerLostError, ConflictError, DayError, RunExistsError
from jobyard_cli.runs.model import Run, moment
from jobyard_cli.runs.reprocess import Reprocess
from jobyard_cli.runs.team_airflow import START, Dag, TeamAirflow, permitted
from jobyard_cli.runs.trigger import Order, start

Report = Callable[[str], None]
Interval = tuple[datetime, datetime]


@dataclass(frozen=True)
class BackfillDay:
    """A run that a backfill starts, or clears where the day has one."""

    logical: datetime
    interval: Interval | None
    run: Run | None

    @property
    def words(self) -> str:
        """Return what becomes of the day."""
        return f"run {self.run.id} is cleared ({self.run.state})" if self.run else "a new run"


@dataclass(frozen=True)
class Backfill:
    """A backfill before it is started."""

    dag: Dag
    days: Days
    reprocess: Reprocess
    planned: Sequence[BackfillDay]
    skipped: Sequence[Run]
    """Runs of these days that stay as they are."""

    @property
    def body(self) -> dict[str, Any]:
        """Return the body of the call to Airflow 3."""
        return {
            "dag_id": self.dag.id,
            "from_date": self.days.start.isoformat(),
            "to_date": self.days.end.isoformat(),
            "reprocess_behavior": self.reprocess.value,
        }


def plan(airflow: TeamAirflow, dag: Dag, job: Job, days: Days, reprocess: Reprocess, now: datetime) -> Backfill:
    """Return what a backfill would do for these days.

    Raises:
        NoClockError: the job has no cron schedule.
        DayError: the days are not over, or, in Airflow 2, before the job's start.
        RefusedError: not permitted.
        AirflowError: unreachable, or refused.
    """
    clock = clock_of(dag.job, job)
    if days.start > now:
        raise DayError([f"--from must be a day that is over; got {days.first}"])
    runs = airflow.runs_between(dag.job, days.start, days.end)
    empty = Backfill(dag, days, reprocess, (), ())
    if airflow.generation.has_backfills:
        planned = list(_planned_by_airflow(airflow, empty, _by_date(runs)))
    else:
        _refuse_early(job, days)
        planned = list(_planned(intervals(clock, days, now), _by_date(runs), reprocess))
    cleared = {day.run.id for day in planned if day.run}
    return Backfill(dag, days, reprocess, planned, [run for run in runs if run.id not in cleared])


def _by_date(runs: Sequence[Run]) -> dict[datetime, Run]:
    return {run.logical: run for run in runs if run.logical}


def _refuse_early(job: Job, days: Days) -> None:
    """Raise for days before the job's start: in Airflow 2, such a run has no tasks, and succeeds."""
    if str(days.first) < str(job["start_date"]):
        raise DayError([f"--from must not be before the job's `start_date`, {job['start_date']}; got {days.first}"])


def _planned_by_airflow(airflow: TeamAirflow, backfill: Backfill, runs: dict[datetime, Run]) -> Iterator[BackfillDay]:
    with permitted(START):
        answer = airflow.client.look("backfills/dry_run", backfill.body)
    for entry in answer["backfills"]:
        if logical := moment(entry["logical_date"]):
            yield BackfillDay(logical, None, runs.get(logical))


def _planned(found: Iterator[Interval], runs: dict[datetime, Run], reprocess: Reprocess) -> Iterator[BackfillDay]:
    """Yield the days to run, as Airflow 3 chooses them."""
    for interval in found:
        logical = interval[0].astimezone(UTC)
        run = runs.get(logical)
        if run is None or _is_reprocessed(run, reprocess):
            yield BackfillDay(logical, interval, run)


def _is_reprocessed(run: Run, reprocess: Reprocess) -> bool:
    if reprocess is Reprocess.failed:
        return run.state == "failed"
    return reprocess is Reprocess.completed and run.is_finished


def carry_out(airflow: TeamAirflow, backfill: Backfill, report: Report) -> None:
    """Start it.

    Raises:
        ConflictError: the job has a backfill that has not ended.
        RefusedError: not permitted.
        AnswerLostError: Airflow did not answer, and what it did is not known.
        AirflowError: unreachable, or refused.
    """
    if airflow.generation.has_backfills:
        _create(airflow, backfill)
        return
    for day in backfill.planned:
        _run_day(airflow, backfill.dag, day, report)


def _create(airflow: TeamAirflow, backfill: Backfill) -> None:
    before = _backfills(airflow, backfill)
    try:
        with permitted(START):
            airflow.client.call("POST", "backfills", backfill.body)
    except AirflowConflictError as error:
        raise ConflictError(
            f"job '{backfill.dag.job}' has a backfill that has not ended: wait for its runs (`jobyard runs "
            f"{backfill.dag.job} --state running --state queued`), or cancel it on Airflow's page"
        ) from error
    except AirflowBusyError as error:
        if not _has_new(airflow, backfill, before):
            what = "whether Airflow has created the backfill is not known"
            raise AnswerLostError(what, str(error), f"jobyard runs {backfill.dag.job}") from error


def _backfills(airflow: TeamAirflow, backfill: Backfill) -> set[int]:
    """The ids of the job's backfills."""
    with permitted(START):
        return {int(entry["id"]) for entry in airflow.client.listed("backfills", "backfills", dag_id=backfill.dag.id)}


def _has_new(airflow: TeamAirflow, backfill: Backfill, before: set[int]) -> bool:
    try:
        return bool(_backfills(airflow, backfill) - before)
    except AirflowBusyError:
        return False


def _run_day(airflow: TeamAirflow, dag: Dag, day: BackfillDay, report: Report) -> None:
    if day.run is not None:
        clear(airflow, Clearing(day.run))
        report(f"{day.run.id} cleared")
        return
    try:
        report(f"{start(airflow, dag, Order(day.logical, day.interval)).id} started")
    except RunExistsError as error:
        report(f"skipped: {error}")
