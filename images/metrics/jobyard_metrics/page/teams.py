"""What a team's file holds: its jobs' runs, waits, costs, use, advice and models over all days shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import polars as pl

from jobyard_metrics.page.catalog import Catalog
from jobyard_metrics.page.history import JOB, History, replacements, seconds_between
from jobyard_metrics.page.scripts import columns, known_sum, microdollars

DESCRIPTION = 4000
"""Characters of a description."""
RUNS = 400
"""The newest runs of a job, and the newest values of a model's figure, that a team's file has one by one."""
WINDOW = "7d"
"""Of the trailing quantiles of durations."""
USED = ("memory_peak", "memory_working_set", "cpu_p95", "cpu_peak")


@dataclass(frozen=True)
class TeamFrames:
    """Frames of all teams, each with the columns `team` and `job`."""

    days: pl.DataFrame
    runs: pl.DataFrame
    usage: pl.DataFrame
    advice: pl.DataFrame
    models: pl.DataFrame


Parts = Mapping[str, Mapping[tuple[Any, ...], pl.DataFrame]]


def team_files(history: History, known: Catalog) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what the page shows of each team, with the team's name."""
    frames = team_frames(history)
    parts = {field.name: _by_job(getattr(frames, field.name)) for field in fields(frames)}
    released = _by_job(history.jobs)
    by_team = known.jobs.partition_by("team", as_dict=True, maintain_order=True)
    for (team,), jobs in sorted(by_team.items()):
        described = [_job((team, job), released, parts) for job in jobs["job"]]
        yield team, {"kind": "team", "team": team, "day": history.day.isoformat(), "jobs": described}


def _by_job(frame: pl.DataFrame) -> dict[tuple[Any, ...], pl.DataFrame]:
    return frame.partition_by(JOB, as_dict=True, include_key=False, maintain_order=True)


def _job(key: tuple[str, str], released: Mapping[tuple[Any, ...], pl.DataFrame], parts: Parts) -> dict[str, Any]:
    tables = {name: columns(jobs[key]) if key in jobs else {} for name, jobs in parts.items()}
    stated = released[key].to_dicts()[0] if key in released else {}
    description = (stated.get("description") or "")[:DESCRIPTION]
    return {
        "job": key[1],
        "description": description,
        "commit": stated.get("commit"),
        "tasks": stated.get("tasks") or [],
        **tables,
    }


def team_frames(history: History) -> TeamFrames:
    """Compute each table of all teams at once."""
    return TeamFrames(
        days=_days(history),
        runs=_runs(history),
        usage=_usage(history.pods),
        advice=history.advice.with_columns(saves=microdollars(pl.col("saves"))).sort(*JOB, "task", "map_index"),
        models=_models(history.models),
    )


def _days(history: History) -> pl.DataFrame:
    """Each job's figures of each day; `p50` and `p95` are of the durations of the seven days that end with it."""
    keys = [*JOB, "day"]
    counted = history.runs.group_by(keys).agg(runs=pl.len(), failed=(pl.col("state") == "failed").sum())
    replaced = history.replaced_pods.group_by(keys).agg(**replacements())
    frames = [_trailing_quantiles(history.runs), _tries(history.tries, keys), _pods(history.pods, keys), replaced]
    joined = counted
    for frame in frames:
        joined = joined.join(frame, on=keys, how="full", coalesce=True)
    return joined.filter(pl.col("job") != "").sort(keys)


def _trailing_quantiles(runs: pl.DataFrame) -> pl.DataFrame:
    timed = runs.with_columns(duration=seconds_between("started", "ended")).drop_nulls("ended").sort("ended")
    rolling = timed.rolling(index_column="ended", period=WINDOW, group_by=JOB).agg(
        day=pl.col("day").last(),
        p50=pl.col("duration").quantile(0.5, "nearest"),
        p95=pl.col("duration").quantile(0.95, "nearest"),
    )
    return rolling.sort("ended").group_by(*JOB, "day").agg(pl.col("p50", "p95").last())


def _tries(tries: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """`tries`, of these `retries`, and the median `wait_slot`: from Airflow's queue to the start."""
    return tries.group_by(keys).agg(
        tries=pl.len(),
        retries=(pl.col("try_number") > 1).sum(),
        wait_slot=seconds_between("queued", "started").median(),
    )


def _pods(pods: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """`pods`, of these `unsampled`, their cost, and the median waits for a machine (or quota) and for the image."""
    return pods.group_by(keys).agg(
        pods=pl.len(),
        unsampled=(pl.col("samples") == 0).sum(),
        cost=microdollars(known_sum("cost")),
        unpriced=pl.col("cost").is_null().sum(),
        wait_machine=seconds_between("created", "scheduled").median(),
        wait_image=seconds_between("scheduled", "started").median(),
    )


def _runs(history: History) -> pl.DataFrame:
    """The newest runs, oldest first, with their tries, the pods that these replaced, and their cost."""
    keys = [*JOB, "run_id"]
    retries = (pl.col("try_number") > 1).sum()
    tries = history.tries.group_by(keys).agg(tries=pl.len(), retries=retries)
    costs = history.pods.group_by(keys).agg(
        cost=microdollars(known_sum("cost")), unsampled=(pl.col("samples") == 0).sum()
    )
    newest = history.runs.sort("ended", "run_id").group_by(JOB, maintain_order=True).tail(RUNS)
    replaced = history.replaced_pods.group_by(keys).agg(**replacements())
    joined = newest
    for frame in (tries, costs, replaced):
        joined = joined.join(frame, on=keys, how="left")
    kept = ["run_type", "state", "due", "started", "ended", "late", "missed_deadline", "tries", "retries", "cost"]
    return joined.sort(*JOB, "ended", "run_id").select(*keys, *kept, "unsampled", "lost", "out_of_memory")


def _usage(pods: pl.DataFrame) -> pl.DataFrame:
    """The highest use of each task's pods of each day, beside what they asked for; null where none was sampled."""
    highest = pl.col(*USED).max()
    requested = pl.col("requested_cpu", "requested_memory").last()
    counts = {"pods": pl.len(), "unsampled": (pl.col("samples") == 0).sum()}
    known = pods.filter(pl.col("task").is_not_null()).sort("created", "uid")
    return known.group_by(*JOB, "task", "day").agg(highest, requested, **counts).sort(*JOB, "task", "day")


def _models(models: pl.DataFrame) -> pl.DataFrame:
    """A row for each figure of each task, with its newest values, oldest first, as lists."""
    keys = [*JOB, "task", "map_index", "name"]
    ordered = models.sort("ended", "run_id").with_columns(pl.col("ended").dt.epoch("s"))
    is_number = pl.col("value").is_finite()
    known = ordered.filter(is_number).with_columns(pl.col("value").round_sig_figs(6))
    return known.group_by(keys).agg(pl.col("ended", "value").tail(RUNS)).sort(keys)
