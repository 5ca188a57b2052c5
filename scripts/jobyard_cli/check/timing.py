"""When a job runs: cron expressions that come, time zones and days that exist, durations that can be counted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from jobyard import limits
from jobyard.contract import CONTINUOUS, NO_CLOCK, PRESETS

from jobyard_cli.check.findings import Finding, did_you_mean, unknown
from jobyard_cli.parsing.documents import Document, KeyPath
from jobyard_cli.parsing.durations import parse_duration
from jobyard_cli.team.repo import TeamRepo


def check_timing(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """A finding for each date, duration or schedule that can't be."""
    del repo
    job = document.data
    yield from _schedule(document, job)
    yield from _timezone(document, job)
    yield from _dates(document, job)
    yield from _durations(document, (), job)


def has_clock(schedule: Any) -> bool:
    """Whether a schedule is one of the clock: each run has a data interval, and a next one."""
    return isinstance(schedule, str) and schedule not in NO_CLOCK


def _schedule(document: Document, job: dict[str, Any]) -> Iterator[Finding]:
    schedule = job.get("schedule")
    if not isinstance(schedule, str):
        if job.get("catchup") is True:
            message = "catchup makes up for runs of the clock, and this job has no cron schedule"
            yield document.finding(("catchup",), message, "schedule")
        return
    if schedule.startswith("@"):
        if schedule not in PRESETS:
            yield document.finding(("schedule",), unknown("preset", schedule, PRESETS, "there are"), "schedule")
    elif len(schedule) <= limits.SCHEDULE and (problem := _cron_problem(schedule)):
        yield document.finding(("schedule",), problem, "schedule")
    runs = job.get("max_active_runs", 1)
    if schedule == CONTINUOUS and runs != 1:
        message = f"'max_active_runs' is {runs}; with the schedule {CONTINUOUS} it has to be 1"
        yield document.finding(("max_active_runs",), message, "schedule")


@cache
def _cron_problem(expression: str) -> str | None:
    from cronsim import CronSim, CronSimError

    fields = expression.split()
    if len(fields) != 5:
        return (
            f"'{expression}' has {len(fields)} fields; a cron expression has five (minute hour day month weekday), "
            "such as '0 2 * * *'"
        )
    try:
        next(CronSim(expression, datetime(2024, 1, 1)))
    except CronSimError as error:
        return f"'{expression}' is no cron expression: {str(error).lower()}"
    except StopIteration:
        return f"'{expression}' never comes: there is no such day"
    return None


@cache
def _timezones() -> set[str]:
    return available_timezones()


def _timezone(document: Document, job: dict[str, Any]) -> Iterator[Finding]:
    timezone = job.get("timezone")
    if isinstance(timezone, str) and timezone not in _timezones():
        hint = did_you_mean(timezone, _timezones()) or "names are those of the IANA database, such as Asia/Jakarta"
        yield document.finding(("timezone",), f"unknown time zone '{timezone}' ({hint})", "timezone")


def _dates(document: Document, job: dict[str, Any]) -> Iterator[Finding]:
    found: dict[str, date] = {}
    for name in ("start_date", "end_date"):
        text = job.get(name)
        if isinstance(text, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            try:
                found[name] = date.fromisoformat(text)
            except ValueError:
                yield document.finding((name,), f"'{text}' is no day of the calendar", "date")
    for name, day in found.items():
        if not limits.FIRST_YEAR <= day.year <= limits.LAST_YEAR:
            message = f"'{name}' {day} is not in the years {limits.FIRST_YEAR} to {limits.LAST_YEAR}"
            yield document.finding((name,), message, "date")
    if len(found) == 2 and found["end_date"] < found["start_date"]:
        message = f"end_date {found['end_date']} is before start_date {found['start_date']}"
        yield document.finding(("end_date",), message, "date")


# Where the schema asks for a duration; `retries` has its own inside.
_DURATIONS = ("timeout", "deadline", "startup_timeout", "delay", "max_delay")


def _durations(document: Document, path: KeyPath, part: Any) -> Iterator[Finding]:
    """A finding for each duration that is nothing, or longer than a release may have."""
    if isinstance(part, list):
        for number, one in enumerate(part):
            yield from _durations(document, (*path, number), one)
    if not isinstance(part, dict) or (path and path[-1] in ("env", "with", "params", "foreach")):
        return
    for name, value in part.items():
        if name in _DURATIONS and isinstance(value, str):
            yield from _duration(document, (*path, name), value)
        else:
            yield from _durations(document, (*path, name), value)


def _duration(document: Document, path: KeyPath, text: str) -> Iterator[Finding]:
    try:
        seconds = parse_duration(text)
    except ValueError:
        return
    if seconds > limits.SECONDS:
        message = f"'{path[-1]}' is {text}; the longest is {limits.SECONDS // 86_400}d"
        yield document.finding(path, message, "duration")
    elif seconds == 0 and path[-1] != "delay":
        yield document.finding(path, f"'{path[-1]}' is {text}: no time at all; leave it out for no limit", "duration")
