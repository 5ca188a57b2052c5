"""The days that the page is drawn from, as one frame a table, with what several of its files derive from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import polars as pl

from jobyard_metrics.page.settings import Settings
from jobyard_metrics.sources.earlier_pods import LOST, OUT_OF_MEMORY
from jobyard_metrics.tables import TABLES

Days = Mapping[date, Mapping[str, pl.DataFrame]]
"""The tables of `tables.py` by name, for each day that has a manifest."""

JOB = ["team", "job"]
SHORTEST = 14


@dataclass(frozen=True)
class History:
    """Each frame has all days and a column `day`; `jobs` and `advice` are those of the newest day.

    Pods that belong to no job of a team have the empty string as their team or job.
    """

    day: date
    days: list[date]
    settings: Settings
    runs: pl.DataFrame
    tries: pl.DataFrame
    replaced_pods: pl.DataFrame
    pods: pl.DataFrame
    nodes: pl.DataFrame
    models: pl.DataFrame
    jobs: pl.DataFrame
    advice: pl.DataFrame

    @property
    def calendar(self) -> list[date]:
        """Every day that the page can show, with those that have no data; two weeks at least, for the charts."""
        first = min(*self.days, self.day - timedelta(days=SHORTEST - 1), self.day)
        return [first + timedelta(days=count) for count in range((self.day - first).days + 1)]


def read(days: Days, day: date, settings: Settings) -> History:
    """Join the days up to `day` that the settings keep."""
    first = day - timedelta(days=settings.retention - 1)
    kept = {date: days[date] for date in sorted(days) if first <= date <= day}
    newest = kept.get(day, {})
    return History(
        day=day,
        days=list(kept),
        settings=settings,
        runs=_with_lateness(_joined(kept, "runs"), settings),
        tries=_joined(kept, "tries"),
        replaced_pods=_joined(kept, "replaced_pods"),
        pods=_named(_joined(kept, "pods")),
        nodes=_joined(kept, "nodes"),
        models=_joined(kept, "models"),
        jobs=newest.get("jobs", _empty("jobs")).sort(JOB),
        advice=newest.get("advice", _empty("advice")),
    )


def _empty(table: str) -> pl.DataFrame:
    return pl.DataFrame(schema=dict(TABLES[table]))


def _joined(days: Days, table: str) -> pl.DataFrame:
    dated = [tables[table].with_columns(day=pl.lit(day)) for day, tables in days.items()]
    return pl.concat(dated) if dated else _empty(table).with_columns(day=pl.lit(None, pl.Date))


def _named(pods: pl.DataFrame) -> pl.DataFrame:
    return pods.with_columns(pl.col(*JOB).fill_null(""))


def _with_lateness(runs: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Add `due` and `late`: the seconds by which a scheduled run started after it was due, null if within bounds."""
    is_scheduled = pl.col("run_type") == "scheduled"
    due = pl.when(is_scheduled).then(pl.col("interval_end"))
    late = (pl.col("started") - due).dt.total_seconds()
    return runs.with_columns(due=due, late=pl.when(late > settings.late_after).then(late))


def end_of(day: date) -> datetime:
    """Return the moment at which a UTC day ends."""
    return datetime.combine(day, time(), UTC) + timedelta(days=1)


def replacements() -> dict[str, pl.Expr]:
    """Return how many of `replaced_pods` were `lost`, and how many ran `out_of_memory`."""
    return {"lost": (pl.col("cause") == LOST).sum(), "out_of_memory": (pl.col("cause") == OUT_OF_MEMORY).sum()}


def seconds_between(earlier: str, later: str) -> pl.Expr:
    """Return the seconds from one column of times to another, null where one is not known."""
    return (pl.col(later) - pl.col(earlier)).dt.total_milliseconds() / 1000
