"""Days of a job, which are those on which data intervals start, in the job's time zone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from jobyard.entries import Job

from jobyard_cli.check.timing import has_clock
from jobyard_cli.plan.clock import Clock, local
from jobyard_cli.runs.errors import DayError, NoClockError

_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Days:
    """From the first to the last day, both included; the moments are in the job's time zone."""

    first: date
    last: date
    zone: ZoneInfo

    @property
    def start(self) -> datetime:
        """Return the moment at which the first day begins."""
        return local(datetime.combine(self.first, time.min), self.zone)

    @property
    def end(self) -> datetime:
        """Return the last second of the last day."""
        after = local(datetime.combine(self.last + _DAY, time.min), self.zone)
        return (after.astimezone(UTC) - _SECOND).astimezone(self.zone)


def days_of(job: Job, first: str, last: str) -> Days:
    """Return the days that `--from` and `--to` name.

    Raises:
        DayError: one is not YYYY-MM-DD, or the last is before the first.
    """
    problems: list[str] = []
    found = [_day(option, text, problems) for option, text in (("--from", first), ("--to", last))]
    if not problems and found[1] < found[0]:
        problems.append(f"--to must not be before --from; got --from {first} --to {last}")
    if problems:
        raise DayError(problems)
    return Days(found[0], found[1], ZoneInfo(job["timezone"]))


def _day(option: str, text: str, problems: list[str]) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        problems.append(f"{option} must be a date such as 2026-11-20; got '{text}'")
        return date.min


def clock_of(name: str, job: Job) -> Clock:
    """Return the clock of a job's schedule.

    Raises:
        NoClockError: it has no cron schedule.
    """
    schedule = job["schedule"]
    if not isinstance(schedule, str) or not has_clock(schedule):
        raise NoClockError(name)
    return Clock(schedule, job["timezone"])


def intervals(clock: Clock, days: Days, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield the data intervals that start on these days and are over."""
    start = clock.after(days.start - _SECOND)
    while start <= days.end:
        end = clock.after(start)
        if end > now:
            return
        yield start, end
        start = end
