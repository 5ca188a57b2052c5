"""Moments of a cron schedule as Airflow has them, where clocks are changed too.

Airflow reads a schedule on the clock of the job's time zone. An hour that is skipped in spring is read as the one after
it, and of one that comes twice in autumn the second counts; a schedule of every hour goes by the time that passes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim

PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
}
_EVERY_HOUR = frozenset(range(24))


def local(naive: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment at which the zone's clock shows this time."""
    late = naive.replace(tzinfo=zone, fold=1)
    if late.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == naive:
        return late
    return naive.replace(tzinfo=zone, fold=0).astimezone(UTC).astimezone(zone)


class Clock:
    """A cron expression or preset in a time zone. Every moment has the zone."""

    def __init__(self, schedule: str, timezone: str) -> None:
        """Take an expression and a zone that the check accepts."""
        self.expression = PRESETS.get(schedule, schedule)
        self.zone = ZoneInfo(timezone)

    @property
    def words(self) -> str:
        """Return the expression in English."""
        return str(CronSim(self.expression, datetime(2026, 1, 1)).explain())

    def after(self, moment: datetime) -> datetime:
        """Return the first moment after another."""
        return self._next(moment, reverse=False)

    def before(self, moment: datetime) -> datetime:
        """Return the last moment before another."""
        return self._next(moment, reverse=True)

    def _next(self, moment: datetime, reverse: bool) -> datetime:
        naive = moment.astimezone(self.zone).replace(tzinfo=None)
        cron = CronSim(self.expression, naive, reverse)
        following = next(cron)
        if cron.hours != _EVERY_HOUR:
            return local(following, self.zone)
        return (moment.astimezone(UTC) + (following - naive)).astimezone(self.zone)
