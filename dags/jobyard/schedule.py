"""When a job runs."""

from datetime import date, datetime, time
from typing import Any

import pendulum
from croniter import CroniterBadDateError, croniter  # type: ignore[import-untyped]
from pendulum import Timezone

from jobyard.assets import job_asset, named_asset
from jobyard.compat import Asset, CronDataIntervalTimetable
from jobyard.contract import NO_CLOCK
from jobyard.entries import Job, Schedule
from jobyard.errors import JobError


def schedule_arguments(job: Job) -> dict[str, Any]:
    """Return the DAG's arguments about time.

    Dates are days of the job's own timezone, both of them included.

    Raises:
        JobError: an asset's URI or a job's name is invalid, or the job follows nothing.
        ValueError: a date or the timezone is invalid; likewise what Airflow raises for an invalid schedule.
    """
    timezone = pendulum.timezone(job["timezone"])
    end = job["end_date"]
    return {
        "schedule": timetable(job["schedule"], timezone),
        "start_date": moment(job["start_date"], time.min, timezone),
        "end_date": moment(end, time(23, 59, 59), timezone) if end else None,
    }


def is_cron(schedule: Schedule) -> bool:
    """Return whether the runs follow each other by the clock, each with a data interval of its own."""
    return isinstance(schedule, str) and schedule not in NO_CLOCK


def timetable(schedule: Schedule, timezone: Timezone) -> str | CronDataIntervalTimetable | list[Asset] | None:
    """Return the DAG's `schedule`; None is manual runs only; with several assets, all must have been updated.

    The timetable is named because Airflow 3 gives a plain cron string another one, whose runs have no data
    interval: `ds` would be the day of the run, not the day of the data.
    """
    if isinstance(schedule, dict):
        assets = [*map(job_asset, schedule.get("after", [])), *map(named_asset, schedule.get("assets", []))]
        if not assets:
            raise JobError("the schedule must name at least one job in 'after' or asset in 'assets'")
        return assets
    if schedule is None or schedule in NO_CLOCK:
        return schedule
    cron = CronDataIntervalTimetable(schedule, timezone=timezone)
    cron.validate()
    check_comes(schedule)
    return cron


def check_comes(schedule: str) -> None:
    """Raise JobError for a day that no year has, such as 31 February, for which Airflow would search without end."""
    parts = schedule.split()
    if len(parts) != 5 or "*" in (parts[2], parts[3]):
        return
    try:
        croniter(schedule, datetime(2024, 1, 1)).get_next()
    except CroniterBadDateError:
        raise JobError(f"schedule {schedule!r} never comes: no year has such a day") from None


def moment(day: str, at: time, timezone: Timezone) -> datetime:
    """Return that time of that day (YYYY-MM-DD)."""
    return pendulum.instance(datetime.combine(date.fromisoformat(day), at), tz=timezone)
