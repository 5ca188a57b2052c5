"""What one day's view shows: its runs, who ran when on which node group, crowded hours, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, timedelta
from typing import Any

import polars as pl

from jobyard_metrics.frames import is_followed
from jobyard_metrics.page.catalog import Catalog
from jobyard_metrics.page.history import History, replacements, seconds_between
from jobyard_metrics.page.scripts import columns, known_sum, microdollars

GROUP = "node_group"
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class DayFrames:
    """Frames of all days, each with a column `day`."""

    runs: pl.DataFrame
    bars: pl.DataFrame
    crowded: pl.DataFrame
    teams: pl.DataFrame
    groups: pl.DataFrame


def day_files(history: History, known: Catalog) -> Mapping[date, dict[str, Any]]:
    """Return what the page shows of each day that has data."""
    frames = day_frames(history, known)
    split = {field.name: _by_day(getattr(frames, field.name)) for field in fields(frames)}
    return {day: _day(day, split, known) for day in history.days}


def _day(day: date, split: Mapping[str, Mapping[date, dict[str, Any]]], known: Catalog) -> dict[str, Any]:
    tables = {name: days.get(day, {}) for name, days in split.items()}
    return {"kind": "day", "day": day.isoformat(), "edition": known.edition, **tables}


def _by_day(frame: pl.DataFrame) -> dict[date, dict[str, Any]]:
    parts = frame.partition_by("day", as_dict=True, include_key=False, maintain_order=True)
    return {day: columns(part) for (day,), part in parts.items()}


def day_frames(history: History, known: Catalog) -> DayFrames:
    """Compute each table of all days at once."""
    pods = _placed(history, known)
    return DayFrames(
        runs=_runs(history, known),
        bars=_bars(pods),
        crowded=_crowded(pods, history.settings.crowded_after),
        teams=_teams(history, known),
        groups=_groups(history),
    )


def _runs(history: History, known: Catalog) -> pl.DataFrame:
    """Runs in the order in which they ended; those that need a look have their `run_id`."""
    runs = known.positioned(history.runs)
    is_noted = (
        (pl.col("state") != "success") | pl.col("missed_deadline").fill_null(False) | pl.col("late").is_not_null()
    )
    noted = pl.when(is_noted).then(pl.col("run_id"))
    return runs.sort("day", "ended", "job").select(
        "day", "job", "state", "started", "ended", "late", missed=pl.col("missed_deadline"), run=noted
    )


def _placed(history: History, known: Catalog) -> pl.DataFrame:
    """Pods with `job` as a position, `begin`, `placed` and `until`, and whether they `failed`.

    A pod without a node waits all its life. One that was replaced in its try made nothing fail.
    """
    latest = pl.col("day").cast(pl.Datetime("ms", "UTC")) + timedelta(days=1)
    until = pl.coalesce("ended", latest)
    failed = (pl.col("reason") != "Completed").fill_null(False) & ~is_followed("created")
    pods = history.pods.with_columns(pl.col(GROUP).fill_null(""), namespace=pl.col("team"), until=until, failed=failed)
    begin, placed = pl.coalesce("created", "scheduled", "until"), pl.coalesce("scheduled", "until")
    timed = known.positioned(pods).with_columns(begin=begin, placed=placed)
    return timed.with_columns(waited=(pl.col("placed") - pl.col("begin")).dt.total_seconds())


def _bars(pods: pl.DataFrame) -> pl.DataFrame:
    """A bar for each run and node group: its pods from the first one's creation to the last one's end."""
    bars = pods.group_by("day", GROUP, "namespace", "job", "run_id").agg(
        begin=pl.col("begin").min(),
        placed=pl.col("placed").min(),
        until=pl.col("until").max(),
        waited=pl.col("waited").max(),
        pods=pl.len(),
        failed=pl.col("failed").sum(),
    )
    ordered = bars.sort("day", GROUP, "begin", "until", "job", "run_id", nulls_last=True)
    return ordered.select("day", GROUP, "job", "begin", "placed", "until", "waited", "pods", "failed")


def _crowded(pods: pl.DataFrame, crowded_after: int) -> pl.DataFrame:
    """The hours in which pods of two or more jobs shared a node group while one of them waited for long."""
    first, last = pl.col("begin").dt.truncate("1h"), pl.col("until").dt.truncate("1h")
    hours = pl.datetime_ranges(first, last, interval="1h", time_unit="ms", time_zone="UTC").alias("hour")
    hourly = pods.filter(pl.col("job").is_not_null()).with_columns(hours).explode("hour")
    waits = (pl.col("placed") > pl.col("hour")) & (pl.col("waited") >= crowded_after)
    shared = hourly.group_by("day", GROUP, "hour").agg(
        jobs=pl.col("job").n_unique(),
        teams=pl.col("namespace").n_unique(),
        pods=pl.len(),
        waiting=waits.sum(),
        waited=pl.col("waited").filter(waits).max(),
    )
    return shared.filter((pl.col("jobs") > 1) & (pl.col("waiting") > 0)).sort("day", "hour", GROUP)


def _teams(history: History, known: Catalog) -> pl.DataFrame:
    """Each team's runs, pods and cost of each day; `team` is a position, or null for pods of no team."""
    is_sampled = pl.col("samples") > 0
    pods = history.pods.group_by("day", "team").agg(
        pods=pl.len(), unsampled=(~is_sampled).sum(), cost=microdollars(known_sum("cost"))
    )
    failed = (pl.col("state") == "failed").sum()
    runs = history.runs.group_by("day", "team").agg(runs=pl.len(), failed=failed)
    joined = pods.join(runs, on=["day", "team"], how="full", coalesce=True).sort("day", "team")
    positions = dict(zip(known.teams, range(len(known.teams)), strict=True))
    team = pl.col("team").replace_strict(positions, default=None, return_dtype=pl.Int64)
    return joined.with_columns(team, pl.col("pods", "unsampled", "runs", "failed").fill_null(0))


def _groups(history: History) -> pl.DataFrame:
    """Each node group's nodes, hours, cost and idle cost of each day; `unpriced` counts nodes without a price."""
    hours = seconds_between("started", "ended").sum() / HOUR.total_seconds()
    return (
        history.nodes.with_columns(pl.col(GROUP).fill_null(""))
        .group_by("day", GROUP)
        .agg(
            nodes=pl.len(),
            hours=hours,
            unpriced=pl.col("price").is_null().sum(),
            cost=microdollars(known_sum("cost")),
            idle=microdollars(known_sum("idle")),
        )
        .sort("day", GROUP)
    )


def calendar_columns(history: History) -> dict[str, Any]:
    """Return the totals of each day of the calendar; a day without data has none."""
    calendar = pl.DataFrame({"day": history.calendar})
    runs = history.runs.group_by("day").agg(
        runs=pl.len(),
        failed=(pl.col("state") == "failed").sum(),
        late=pl.col("late").is_not_null().sum(),
        missed=pl.col("missed_deadline").fill_null(False).sum(),
    )
    pods = history.pods.group_by("day").agg(pods=pl.len(), unsampled=(pl.col("samples") == 0).sum())
    replaced = history.replaced_pods.group_by("day").agg(**replacements())
    nodes = history.nodes.group_by("day").agg(
        cost=known_sum("cost"), idle=known_sum("idle"), unpriced=pl.col("price").is_null().sum()
    )
    joined = calendar.with_columns(known=pl.col("day").is_in(history.days))
    for totals in (runs, pods, replaced, nodes):
        joined = joined.join(totals, on="day", how="left")
    counted = ("runs", "failed", "late", "missed", "pods", "unsampled", "lost", "out_of_memory", "unpriced")
    counts = pl.col(*counted).fill_null(0)
    return columns(
        joined.sort("day").with_columns(counts, cost=microdollars(pl.col("cost")), idle=microdollars(pl.col("idle")))
    )
