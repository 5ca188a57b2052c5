"""Cron's schedules as Airflow's: the same moments, or the reason why they are not.

Cron and Airflow (croniter) read the same five fields differently where both days are restricted. Cron runs on days that
match either field, unless one *starts with* a star: `*/2` in the day of the month and `1` in the weekday is a Monday
with an odd date. Airflow looks at whether a field is the star itself, and would run on every odd date and every Monday.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from zlib import crc32

from cronsim import CronSim, CronSimError
from cronsim.cronsim import RANGES, Field

FIELDS = ("minute", "hour", "day of the month", "month", "weekday")
_LIMITS = ("0 to 59", "0 to 23", "1 to 31", "1 to 12 or a name such as jan", "0 to 7 or a name such as mon")
_PRESETS = {
    "@hourly": "@hourly",
    "@daily": "@daily",
    "@midnight": "@daily",
    "@weekly": "@weekly",
    "@monthly": "@monthly",
    "@yearly": "@yearly",
    "@annually": "@yearly",
}
REBOOT = "@reboot"
_PRESET_FIELDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}
_EVERY = re.compile(r"@every[\s_]+(\d+)\s*(m|h)", re.IGNORECASE)
_RANDOM = re.compile(r"(\d*)~(\d*)")
# Croniter and CronSim agree on these forms; all others are written as numbers.
_COMMON = re.compile(r"(\*|[0-9]+(-[0-9]+)?)(,[0-9]+(-[0-9]+)?)*|\*/[0-9]+|[0-9]+-[0-9]+/[0-9]+", re.ASCII)
_NAMED = re.compile(r"[a-z]{3}(-[a-z]{3})?(,[a-z]{3}(-[a-z]{3})?)*")
_DAY_MINUTES = 24 * 60
MAXIMUM = 100
"""Characters of a schedule in job.yaml."""


class ScheduleError(Exception):
    """A field is not cron's. `index` is its number from 0; the text is the message."""

    def __init__(self, index: int, message: str) -> None:
        super().__init__(message)
        self.index = index


@dataclass(frozen=True)
class Schedule:
    """When a line of a crontab runs. `expression` is Airflow's, or "", and then `problem` says why."""

    written: str
    expression: str
    minutes: tuple[int, ...] = ()
    """The moments of a day on which it runs, in minutes since midnight."""
    days: tuple[str, ...] = ("*", "*", "*")
    """Day of the month, month and weekday, in numbers."""
    notes: tuple[str, ...] = ()
    problem: str = ""
    never: bool = False

    @property
    def interval(self) -> int:
        """The shortest time between two runs, in minutes."""
        gaps = [later - earlier for earlier, later in zip(self.minutes, self.minutes[1:], strict=False)]
        if self.minutes:
            gaps.append(_DAY_MINUTES - self.minutes[-1] + self.minutes[0])
        return min(gaps, default=_DAY_MINUTES)

    @property
    def words(self) -> str:
        """The schedule in English, or as it is written."""
        expression = _PRESET_FIELDS.get(self.expression, self.expression)
        try:
            return str(CronSim(expression, datetime(2024, 1, 1)).explain())
        except (CronSimError, ValueError, IndexError):
            return f"`{self.written}`"


def from_preset(name: str) -> Schedule:
    """Return the schedule of `@daily` and the like.

    Raises:
        ScheduleError: cron has no such name.
    """
    lowered = name.lower()
    if lowered == REBOOT:
        return Schedule(name, "", problem="a start of the machine")
    if lowered in _PRESETS:
        preset = _PRESETS[lowered]
        made = from_fields(_PRESET_FIELDS[preset].split())
        return Schedule(name, preset, made.minutes, made.days)
    if lowered == "@every_minute":
        return replace(from_fields(["*"] * 5), written=name)
    if every := _EVERY.fullmatch(lowered):
        return _every(name, int(every[1]), every[2])
    known = ", ".join([*_PRESETS, REBOOT])
    raise ScheduleError(0, f"unknown name {name} (cron has: {known})")


def _every(name: str, number: int, unit: str) -> Schedule:
    whole = 60 if unit == "m" else 24
    if number == 0 or number > whole or whole % number:
        raise ScheduleError(0, f"'{name}' does not divide an hour or a day evenly, so no cron expression has it")
    fields = [f"*/{number}", "*"] if unit == "m" else ["0", f"*/{number}"]
    made = from_fields([*fields, "*", "*", "*"])
    note = f"'{name}' counts from when the daemon started; the job runs on the clock"
    return Schedule(name, made.expression, made.minutes, made.days, (note,))


def from_fields(fields: list[str], seed: str = "") -> Schedule:
    """Return the schedule of five fields. `seed` decides what a random `0~30` becomes: the same for the same seed.

    Raises:
        ScheduleError: a field is not cron's.
    """
    notes: list[str] = []
    texts = [_settled(index, text, seed, notes) for index, text in enumerate(fields)]
    values = [_values(index, text) for index, text in enumerate(texts)]
    written = " ".join(fields)
    expression = " ".join(_common(index, text, values[index]) for index, text in enumerate(texts))
    if len(expression) > MAXIMUM:
        expression = written
    minutes = _moments(values)
    day, _, weekday = expression.split()[2:]
    days = tuple(",".join(_runs(sorted(numbers))) for numbers in values[2:])
    if problem := _intersection(texts, day, weekday):
        return Schedule(written, "", minutes, days, tuple(notes), problem)
    if day != "*" and weekday != "*":
        notes.append(f"runs on both: day {day} of the month, and weekday {weekday}; cron and Airflow agree on that")
    return Schedule(written, expression, minutes, days, tuple(notes), never=_never(expression))


def _settled(index: int, text: str, seed: str, notes: list[str]) -> str:
    """Return the field without what only some crons have."""
    lowered = text.lower()
    if lowered == "?":
        return "*"
    if random := _RANDOM.fullmatch(lowered):
        allowed = RANGES[index + 1]
        first = int(random[1] or min(allowed))
        last = int(random[2] or max(allowed))
        if first in allowed and last in allowed and first <= last:
            chosen = first + crc32(seed.encode("utf-8", "replace")) % (last - first + 1)
            notes.append(f"{FIELDS[index]} '{text}' is random in cron; the job always uses {chosen}")
            return str(chosen)
    return lowered


def _values(index: int, text: str) -> set[int]:
    try:
        parsed = Field(index + 1).parse(text.upper())
    except (CronSimError, ValueError, AssertionError, RecursionError):
        raise ScheduleError(
            index, f"{FIELDS[index]} must be {_LIMITS[index]}, *, a list or a range; got '{text}'"
        ) from None
    numbers = {value for value in parsed if isinstance(value, int) and value >= 0}
    if len(numbers) < len(parsed):
        raise ScheduleError(index, f"{FIELDS[index]} '{text}' is not a field of cron's, which has no L, W and #")
    # Sunday is 0 and 7.
    return {value % 7 for value in numbers} if index == 4 else numbers


def _common(index: int, text: str, values: set[int]) -> str:
    """Return the field in a form that cron, the check and Airflow read alike."""
    everything = set(RANGES[index + 1])
    if index == 4:
        everything.discard(7)
    if text.startswith("*") and values == everything:
        return "*"
    if len(values) == 1 and not text.startswith("*"):
        return str(*values)
    numeric = _COMMON.fullmatch(text) and not (index == 4 and "7" in text)
    if len(values) > 1 and (numeric or _NAMED.fullmatch(text)):
        return text
    return ",".join(_runs(sorted(values)))


def _runs(values: list[int]) -> Iterable[str]:
    """Yield each run of consecutive numbers as `3-7`, and others as they are."""
    start = 0
    for position, value in enumerate(values):
        if position + 1 < len(values) and values[position + 1] == value + 1:
            continue
        first = values[start]
        if value - first > 1:
            yield f"{first}-{value}"
        else:
            yield from map(str, values[start : position + 1])
        start = position + 1


def _moments(values: list[set[int]]) -> tuple[int, ...]:
    moments = []
    for hour in sorted(values[1]):
        moments += [hour * 60 + minute for minute in sorted(values[0])]
    return tuple(moments)


def _intersection(texts: list[str], day: str, weekday: str) -> str:
    """Return why Airflow cannot have the days, "" if it can."""
    starred = texts[2].startswith("*") or texts[4].startswith("*")
    if not starred or day == "*" or weekday == "*":
        return ""
    return (
        f"cron runs it on days that match both {texts[2]} and weekday {texts[4]}, as one of them starts with *; "
        "Airflow would run it on days that match either"
    )


def _never(expression: str) -> bool:
    try:
        next(CronSim(expression, datetime(2024, 1, 1)))
    except (StopIteration, CronSimError):
        return True
    return False
