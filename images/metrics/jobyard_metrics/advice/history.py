"""What a task used, run by run: pods of several days joined with the tries they belong to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import groupby

import polars as pl

from jobyard_metrics.frames import is_followed

TASK = ("team", "job", "task", "map_index")
TRY = (*TASK, "run_id", "try_number")
DAY = 86_400.0
"""Seconds."""

OOM = "OOMKilled"
Key = tuple[str, str, str, int]
"""Team, job, task and map index."""


@dataclass(frozen=True)
class Run:
    """One pod, from start to end. Memory in bytes, CPU in cores; None stands for not known."""

    ended: float
    """Days since 1970, in UTC."""

    seconds: float
    """From start to end; 0 if it is not known."""

    succeeded: bool
    samples: int
    working_set: int | None = None
    memory_peak: int | None = None
    cpu_mean: float | None = None
    cpu_p95: float | None = None
    cpu_peak: float | None = None
    throttled: float = 0.0
    """Part of the time in which the pod wanted more CPU than its limit."""

    requested_cpu: float | None = None
    requested_memory: int | None = None
    requested_gpu: int = 0
    killed_at: int | None = None
    """The memory limit at which the kernel killed it; None if it did not."""

    replaced: bool = False
    """Another pod of the same try came after it."""

    outgrown: int | None = None
    """The highest memory limit at which the kernel killed an earlier pod of its try; None if it killed none."""

    instance_type: str | None = None
    cost: int | None = None
    """Nanodollars."""

    @property
    def sampled(self) -> bool:
        """Whether Prometheus has a sample of it."""
        return self.samples > 0


def histories(tries: pl.DataFrame, pods: pl.DataFrame) -> Iterator[tuple[Key, list[Run]]]:
    """Yield the runs of each task in the order in which they ended; a pod of several days is one run.

    Of the pods of a successful try only the last can have succeeded. A pod whose try is not in `tries` counts as
    successful if its container ended with `Completed`. Pods that belong to no task are left out.
    """
    states = tries.select(*TRY, "state").unique(TRY, keep="last", maintain_order=True)
    stated = _whole(pods).join(states, TRY, "left", nulls_equal=True)
    whole = _replaced(stated).sort(*TASK, "ended", "uid")
    columns = _columns()
    rows = whole.select(*TASK, *(columns[field.name].alias(field.name) for field in fields(Run))).iter_rows()
    for key, group in groupby(rows, lambda row: row[: len(TASK)]):
        yield key, [Run(*row[len(TASK) :]) for row in group]


def _whole(pods: pl.DataFrame) -> pl.DataFrame:
    """Return one row for each pod, from its rows of several days."""
    highest = ("cpu_p95", "cpu_peak", "memory_peak", "memory_working_set")
    latest = ("requested_cpu", "requested_memory", "requested_gpu", "memory_limit", "instance_type")
    ours = pods.filter(pl.col("task").is_not_null(), pl.col("ended").is_not_null())
    started = pl.coalesce("started", "scheduled", "ended")
    begun = pl.coalesce("created", "scheduled", "started", "ended")
    return (
        ours.sort("ended")
        .group_by(*TRY, "uid", maintain_order=True)
        .agg(
            pl.col("ended").last(),
            begun.min().alias("begun"),
            ((pl.col("ended").last() - started.min()).dt.total_milliseconds() / 1000).alias("seconds"),
            pl.col("samples", "cpu_seconds", "throttled_seconds").sum(),
            pl.when(pl.col("cost").is_not_null().any()).then(pl.col("cost").sum()).alias("cost"),
            pl.col(*highest).max(),
            pl.col(*latest).last(),
            pl.col("reason").drop_nulls().last(),
        )
    )


def _replaced(whole: pl.DataFrame) -> pl.DataFrame:
    """Add `killed_at`, `replaced` and `outgrown` of `Run`."""
    killed_at = pl.when(pl.col("reason") == OOM).then(pl.coalesce("memory_limit", "requested_memory"))
    known = whole.with_columns(killed_at=killed_at, replaced=is_followed("begun"))
    killed_before = pl.when("replaced").then("killed_at").max().over(TRY)
    return known.with_columns(outgrown=pl.when(~pl.col("replaced")).then(killed_before))


def _columns() -> dict[str, pl.Expr]:
    """Return each field of `Run`, from the columns of `_replaced`, and the state of the try."""
    sampled, lasted = pl.col("samples") > 0, pl.col("seconds") > 0
    completed = pl.col("reason").eq("Completed")
    of_try = pl.col("state").eq("success") & ~pl.col("replaced") & completed.fill_null(value=True)
    succeeded = of_try.fill_null(completed)
    same = (
        "cpu_p95",
        "cpu_peak",
        "requested_cpu",
        "requested_memory",
        "instance_type",
        "cost",
        "memory_peak",
        "samples",
        "killed_at",
        "replaced",
        "outgrown",
    )
    return {
        **{name: pl.col(name) for name in same},
        "ended": pl.col("ended").dt.epoch("ms") / 1000 / DAY,
        "seconds": pl.max_horizontal("seconds", 0.0),
        "succeeded": succeeded.fill_null(value=False),
        "working_set": pl.when(sampled).then(pl.col("memory_working_set")),
        "cpu_mean": pl.when(sampled & lasted).then(pl.col("cpu_seconds") / pl.col("seconds")),
        "throttled": pl.when(lasted).then(pl.col("throttled_seconds") / pl.col("seconds")).otherwise(0.0),
        "requested_gpu": pl.col("requested_gpu").fill_null(0),
    }
