"""Runs and tasks as text or JSON, in the job's time zone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any

from jobyard_cli.check.findings import printable
from jobyard_cli.runs.backfill import Backfill
from jobyard_cli.runs.model import Run, TaskRun, duration

Zone = Callable[[str], tzinfo]
"""A job's time zone."""
RUNS = ("JOB", "RUN", "KIND", "DAY", "STATE", "START", "DURATION")
TASKS = ("TASK", "STATE", "TRY", "START", "DURATION")
NONE = "-"
_MINUTE = "%Y-%m-%d %H:%M"


def run_lines(runs: Sequence[Run], zone: Zone, now: datetime) -> Iterator[str]:
    """Yield a table of runs."""
    rows = []
    for run in runs:
        where = zone(run.job)
        times = (_at(run.start, where), _length(duration(run, now)))
        rows.append((run.job, run.id, run.kind, _at(run.day, where), run.state, *times))
    return _table(RUNS, rows)


def task_lines(tasks: Sequence[TaskRun], zone: tzinfo, now: datetime) -> Iterator[str]:
    """Yield a table of a run's tasks."""
    rows = []
    for task in tasks:
        times = (_at(task.start, zone), _length(duration(task, now)))
        rows.append((task.label, task.state, str(task.attempt or NONE), *times))
    return _table(TASKS, rows)


def run_words(run: Run, zone: tzinfo) -> str:
    """Return a run in one line."""
    day = f", of {_at(run.day, zone)} {run.day.astimezone(zone):%Z}" if run.day else ""
    return f"run {printable(run.id)} of {run.job}: {run.kind}{day}, {run.state}"


def backfill_lines(backfill: Backfill) -> Iterator[str]:
    """Yield what becomes of each day."""
    words = [(day.logical, day.words) for day in backfill.planned]
    for run in backfill.skipped:
        if run.logical:
            words.append((run.logical, f"stays as it is: run {run.id} ({run.state})"))
    for logical, becomes in sorted(words):
        yield f"{_at(logical, backfill.days.zone)}  {printable(becomes)}"


def runs_json(runs: Sequence[Run], now: datetime) -> str:
    """Return runs as JSON; moments in UTC, durations in seconds."""
    return json.dumps({"runs": [_run(run, now) for run in runs]}, indent=2)


def run_json(run: Run, tasks: Sequence[TaskRun], now: datetime) -> str:
    """Return a run with its tasks as JSON."""
    return json.dumps({**_run(run, now), "tasks": [_task(task, now) for task in tasks]}, indent=2)


def _run(run: Run, now: datetime) -> dict[str, Any]:
    first, last = run.interval or (None, None)
    return {
        "job": run.job,
        "run": run.id,
        "kind": run.kind,
        "state": run.state,
        "logical_date": _iso(run.logical),
        "data_interval_start": _iso(first),
        "data_interval_end": _iso(last),
        "start": _iso(run.start),
        "end": _iso(run.end),
        "seconds": _seconds(duration(run, now)),
    }


def _task(task: TaskRun, now: datetime) -> dict[str, Any]:
    return {
        "task": task.task,
        "map_index": task.map_index,
        "state": task.state,
        "try": task.attempt,
        "start": _iso(task.start),
        "end": _iso(task.end),
        "seconds": _seconds(duration(task, now)),
    }


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _seconds(length: timedelta | None) -> float | None:
    return None if length is None else round(length.total_seconds(), 1)


def _at(at: datetime | None, zone: tzinfo) -> str:
    return f"{at.astimezone(zone):{_MINUTE}}" if at else NONE


def _length(length: timedelta | None) -> str:
    """Return `1h02m`, `3m20s` or `12s`."""
    if length is None:
        return NONE
    minutes, seconds = divmod(round(length.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{seconds:02}s" if minutes else f"{seconds}s"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    cells = [headings, *[[printable(cell) for cell in row] for row in rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join(padded).rstrip()
