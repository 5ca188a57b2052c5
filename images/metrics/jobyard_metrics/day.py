"""Collecting one day: from the sources to its tables, the advice, and the page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from jobyard_metrics import cost, nodes, page, pods, replaced_pods, store
from jobyard_metrics.advice import advise
from jobyard_metrics.frames import frame, tidy
from jobyard_metrics.objects import ObjectStore
from jobyard_metrics.prices import Prices
from jobyard_metrics.settings import Settings
from jobyard_metrics.sources import prometheus, releases
from jobyard_metrics.sources.airflow import Airflow, AirflowDay, Try
from jobyard_metrics.sources.prometheus_api import PrometheusApi
from jobyard_metrics.sources.releases import Releases
from jobyard_metrics.tables import advice_name
from jobyard_metrics.values import day_bounds

ADVISED = timedelta(60)
"""The days before the collected one that its advice is made from (`advice.WINDOW`)."""
_TEAM = re.compile("[a-z]([a-z0-9-]{0,48}[a-z0-9])?")
"""A team's name, which is part of objects' names: dags/jobyard/contract.py."""


@dataclass(frozen=True)
class Sources:
    """Where the facts of a day come from."""

    airflow: Airflow
    prometheus: PrometheusApi
    releases: ObjectStore
    prices: Prices


@dataclass(frozen=True)
class Result:
    """A day that is in the store, and what was noteworthy."""

    manifest: store.Manifest
    warnings: tuple[str, ...]


def collect_day(sources: Sources, target: ObjectStore, day: date, settings: Settings) -> Result:
    """Collect a day, store it, advise on requests, and draw the page.

    The day is whole in the store or not at all. A day older than the newest one in the store replaces neither the
    teams' advice nor the page's newest day.

    Raises:
        MetricsError: a source or the store failed; the store has the day as it was before.
    """
    now = datetime.now(UTC)
    frames, counts, warnings = tables(sources, day, now)
    collected = [one for one in store.days(target) if one != day]
    newest = max([*collected, day])
    wanted = [one for one in collected if _is_wanted(one, day, newest, settings.history)]
    past = store.history(target, wanted)
    recent = {one: past.days[one] for one in past.days if one < day}
    frames["advice"] = _advice({**recent, day: frames}, day, sources.prices)
    manifest = store.write_day(target, day, frames, counts, complete=now >= day_bounds(day)[1])
    if day == newest:
        _write_advice(target, frames["advice"], frames["jobs"]["team"])
    _draw(target, {**past.days, day: frames}, newest, settings, sources)
    return Result(manifest, (*warnings, *past.unreadable.values()))


def _is_wanted(one: date, day: date, newest: date, history: int) -> bool:
    """Whether the page shows a day, or the advice of the collected day is made from it."""
    return newest - one < timedelta(history) or timedelta(0) < day - one < ADVISED


def tables(
    sources: Sources, day: date, now: datetime
) -> tuple[dict[str, pl.DataFrame], dict[str, int], tuple[str, ...]]:
    """Return the tables of a day without its advice, what they do not say, and warnings.

    Raises:
        MetricsError: a source failed.
    """
    start, end = day_bounds(day)
    until = min(end, now)
    released = releases.read(sources.releases)
    airflow = sources.airflow.day(day, now, released.uses_output)
    usage = prometheus.collect(sources.prometheus, start, until)
    machines = frame("nodes", nodes.rows(usage, start, until))
    by_name = {row["node"]: row for row in machines.iter_rows(named=True)}
    tries = pods.Tries([*airflow.others, *airflow.tries])
    cluster = pods.Cluster(usage, tries, by_name, start, until, replaced_pods.causes(airflow))
    ran = frame("pods", pods.rows(cluster))
    ran, machines = cost.apply(ran, nodes.extended(machines, ran), sources.prices)
    frames = {
        "runs": frame("runs", _runs(airflow, released)),
        "tries": frame("tries", map(_try_row, airflow.tries)),
        "replaced_pods": frame("replaced_pods", replaced_pods.rows(airflow, ran)),
        "pods": tidy("pods", ran),
        "nodes": tidy("nodes", machines),
        "models": frame("models", airflow.models),
        "jobs": frame("jobs", released.rows(airflow.dags)),
    }
    counts = {"tries_without_pod": _without_pod(frames["tries"], frames["pods"])}
    warnings = (f"the release of team {team} can't be read: {why}" for team, why in released.unreadable.items())
    return frames, counts, tuple(warnings)


def _runs(airflow: AirflowDay, released: Releases) -> Iterator[dict[str, Any]]:
    for run in airflow.runs:
        yield {**run, "missed_deadline": _missed(run, released.deadline(run["team"], run["job"]))}


def _missed(run: Mapping[str, Any], seconds: int | None) -> bool | None:
    """Whether a run ended later than its deadline, which counts from its start, as docs/job.md says."""
    begun, ended = run["queued"] or run["started"], run["ended"]
    if not seconds or begun is None or ended is None:
        return None
    return bool((ended - begun).total_seconds() > seconds)


def _try_row(one: Try) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__dataclass_fields__}


def _without_pod(tries: pl.DataFrame, ran: pl.DataFrame) -> int:
    """The number of tries that ran and of whose pod Prometheus knows nothing."""
    keys = ["team", "job", "run_id", "task", "map_index", "try_number"]
    began = tries.filter(pl.col("try_number") > 0, pl.col("started").is_not_null(), pl.col("state") != "skipped")
    return began.join(ran, on=keys, how="anti").height


def _advice(days: Mapping[date, store.Frames], day: date, prices: Prices) -> pl.DataFrame:
    tries, ran = (store.joined(days, table).drop("day") for table in ("tries", "pods"))
    return tidy("advice", advise(tries, ran, days[day]["jobs"], prices, day))


def _write_advice(target: ObjectStore, advice: pl.DataFrame, released: pl.Series) -> None:
    """Put each team's rows where `jobyard usage` and `jobyard plan` read them, as JSON and as Parquet.

    A team with a release and without rows gets none: its earlier advice is of tasks that no longer run.
    """
    for team in pl.concat([advice["team"], released]).unique().sort():
        if team and _TEAM.fullmatch(team):
            rows = advice.filter(pl.col("team") == team)
            target.put(advice_name(team, "parquet"), store.parquet(rows))
            target.put(advice_name(team, "json"), (json.dumps(rows.to_dicts()) + "\n").encode())


def _draw(
    target: ObjectStore, days: Mapping[date, store.Frames], newest: date, settings: Settings, sources: Sources
) -> None:
    look = page.Settings(
        environment=settings.environment,
        airflow_url=settings.airflow_page or None,
        airflow_major=2 if sources.airflow.major == 2 else 3,
        argocd_url=settings.argocd_page or None,
        argocd_namespace=settings.argocd_namespace,
        teams_read="all" if settings.teams_read == "all" else "own",
        retention=settings.history,
    )
    page.write(days, newest, look, target)
