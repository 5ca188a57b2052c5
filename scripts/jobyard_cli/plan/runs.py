"""When a job runs: in words, the next runs, and how many Airflow would make up for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import islice

from jobyard.contract import CONTINUOUS
from jobyard.entries import AfterJobs, Job

from jobyard_cli.check.timing import has_clock
from jobyard_cli.plan.clock import Clock, local
from jobyard_cli.plan.model import Timing

SHOWN = 3
COUNTED = 10_000
"""As many missed runs are counted."""
_WORDS: dict[str | None, str] = {
    None: "by hand",
    "@once": "once",
    CONTINUOUS: "again as soon as the previous run has ended",
}
Interval = tuple[datetime, datetime]
"""A data interval; the run starts at its end."""


def timing(job: Job, now: datetime, *, is_new: bool = False) -> Timing:
    """Return when a compiled job runs; `is_new` says that Airflow does not have it yet."""
    schedule = job["schedule"]
    if isinstance(schedule, dict):
        return Timing(_after(schedule))
    if schedule is None or not has_clock(schedule):
        return Timing(_WORDS[schedule])
    clock = Clock(schedule, job["timezone"])
    next_runs = [_text(start) for start in upcoming_starts(job, now, SHOWN)]
    at_once = None
    if is_new and not job["catchup"]:
        at_once = _at_once(clock, job, now)
    return Timing(f"{clock.words}, {job['timezone']}", next_runs, at_once)


def _after(schedule: AfterJobs) -> str:
    jobs = schedule.get("after")
    assets = schedule.get("assets")
    parts = []
    if jobs:
        parts.append(f"after a success of {' and '.join(jobs)}")
    if assets:
        parts.append(f"when there is new data in {' and '.join(assets)}")
    return " and ".join(parts)


def _text(moment: datetime) -> str:
    return f"{moment:%a %Y-%m-%d %H:%M} {moment.tzname()}"


def upcoming(job: Job, now: datetime) -> Iterator[Interval]:
    """Yield the data intervals of the next runs of a job with a clock."""
    clock = _clock(job)
    end = _end(clock, job)
    start = max(_first(clock, job), clock.before(now + timedelta(seconds=1)))
    while start <= end:
        following = clock.after(start)
        yield start, following
        start = following


def upcoming_starts(job: Job, now: datetime, most: int) -> Iterator[datetime]:
    """Yield the moments at which the next runs of a job with a clock start, at most this many."""
    for _, end in islice(upcoming(job, now), most):
        yield end


def missed(job: Job, now: datetime) -> int:
    """Return how many data intervals since the start_date of a job with a clock are over, at most COUNTED."""
    clock = _clock(job)
    start = _first(clock, job)
    end = _end(clock, job)
    number = 0
    while number < COUNTED and start <= end:
        start = clock.after(start)
        if start > now:
            break
        number += 1
    return number


def _clock(job: Job) -> Clock:
    return Clock(str(job["schedule"]), job["timezone"])


def _at_once(clock: Clock, job: Job, now: datetime) -> str | None:
    """The data interval for which Airflow starts a run as soon as it sees the job: the last that is over."""
    end = clock.before(now + timedelta(seconds=1))
    start = clock.before(end)
    if not _first(clock, job) <= start <= _end(clock, job):
        return None
    return f"for the data of {_text(start)} to {_text(end)}"


def _first(clock: Clock, job: Job) -> datetime:
    start = local(datetime.combine(date.fromisoformat(job["start_date"]), time.min), clock.zone)
    return clock.after(start - timedelta(seconds=1))


def _end(clock: Clock, job: Job) -> datetime:
    """The last moment at which a data interval may start; without an end_date, the last one that Python knows."""
    day = job["end_date"]
    if not day:
        return datetime.max.replace(tzinfo=clock.zone)
    return local(datetime.combine(date.fromisoformat(day), time(23, 59, 59)), clock.zone)
