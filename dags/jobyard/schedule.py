"""When a job runs."""

from datetime import date, datetime, time
from typing import Any

import pendulum
from pendulum import Timezone

from jobyard.compat import CronDataIntervalTimetable
from jobyard.release import Job

# Not cron, and Airflow's own words for them.
WORDS = frozenset({"@once", "@continuous"})


def schedule_arguments(job: Job) -> dict[str, Any]:
    """Return the DAG's arguments about time.

    Dates are days of the job's own timezone, both of them included.

    Raises:
        ValueError: a date or the timezone is not one; likewise what Airflow raises for a bad schedule.
    """
    timezone = pendulum.timezone(job["timezone"])
    end = job["end_date"]
    return {
        "schedule": timetable(job["schedule"], timezone),
        "start_date": moment(job["start_date"], time.min, timezone),
        "end_date": moment(end, time(23, 59, 59), timezone) if end else None,
    }


def timetable(schedule: str | None, timezone: Timezone) -> str | CronDataIntervalTimetable | None:
    """Return what DAG takes as `schedule`; None is "by hand alone".

    The timetable is named because Airflow 3 gives a plain cron string another one, whose runs have no data
    interval: `ds` would be the day of the run, not the day of the data.
    """
    if schedule is None or schedule in WORDS:
        return schedule
    cron = CronDataIntervalTimetable(schedule, timezone=timezone)
    cron.validate()
    return cron


def moment(day: str, at: time, timezone: Timezone) -> datetime:
    """Return that time of that day (YYYY-MM-DD)."""
    return pendulum.instance(datetime.combine(date.fromisoformat(day), at), tz=timezone)
