"""Check when a job runs: cron expressions that occur, existing time zones and dates, durations within the limits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from jobyard import limits
from jobyard.contract import CONTINUOUS, DURATIONS, NO_CLOCK, PRESETS

from jobyard_cli.check.findings import Finding, did_you_mean, unknown
from jobyard_cli.parsing.documents import Document, KeyPath
from jobyard_cli.parsing.durations import parse_duration
from jobyard_cli.team.repo import TeamRepo


def check_timing(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """Yield a finding for each date, duration or schedule that is impossible."""
    del repo
    job = document.data
    yield from _schedule(document, job)
    yield from _timezone(document, job)
    yield from _dates(document, job)
    yield from _durations(document, (), job)


def has_clock(schedule: Any) -> bool:
    """Return whether runs start at fixed times, so that each has a data interval and a successor."""
    return isinstance(schedule, str) and schedule not in NO_CLOCK


def _schedule(document: Document, job: dict[str, Any]) -> Iterator[Finding]:
    schedule = job.get("schedule")
    if not isinstance(schedule, str):
        if job.get("catchup") is True:
            message = "'catchup' requires a cron schedule"
            yield document.finding(("catchup",), message, "schedule")
        return
    if problem := _schedule_problem(schedule):
        yield document.finding(("schedule",), problem, "schedule")
    runs = job.get("max_active_runs", 1)
    if schedule == CONTINUOUS and runs != 1:
        message = f"'max_active_runs' must be 1 with the schedule {CONTINUOUS}; got {runs}"
        yield document.finding(("max_active_runs",), message, "schedule")


def _schedule_problem(schedule: str) -> str | None:
    if schedule in PRESETS:
        return None
    if schedule.startswith("@"):
        return unknown("preset", schedule, PRESETS, "available")
    if len(schedule) > limits.SCHEDULE:
        return None  # The schema reports it.
    return _cron_problem(schedule)


@cache
def _cron_problem(expression: str) -> str | None:
    from cronsim import CronSim, CronSimError

    fields = len(expression.split())
    if fields != 5:
        return (
            "a cron expression must have five fields (minute hour day month weekday), such as '0 2 * * *'; "
            f"'{expression}' has {fields}"
        )
    try:
        next(CronSim(expression, datetime(2024, 1, 1)))
    except CronSimError as error:
        return f"'{expression}' is not a cron expression: {str(error).lower()}"
    except StopIteration:
        return f"'{expression}' never occurs: no such date exists"
    return None


@cache
def _timezones() -> set[str]:
    return available_timezones()


def _timezone(document: Document, job: dict[str, Any]) -> Iterator[Finding]:
    timezone = job.get("timezone")
    if isinstance(timezone, str) and timezone not in _timezones():
        hint = did_you_mean(timezone, _timezones()) or "it must be in the IANA database, such as Asia/Jakarta"
        yield document.finding(("timezone",), f"unknown time zone '{timezone}' ({hint})", "timezone")


def _dates(document: Document, job: dict[str, Any]) -> Iterator[Finding]:
    dates: dict[str, date] = {}
    for name in ("start_date", "end_date"):
        text = job.get(name)
        # The schema reports other formats.
        if not isinstance(text, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            continue
        try:
            dates[name] = date.fromisoformat(text)
        except ValueError:
            yield document.finding((name,), f"'{name}' must be an existing date; got '{text}'", "date")
    for name, day in dates.items():
        if not limits.FIRST_YEAR <= day.year <= limits.LAST_YEAR:
            message = f"'{name}' must be in the years {limits.FIRST_YEAR} to {limits.LAST_YEAR}; got {day}"
            yield document.finding((name,), message, "date")
    if len(dates) == 2 and dates["end_date"] < dates["start_date"]:
        message = f"'end_date' must not be before 'start_date', {dates['start_date']}; got {dates['end_date']}"
        yield document.finding(("end_date",), message, "date")


def _durations(document: Document, path: KeyPath, part: Any) -> Iterator[Finding]:
    """Yield a finding for each duration that is zero, or longer than a release may have."""
    if isinstance(part, list):
        for index, entry in enumerate(part):
            yield from _durations(document, (*path, index), entry)
    if not isinstance(part, dict) or (path and path[-1] in ("env", "with", "params", "foreach")):
        return
    for name, value in part.items():
        if name in DURATIONS and isinstance(value, str):
            yield from _duration(document, (*path, name), value)
        else:
            yield from _durations(document, (*path, name), value)


def _duration(document: Document, path: KeyPath, text: str) -> Iterator[Finding]:
    try:
        seconds = parse_duration(text)
    except ValueError:
        return
    if seconds > limits.SECONDS:
        message = f"'{path[-1]}' must be at most {limits.SECONDS // 86_400}d; got {text}"
        yield document.finding(path, message, "duration")
    elif seconds == 0 and path[-1] != "delay":
        message = f"'{path[-1]}' must be longer than 0s; got {text} (for no limit, remove it)"
        yield document.finding(path, message, "duration")
