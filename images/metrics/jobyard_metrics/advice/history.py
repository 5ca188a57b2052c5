"""What a task used, run by run: pods of several days joined with the tries they belong to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

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

    instance_type: str | None = None
    cost: int | None = None
    """Nanodollars."""

    @property
    def sampled(self) -> bool:
        """Whether Prometheus has a sample of it."""
        return self.samples > 0


def histories(tries: pl.DataFrame, pods: pl.DataFrame) -> Iterator[tuple[Key, list[Run]]]:
    """Yield the runs of each task in the order in which they ended; a pod of several days is one run.

    A pod whose try is not in `tries` counts as successful if its container ended with `Completed`. Pods that belong to
    no task are left out.
    """
    states = tries.select(*TRY, "state").unique(TRY, keep="last", maintain_order=True)
    whole = _whole(pods).join(states, TRY, "left", nulls_equal=True)
    succeeded = pl.col("state").eq("success").fill_null(pl.col("reason").eq("Completed")).fill_null(value=False)
    runs = whole.with_columns(succeeded=succeeded).sort(*TASK, "ended", "uid")
    for key, group in runs.group_by(TASK, maintain_order=True):
        team, job, task, map_index = key
        yield (team, job, task, map_index), [_run(row) for row in group.iter_rows(named=True)]


def _whole(pods: pl.DataFrame) -> pl.DataFrame:
    """Return one row for each pod, from its rows of several days."""
    highest = ("cpu_p95", "cpu_peak", "memory_peak", "memory_working_set")
    latest = ("requested_cpu", "requested_memory", "requested_gpu", "memory_limit", "instance_type")
    ours = pods.filter(pl.col("task").is_not_null(), pl.col("ended").is_not_null())
    started = pl.coalesce("started", "scheduled", "ended")
    return ours.group_by(*TRY, "uid").agg(
        (pl.col("ended").max().dt.epoch("ms") / 1000 / DAY).alias("ended"),
        ((pl.col("ended").max() - started.min()).dt.total_milliseconds() / 1000).alias("seconds"),
        pl.col("samples", "cpu_seconds", "throttled_seconds").sum(),
        pl.when(pl.col("cost").is_not_null().any()).then(pl.col("cost").sum()).alias("cost"),
        pl.col(*highest).max(),
        pl.col(*latest).sort_by("ended").last(),
        pl.col("reason").sort_by("ended").drop_nulls().last(),
    )


def _run(row: dict[str, object]) -> Run:
    seconds = max(_number(row["seconds"]), 0.0)
    samples = int(_number(row["samples"]))
    known = samples > 0
    killed_at = row["memory_limit"] or row["requested_memory"]
    return Run(
        ended=_number(row["ended"]),
        seconds=seconds,
        succeeded=bool(row["succeeded"]),
        samples=samples,
        working_set=_whole_number(row["memory_working_set"]) if known else None,
        memory_peak=_whole_number(row["memory_peak"]),
        cpu_mean=_number(row["cpu_seconds"]) / seconds if known and seconds else None,
        cpu_p95=_known(row["cpu_p95"]) if known else None,
        cpu_peak=_known(row["cpu_peak"]) if known else None,
        throttled=min(_number(row["throttled_seconds"]) / seconds, 1.0) if seconds else 0.0,
        requested_cpu=_known(row["requested_cpu"]),
        requested_memory=_whole_number(row["requested_memory"]),
        requested_gpu=int(_number(row["requested_gpu"])),
        killed_at=_whole_number(killed_at) if row["reason"] == OOM else None,
        instance_type=_text(row["instance_type"]),
        cost=_whole_number(row["cost"]),
    )


def _known(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _number(value: object) -> float:
    return _known(value) or 0.0


def _whole_number(value: object) -> int | None:
    return int(value) if isinstance(value, (int, float)) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
