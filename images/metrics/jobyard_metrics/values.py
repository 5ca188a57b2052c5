"""Values of answers and files as the types of the tables; what does not fit is null."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any

LARGEST = 2**63 - 1


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """Return the first moment of a UTC day, and that of the next."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return start, start + timedelta(days=1)


def text(value: Any) -> str | None:
    """Return the text, any other value as null; a lone surrogate, which UTF-8 does not have, as a question mark."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else None


def whole(value: Any) -> int | None:
    """Return the whole number, if it fits into 64 bits."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value if is_whole and abs(value) <= LARGEST else None


def number(value: Any) -> float | None:
    """Return the finite number, also of a text as Prometheus writes it; NaN and infinities as null."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def rounded(value: float | None) -> int | None:
    """Return the nearest whole number, if it fits into 64 bits."""
    return None if value is None or abs(value) > LARGEST else round(value)


def moment(value: Any) -> datetime | None:
    """Return the time of an ISO 8601 text with an offset from UTC, in UTC."""
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
        return parsed.astimezone(UTC) if parsed.tzinfo else None
    except (ValueError, OverflowError):
        return None


def from_epoch(seconds: float | None) -> datetime | None:
    """Return the time so many seconds after 1970 began, to the millisecond."""
    if seconds is None or seconds <= 0:
        return None
    try:
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=round(seconds * 1000))
    except OverflowError:
        return None
