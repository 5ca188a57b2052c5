"""Pure functions of days."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

ONE = timedelta(days=1)


def interval(day: date) -> tuple[datetime, datetime]:
    """Return the start of a day in UTC, which is part of it, and its end, which is not."""
    start = datetime.combine(day, time(), UTC)
    return start, start + ONE


def with_days_before(day: date, count: int) -> list[date]:
    """Return that many days before a day and the day itself, the earliest first."""
    return [day - timedelta(days=back) for back in range(count, -1, -1)]
