"""Which run of a job is run: the one whose data interval starts on a day, as Airflow would have it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from jobyard.entries import Job

from jobyard_cli.check.timing import has_clock
from jobyard_cli.plan.clock import Clock, local
from jobyard_cli.running.errors import NoSuchRunError

SCHEDULED = "scheduled"
MANUAL = "manual"
BY_ASSETS = "asset_triggered"
SHOWN = 6
"""As many runs of a day are listed."""
_SECOND = timedelta(seconds=1)
_MINUTE = "%Y-%m-%d %H:%M"

Interval = tuple[datetime, datetime]
OtherJob = Callable[[str], Mapping[str, Any] | None]
"""What is known of a job by `<team>.<job>`: its `schedule` and `timezone`."""


@dataclass(frozen=True)
class Moments:
    """The run's times: its data interval, in the job's time zone, and how Airflow would have started it."""

    start: datetime
    end: datetime
    kind: str
    folder: str
    """The name of its folder: the day, and the time of day too where the day has other runs."""
    assumed: str = ""
    """What was assumed of the interval, in words, where nothing here says what it is in Airflow."""

    @property
    def words(self) -> str:
        """The data interval in words, in the job's time zone."""
        if self.start == self.end:
            return f"data interval at {self.start:{_MINUTE} %Z}"
        return f"data interval {self.start:{_MINUTE}} to {self.end:{_MINUTE} %Z}"

    @property
    def run_id(self) -> str:
        """Airflow 3's id of such a run."""
        moment = self.end if self.kind == SCHEDULED else self.start
        return f"{self.kind}__{moment.astimezone(UTC).isoformat()}"


def find_moments(job: Job, day: date | None, at: time | None, now: datetime, other: OtherJob) -> Moments:
    """The run of the job whose data interval starts that day, and at that time if the day has several.

    Without a day, the last one that is over; of a job without a clock, today's.

    Raises:
        NoSuchRunError: the day has no run, or several and no time says which one.
    """
    zone = ZoneInfo(job["timezone"])
    schedule = job["schedule"]
    if isinstance(schedule, str) and has_clock(schedule):
        clock = Clock(schedule, job["timezone"])
        return _of_clock(clock, day or _last_day(clock, now), at, zone)
    chosen = day or now.astimezone(zone).date()
    if isinstance(schedule, dict):
        return _after_others(schedule.get("after", []), chosen, at, zone, other)
    moment = local(datetime.combine(chosen, at or time.min), zone)
    return Moments(moment, moment, MANUAL, _folder(moment, alone=at is None))


def _last_day(clock: Clock, now: datetime) -> date:
    """The day on which the last data interval began that is over."""
    return clock.before(clock.before(now + _SECOND)).date()


def _of_clock(clock: Clock, day: date, at: time | None, zone: ZoneInfo) -> Moments:
    start, end = _one(clock, day, at, zone)
    return Moments(start, end, SCHEDULED, _folder(start, alone=len(list(_starts(clock, day, zone))) == 1))


def _one(clock: Clock, day: date, at: time | None, zone: ZoneInfo) -> Interval:
    """The data interval that starts then."""
    starts = list(_starts(clock, day, zone))
    if not starts:
        raise NoSuchRunError(f"no run has a data interval that starts on {day} ({clock.words}); {_nearest(clock, day)}")
    chosen = [start for start in starts if at is None or start.time() == at]
    if not chosen:
        raise NoSuchRunError(f"no data interval of {day} starts at {at:%H:%M}; there is --at {_listed(starts)}")
    if len(chosen) > 1:
        raise NoSuchRunError(
            f"{day} has {len(starts)} runs; choose one by the start of its data interval: --at {_listed(starts)}"
        )
    return chosen[0], clock.after(chosen[0])


def _starts(clock: Clock, day: date, zone: ZoneInfo) -> Iterator[datetime]:
    """Yield the starts of the data intervals of a day in the zone."""
    moment = clock.after(local(datetime.combine(day, time.min), zone) - _SECOND)
    while moment.astimezone(zone).date() == day:
        yield moment.astimezone(zone)
        moment = clock.after(moment)


def _nearest(clock: Clock, day: date) -> str:
    midnight = local(datetime.combine(day, time.min), clock.zone)
    before, after = clock.before(midnight), clock.after(midnight)
    return f"the nearest are --day {before:%Y-%m-%d} and --day {after:%Y-%m-%d}"


def _listed(starts: Sequence[datetime]) -> str:
    shown = [f"{start:%H:%M}" for start in islice(starts, SHOWN)]
    if len(starts) > SHOWN:
        shown.append(f"… {starts[-1]:%H:%M}")
    return ", ".join(shown)


def _after_others(jobs: Sequence[str], day: date, at: time | None, zone: ZoneInfo, other: OtherJob) -> Moments:
    """The run after the runs of other jobs, whose data intervals it spans."""
    intervals: list[Interval] = []
    for name in jobs:
        known = other(name) or {}
        schedule = known.get("schedule")
        if has_clock(schedule):
            intervals.append(_one(Clock(str(schedule), str(known.get("timezone", "UTC"))), day, at, zone))
    if len(intervals) == len(jobs) and intervals:
        start = min(interval[0] for interval in intervals)
        end = max(interval[1] for interval in intervals)
        return Moments(start.astimezone(zone), end.astimezone(zone), BY_ASSETS, _folder(start, alone=at is None))
    start = local(datetime.combine(day, at or time.min), zone)
    end = local(datetime.combine(day + timedelta(days=1), at or time.min), zone)
    assumed = "the data interval is taken to be one day; in Airflow it is that of the runs that started this one"
    return Moments(start, end, BY_ASSETS, _folder(start, alone=at is None), assumed)


def _folder(start: datetime, *, alone: bool) -> str:
    return f"{start:%Y-%m-%d}" if alone else f"{start:%Y-%m-%dT%H%M%z}"
