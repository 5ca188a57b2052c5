"""The tables that a day consists of: columns with types and units, and the names of their files.

Code that writes or reads a table takes its schema from here. A day is a UTC day. A run and a try belong to
the day in which they ended, a pod that was replaced to that of its try; a pod and a node have a row in each day in
which they existed, with that day's part.

Units: money in nanodollars (10^-9 USD), memory in bytes, CPU in cores, durations in seconds, times in UTC. Null stands
for "not known", and never for zero: a pod that Prometheus has no sample of has no usage.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import polars as pl

TIME = pl.Datetime("ms", "UTC")
Schema = Mapping[str, pl.DataType | type[pl.DataType]]

_JOB: Schema = {"team": pl.String, "job": pl.String}
_RUN: Schema = {**_JOB, "run_id": pl.String}
_TASK: Schema = {**_RUN, "task": pl.String, "map_index": pl.Int32}
"""`map_index` is that of an instance of a `foreach`, or -1."""

RUNS: Schema = {
    **_RUN,
    "run_type": pl.String,  # Airflow's: scheduled, manual, backfill, asset_triggered
    "state": pl.String,  # success or failed
    "interval_start": TIME,
    "interval_end": TIME,
    "queued": TIME,
    "started": TIME,
    "ended": TIME,
    "missed_deadline": pl.Boolean,  # null: the job has no deadline
}

TRIES: Schema = {
    **_TASK,
    "try_number": pl.Int32,
    "state": pl.String,  # success, failed, skipped, upstream_failed, up_for_retry
    # Null: not known, as of a task that was deferred, of which Airflow keeps when it was queued last, after its start.
    "queued": TIME,
    "started": TIME,  # of the first worker
    "ended": TIME,  # of the last one, however often the task was deferred between
}

REPLACED_PODS: Schema = {
    **_TASK,
    "try_number": pl.Int32,
    "name": pl.String,
    "cause": pl.String,  # lost (with its machine, or ended by Kubernetes), out of memory
    "reason": pl.String,  # Airflow's words, or else the pod's own reason; null: not seen
}
"""The pods of a try before its last one."""

PODS: Schema = {
    "uid": pl.String,
    "name": pl.String,
    **_TASK,
    "try_number": pl.Int32,
    "node": pl.String,
    "node_group": pl.String,
    "instance_type": pl.String,
    "capacity_type": pl.String,  # on-demand or spot
    "image": pl.String,
    "created": TIME,
    "scheduled": TIME,
    "started": TIME,
    "ended": TIME,
    "reason": pl.String,  # Completed, Error, OOMKilled, Evicted, DeadlineExceeded, Lost; null: not seen
    "requested_cpu": pl.Float64,
    "requested_memory": pl.Int64,
    "requested_gpu": pl.Int64,
    "memory_limit": pl.Int64,
    "samples": pl.Int32,  # of memory, in this day; 0: the usage is null
    "cpu_seconds": pl.Float64,
    "cpu_peak": pl.Float64,  # the highest rate between two samples
    "cpu_p95": pl.Float64,
    "throttled_seconds": pl.Float64,
    "memory_peak": pl.Int64,  # the kernel's high-water mark, file cache included
    "memory_working_set": pl.Int64,  # the highest sampled
    "cost": pl.Int64,
}

NODES: Schema = {
    "node": pl.String,
    "node_group": pl.String,
    "instance_type": pl.String,
    "capacity_type": pl.String,
    "started": TIME,
    "ended": TIME,
    "cpu": pl.Float64,  # allocatable
    "memory": pl.Int64,
    "gpu": pl.Int64,
    "price": pl.Int64,  # an hour; null: values/prices.yaml lacks the type, so cost and idle are null too
    "cost": pl.Int64,
    "idle": pl.Int64,
}

MODELS: Schema = {
    **_TASK,
    "interval_start": TIME,
    "ended": TIME,
    "name": pl.String,  # the number's dotted path in the output; "" where the output is the number
    "value": pl.Float64,
}

JOBS: Schema = {
    **_JOB,
    "owner": pl.String,
    "description": pl.String,
    "schedule": pl.String,  # in words
    "timezone": pl.String,
    "next_run": TIME,
    "paused": pl.Boolean,
    "deadline": pl.Int64,  # seconds
    "commit": pl.String,  # of the release
    # Jobs of any team whose success this one waits for or follows, as `<team>.<job>`.
    "after": pl.List(pl.String),
    "tasks": pl.List(
        pl.Struct(
            {
                "name": pl.String,
                "image": pl.String,
                "node_group": pl.String,
                "needs": pl.List(pl.String),
                "requested_cpu": pl.Float64,
                "requested_memory": pl.Int64,
                # The gates of other tasks on this one's output: `{"name": "drift.psi", "test": "above", "bound": 0.2}`.
                "thresholds": pl.List(pl.Struct({"name": pl.String, "test": pl.String, "bound": pl.Float64})),
            }
        )
    ),
}

ADVICE: Schema = {
    **_JOB,
    "task": pl.String,
    "map_index": pl.Int32,
    "runs": pl.Int32,  # successful tries that the advice is made from
    "sampled": pl.Int32,  # of these, tries whose pod was sampled
    "seconds": pl.Float64,  # the median of how long they lasted; null: not known of any
    "requested_cpu": pl.Float64,
    "requested_memory": pl.Int64,
    "cpu_p95": pl.Float64,
    "cpu_peak": pl.Float64,
    "memory_p95": pl.Int64,
    "memory_peak": pl.Int64,
    "fits_cpu": pl.Float64,  # null: too few runs to say
    "fits_memory": pl.Int64,
    "saves": pl.Int64,  # a month of 30 days, at the runs' frequency; negative: it would cost more
    "krr_cpu": pl.Float64,
    "krr_memory": pl.Int64,
    "vpa_cpu": pl.Float64,
    "vpa_memory": pl.Int64,
}

TABLES: Mapping[str, Schema] = {
    "runs": RUNS,
    "tries": TRIES,
    "replaced_pods": REPLACED_PODS,
    "pods": PODS,
    "nodes": NODES,
    "models": MODELS,
    "jobs": JOBS,
    "advice": ADVICE,
}
"""Every table of a day, by its name. A day that was collected before a table existed has no rows of it."""


def file_name(table: str, day: date, digest: str) -> str:
    """Return the name, below the prefix, of a day's file of a table; `digest` is that of its bytes."""
    return f"{table}/dt={day:%Y-%m-%d}/{digest}.parquet"


def manifest_name(day: date) -> str:
    """Return the name of the object that makes a day visible: it names the day's files."""
    return f"days/{day:%Y-%m-%d}.json"


def advice_name(team: str, suffix: str) -> str:
    """Return the name of a team's newest advice; `suffix` is `parquet` or `json`, which have the same rows."""
    return f"teams/{team}/advice.{suffix}"
