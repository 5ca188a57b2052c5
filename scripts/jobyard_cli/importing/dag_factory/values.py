"""Values of Airflow's operators as a job writes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from math import ceil
from typing import Any

from jobyard.quantities import canonical_memory, parse_quantity

from jobyard_cli.parsing.durations import duration_text
from jobyard_cli.parsing.quantities import canonical_cpu

MIB = 2**20


def duration(value: Any) -> str | None:
    """Return a time in seconds, or a timedelta, as `90s` or `1h30m`; None where it is none, or not longer than zero."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds <= 0:
        return None
    return duration_text(ceil(seconds))


def day(value: Any) -> str | None:
    """Return a date as `2026-11-20`, or None for what is none, such as `2 days`, which is counted from now."""
    if isinstance(value, datetime | date):
        return f"{value:%Y-%m-%d}"
    try:
        return f"{datetime.fromisoformat(str(value)):%Y-%m-%d}"
    except ValueError:
        return None


def cpu(value: Any) -> str | None:
    """Return an amount of CPU in the form of a job, or None where it is none."""
    try:
        return canonical_cpu(str(value))
    except ValueError:
        return None


def memory(value: Any) -> str | None:
    """Return a size in Mi, Gi or Ti, rounded up to a MiB, or None where it is none."""
    try:
        size = parse_quantity(value)
    except ValueError:
        return None
    return canonical_memory(str(ceil(size / MIB) * MIB))


def strings(value: Any) -> list[str] | None:
    """Return a list of texts, or None for anything else than scalars."""
    if isinstance(value, str | int | float):
        return [str(value)]
    if not isinstance(value, list) or any(isinstance(part, Mapping | list) for part in value):
        return None
    return [str(part) for part in value]
