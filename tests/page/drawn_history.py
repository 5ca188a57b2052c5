"""Draws a history as the metrics job collects it: teams, jobs and days by a seed, with what goes wrong in between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from jobyard_metrics.tables import TABLES
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
GIB = 2**30
SECOND = 1000
TEAMS = (
    *("care", "claims", "fraud", "growth", "logistics", "platform"),
    *("pricing", "risk", "search", "supply", "vision", "voice"),
)
PURPOSES = ("ingest", "features", "score", "train", "backfill", "report", "drift-check", "embed", "forecast", "export")
GROUPS = ("default", "high-cpu", "high-memory", "gpu")
MACHINES = {
    "default": ("m7i.xlarge", 4.0, 16, 201_600_000),
    "high-cpu": ("c7i.4xlarge", 16.0, 32, 714_000_000),
    "high-memory": ("r7i.2xlarge", 8.0, 64, 529_200_000),
    "gpu": ("g6.2xlarge", 8.0, 32, 977_600_000),
}


@dataclass
class Drawing:
    """What is drawn; `tasks_per_job` is a range of counts."""

    teams: int = 12
    jobs: int = 48
    days: int = 90
    seed: int = 7
    newest: date = date(2026, 11, 25)
    gaps: tuple[int, ...] = (20, 21)
    """Days before the newest that have no data."""


def draw(drawing: Drawing | None = None) -> dict[date, dict[str, pl.DataFrame]]:
    """Return the tables of each day."""
    drawing = drawing or Drawing()
    random = np.random.default_rng(drawing.seed)
    jobs = _jobs(drawing, random)
    tasks = pl.DataFrame(_tasks(jobs, random))
    ages = [age for age in reversed(range(drawing.days)) if age not in drawing.gaps]
    return {drawing.newest - timedelta(days=age): _day(drawing.newest, age, jobs, tasks, random) for age in ages}


def _jobs(drawing: Drawing, random: np.random.Generator) -> list[dict[str, Any]]:
    names = TEAMS if drawing.teams <= len(TEAMS) else tuple(f"team-{number:03}" for number in range(drawing.teams))
    numbers = range(drawing.jobs)
    return [_job(names[number % drawing.teams], number // drawing.teams, number, random) for number in numbers]


def _job(team: str, rank: int, number: int, random: np.random.Generator) -> dict[str, Any]:
    hour = int(random.choice([1, 2, 2, 3, 3, 4, 5, 6, 9]))
    return {
        "team": team,
        "job": PURPOSES[rank % 10] + ("" if rank < 10 else f"-{rank}"),
        "number": number,
        "hour": hour,
        "is_hourly": rank == 5,
        "group": str(random.choice(GROUPS, p=[0.45, 0.3, 0.17, 0.08])),
        "seconds": float(random.lognormal(7.4, 0.8)),
        "fails": 0.2 if number % 17 == 3 else 0.012,
    }


def _tasks(jobs: list[dict[str, Any]], random: np.random.Generator) -> list[dict[str, Any]]:
    return [task for job in jobs for task in _tasks_of(job, random)]


def _tasks_of(job: dict[str, Any], random: np.random.Generator) -> list[dict[str, Any]]:
    names = ["extract", "features", "train", "evaluate", "publish"][: 2 + job["number"] % 4]
    shares = random.dirichlet([3.0] * len(names))
    tasks = []
    for order, (name, share) in enumerate(zip(names, shares, strict=True)):
        group = job["group"] if order else "default"
        cores, memory = {"default": (1.0, 4), "high-cpu": (4.0, 8), "high-memory": (2.0, 24), "gpu": (4.0, 16)}[group]
        used = float(random.choice([0.2, 0.45, 0.7, 0.85]))
        tasks.append(
            {
                "team": job["team"],
                "job": job["job"],
                "task": name,
                "order": order,
                "begins": float(shares[:order].sum()) * job["seconds"],
                "lasts": float(share) * job["seconds"],
                "hour": job["hour"],
                "runs": 24 if job["is_hourly"] else 1,
                "node_group": group,
                "requested_cpu": cores,
                "requested_memory": memory * GIB,
                "used": used,
                "fails": job["fails"],
            }
        )
    return tasks


def _day(
    newest: date, age: int, jobs: list[dict[str, Any]], tasks: pl.DataFrame, random: np.random.Generator
) -> dict[str, pl.DataFrame]:
    day = newest - timedelta(days=age)
    replaced, pods = _replaced(_pods(day, age, tasks, random))
    every = pl.concat([replaced, pods])
    tables = {
        "runs": _runs(pods, random),
        "tries": pods.with_columns(queued=pl.col("created") - timedelta(seconds=4)),
        "replaced_pods": _named(replaced),
        "pods": _clipped(every, day),
        "nodes": _nodes(day, every, random),
        "models": _models(pods, age, random),
        "jobs": _released(newest, jobs, tasks) if age == 0 else pl.DataFrame(schema=dict(TABLES["jobs"])),
        "advice": _advice(tasks) if age == 0 else pl.DataFrame(schema=dict(TABLES["advice"])),
    }
    return {name: fitted(name, frame) for name, frame in tables.items()}


def fitted(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame with the columns of a table, those that it lacks as nulls."""
    columns = [
        (pl.col(name) if name in frame.columns else pl.lit(None)).cast(kind).alias(name)
        for name, kind in TABLES[table].items()
    ]
    return frame.select(columns)


def _pods(day: date, age: int, tasks: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
    """One pod for each task of each run, a second one where the first failed."""
    runs = tasks.with_columns(run=pl.int_ranges(0, pl.col("runs"))).explode("run")
    jitters = runs.select("team", "job", "run").unique(maintain_order=True)
    delays = random.exponential(40, jitters.height) + np.where(random.random(jitters.height) < 0.02, 2400, 0)
    runs = runs.join(jitters.with_columns(delay=pl.Series(delays)), on=["team", "job", "run"], maintain_order="left")
    size = runs.height
    hour = pl.when(pl.col("runs") > 1).then(pl.col("run")).otherwise(pl.col("hour"))
    midnight = datetime.combine(day, datetime.min.time(), UTC)
    growth = 1 + 0.2 * (90 - age) / 90
    waits = random.exponential(20, size) * np.where(random.random(size) < 0.04, 30, 1)
    noise = {
        "stretch": pl.Series(random.lognormal(0, 0.18, size) * growth),
        "wait": pl.Series(waits),
        "pull": pl.Series(random.exponential(9, size) + 1.5),
        "chance": pl.Series(random.random(size)),
        "sampled": pl.Series(random.random(size) > 0.03),
        "swing": pl.Series(random.normal(1, 0.06, size)),
    }
    due = pl.lit(midnight).cast(pl.Datetime("ms", "UTC")) + pl.duration(hours=hour)
    begun = runs.with_columns(**noise).with_columns(due=due)
    begins = pl.col("due") + _seconds(pl.col("delay") + pl.col("begins") * pl.col("stretch"))
    lasting = pl.col("lasts") * pl.col("stretch")
    timed = (
        begun.with_columns(created=begins)
        .with_columns(scheduled=pl.col("created") + _seconds(pl.col("wait")))
        .with_columns(started=pl.col("scheduled") + _seconds(pl.col("pull")))
        .with_columns(ended=pl.col("started") + _seconds(lasting), failed=pl.col("chance") < pl.col("fails"))
    )
    return _retried(_used(timed.with_columns(lasting=lasting), age))


def _retried(pods: pl.DataFrame) -> pl.DataFrame:
    """Half of what failed is tried again, and then succeeds."""
    failed = pods.filter(pl.col("failed") & (pl.col("swing") > 1))
    moments = pl.col("created", "scheduled", "started", "ended")
    again = failed.with_columns(moments + _seconds(pl.col("lasting") + 60)).with_columns(
        try_number=pl.lit(2),
        failed=pl.lit(False),
        state=pl.lit("success"),
        reason=pl.lit("Completed"),
        uid=pl.format("{}-2", "uid"),
    )
    return pl.concat([pods, again])


def _replaced(pods: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Some tries that succeeded had a pod before, which was lost or killed: those pods, and the last ones of all."""
    part, has_two = 0.3, pl.col("chance") > 0.985
    lasted = pl.col("lasting") * part
    was_killed = pl.col("chance") > 0.995
    replaced = pods.filter(has_two).with_columns(
        ended=pl.col("started") + _seconds(lasted),
        reason=pl.when(was_killed).then(pl.lit("OOMKilled")).otherwise(pl.lit("Lost")),
        uid=pl.format("{}-0", "uid"),
        cost=(pl.col("cost") * part).round().cast(pl.Int64),
        cpu_seconds=pl.col("cpu_seconds") * part,
    )
    moments = pl.col("created", "scheduled", "started", "ended")
    return replaced, pods.with_columns(pl.when(has_two).then(moments + _seconds(lasted + 20)).otherwise(moments))


def _named(replaced: pl.DataFrame) -> pl.DataFrame:
    was_killed = pl.col("reason") == "OOMKilled"
    cause = pl.when(was_killed).then(pl.lit("out of memory")).otherwise(pl.lit("lost"))
    return replaced.with_columns(name="uid", cause=cause)


def _seconds(amount: pl.Expr) -> pl.Expr:
    return pl.duration(milliseconds=(amount * SECOND).cast(pl.Int64))


def _used(pods: pl.DataFrame, age: int) -> pl.DataFrame:
    memory = (pl.col("requested_memory") * pl.col("used") * pl.col("swing")).cast(pl.Int64)
    cores = pl.col("requested_cpu") * pl.col("used") * pl.col("swing")
    killed = pl.when(pl.col("chance") < pl.col("fails") / 3).then(pl.lit("OOMKilled")).otherwise(pl.lit("Error"))
    usage = {"memory_peak": memory, "memory_working_set": (memory * 0.85).cast(pl.Int64)}
    rates = {"cpu_p95": cores * 0.9, "cpu_peak": cores * 1.15, "cpu_seconds": cores * 0.7 * pl.col("lasting")}
    seen = {name: pl.when(pl.col("sampled")).then(value) for name, value in {**usage, **rates}.items()}
    share = pl.col("requested_cpu") / 8 * 529_200_000 / 3600
    run = pl.format("scheduled__{}", pl.col("due").dt.to_string("%Y-%m-%dT%H:%M:%S+00:00"))
    return pods.with_columns(
        run_id=run,
        map_index=pl.lit(-1),
        try_number=pl.lit(1),
        uid=pl.format("{}-{}-{}-{}-{}", "team", "job", "task", "run", pl.lit(age)),
        state=pl.when("failed").then(pl.lit("failed")).otherwise(pl.lit("success")),
        reason=pl.when("failed").then(killed).otherwise(pl.lit("Completed")),
        samples=pl.when("sampled").then(20).otherwise(0),
        cost=(share * pl.col("lasting")).round().cast(pl.Int64),
        **seen,
    )


def _runs(pods: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
    last = pods.group_by("team", "job", "run_id", "task", maintain_order=True).agg(pl.col("failed").last())
    failures = last.group_by("team", "job", "run_id").agg(pl.col("failed").any())
    runs = (
        pods.group_by("team", "job", "run_id", maintain_order=True)
        .agg(
            interval_start=pl.col("due").first(),
            interval_end=pl.col("due").first(),
            queued=pl.col("created").min() - timedelta(seconds=6),
            started=pl.col("created").min() - timedelta(seconds=5),
            ended=pl.col("ended").max() + timedelta(seconds=3),
        )
        .join(failures, on=["team", "job", "run_id"])
    )
    has_deadline = pl.col("job").is_in(["score", "report"])
    missed = pl.Series(random.random(runs.height) < 0.03)
    state = pl.when("failed").then(pl.lit("failed")).otherwise(pl.lit("success"))
    deadline = pl.when(has_deadline).then(missed)
    return runs.with_columns(run_type=pl.lit("scheduled"), state=state, missed_deadline=deadline)


def _clipped(pods: pl.DataFrame, day: date) -> pl.DataFrame:
    end = datetime.combine(day, datetime.min.time(), UTC) + timedelta(days=1)
    return pods.with_columns(pl.col("scheduled", "started", "ended").clip(upper_bound=end))


def _nodes(day: date, pods: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
    """As many nodes as cost a little more than the pods of each group."""
    costs = dict(pods.group_by("node_group").agg(pl.col("cost").sum()).iter_rows())
    midnight = datetime.combine(day, datetime.min.time(), UTC)
    nodes = [_node(group, int(costs[group]), midnight, float(random.uniform(1.15, 1.7))) for group in sorted(costs)]
    return pl.DataFrame(nodes)


def _node(group: str, used: int, midnight: datetime, factor: float) -> dict[str, Any]:
    machine, cores, gibibytes, price = MACHINES[group]
    cost = int(used * factor)
    return {
        "node": f"ip-10-0-0-{len(group)}",
        "node_group": group,
        "instance_type": machine,
        "capacity_type": "spot" if group == "high-cpu" else "on-demand",
        "started": midnight,
        "ended": midnight + timedelta(hours=min(24.0, cost / price)),
        "cpu": cores,
        "memory": gibibytes * GIB,
        "gpu": int(group == "gpu"),
        "price": price,
        "cost": cost,
        "idle": cost - used,
    }


def _models(pods: pl.DataFrame, age: int, random: np.random.Generator) -> pl.DataFrame:
    tasks = pods.filter(pl.col("task").is_in(["train", "evaluate"]) & ~pl.col("failed"))
    drift = np.abs(random.normal(0.06 + 0.12 * max(0, 30 - age) / 30, 0.025, tasks.height))
    figures = {
        "auc": pl.Series(np.clip(random.normal(0.86 - drift / 8, 0.008), 0, 1)),
        "drift.psi": pl.Series(drift),
        "rows": pl.Series(random.normal(120_000, 6_000, tasks.height).round()),
    }
    keys = ["team", "job", "run_id", "task", "map_index", "interval_start", "ended"]
    wide = tasks.with_columns(interval_start=pl.col("due"), **figures)
    return wide.unpivot(list(figures), index=keys, variable_name="name", value_name="value")


def _released(newest: date, jobs: list[dict[str, Any]], tasks: pl.DataFrame) -> pl.DataFrame:
    tomorrow = datetime.combine(newest, datetime.min.time(), UTC) + timedelta(days=1)
    parts = tasks.partition_by("team", "job", as_dict=True)
    rows = [_release(job, jobs, parts[job["team"], job["job"]], tomorrow) for job in jobs]
    return pl.DataFrame(rows, schema=dict(TABLES["jobs"]))


def _release(
    job: dict[str, Any], jobs: list[dict[str, Any]], tasks: pl.DataFrame, tomorrow: datetime
) -> dict[str, Any]:
    number = job["number"]
    earlier = [1, 6] if number // 6 % 4 else [1]
    others = [jobs[number - count] for count in earlier] if number % 3 == 2 and number > 7 else []
    schedule = "every hour" if job["is_hourly"] else f"at {job['hour']:02}:00 every day"
    next_run = tomorrow + timedelta(hours=0 if job["is_hourly"] else job["hour"])
    return {
        "team": job["team"],
        "job": job["job"],
        "owner": f"{job['team']}-ml@example.com",
        "description": f"Runs the step {job['job']} for team {job['team']}.",
        "schedule": "after the jobs it follows" if others else schedule,
        "timezone": "Asia/Jakarta" if number % 5 == 0 else "UTC",
        "next_run": None if others else next_run - timedelta(hours=5 if number % 29 == 11 else 0),
        "paused": number % 31 == 30,
        "deadline": 5400 if job["job"] in ("score", "report") else None,
        "commit": f"{number:07x}c0ffee"[:12],
        "after": [f"{other['team']}.{other['job']}" for other in others],
        "tasks": [_released_task(task, tasks["task"].to_list()) for task in tasks.iter_rows(named=True)],
    }


def _released_task(task: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    threshold = {"name": "drift.psi", "test": "above", "bound": 0.2}
    order = task["order"]
    return {
        "name": task["task"],
        "image": task["task"],
        "node_group": task["node_group"],
        "needs": names[order - 1 : order] if order else [],
        "requested_cpu": task["requested_cpu"],
        "requested_memory": task["requested_memory"],
        "thresholds": [threshold] if task["task"] == "evaluate" else [],
    }


def _advice(tasks: pl.DataFrame) -> pl.DataFrame:
    memory = (pl.col("requested_memory") * pl.col("used")).cast(pl.Int64)
    cores = pl.col("requested_cpu") * pl.col("used")
    fits = (memory * 1.2 / (GIB // 4)).ceil().cast(pl.Int64) * (GIB // 4)
    saved = ((pl.col("requested_memory") - fits) / GIB * pl.col("lasts") * 150_000).cast(pl.Int64)
    return tasks.with_columns(
        map_index=pl.lit(-1),
        runs=pl.lit(30),
        sampled=pl.lit(28),
        cpu_p95=cores * 0.9,
        cpu_peak=cores * 1.15,
        memory_p95=(memory * 0.95).cast(pl.Int64),
        memory_peak=memory,
        fits_cpu=(cores * 10).ceil() / 10,
        fits_memory=fits,
        saves=saved * pl.col("runs"),
        krr_cpu=cores * 0.9,
        krr_memory=(memory * 1.15).cast(pl.Int64),
        vpa_cpu=cores * 1.05,
        vpa_memory=(memory * 1.22).cast(pl.Int64),
    )
