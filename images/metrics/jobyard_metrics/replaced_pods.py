"""The rows of `tables.REPLACED_PODS`: by Airflow's words, and where it has none by Prometheus's pods of the same try.

Airflow keeps the words of the newest try of a task instance alone, and has none of a try that was stopped from outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from jobyard_metrics.frames import TRY, is_followed
from jobyard_metrics.pods import OOM
from jobyard_metrics.sources.airflow import AirflowDay, Try
from jobyard_metrics.sources.earlier_pods import LOST, OUT_OF_MEMORY


def causes(airflow: AirflowDay) -> Mapping[tuple[str, str], str]:
    """Return why Airflow says that a pod was replaced, by the pod's team and name."""
    return {(one.team, pod.name): pod.cause for one, pod in airflow.earlier_pods}


def rows(airflow: AirflowDay, pods: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield a row for each pod that was replaced in a try that ended in the day; of two with one key the last counts.

    `pods` is the day's table.
    """
    tries = {_key(one): one for one in airflow.tries}
    followed = pods.filter(is_followed("created")).select(*TRY, "name", "reason")
    for row in followed.iter_rows(named=True):
        if tuple(row[name] for name in TRY) in tries:
            yield {**row, "cause": OUT_OF_MEMORY if row["reason"] == OOM else LOST}
    for one, pod in airflow.earlier_pods:
        if _key(one) in tries:
            named = dict(zip(TRY, _key(one), strict=True))
            yield {**named, "name": pod.name, "cause": pod.cause, "reason": pod.reason or None}


def _key(one: Try) -> tuple[Any, ...]:
    return tuple(getattr(one, name) for name in TRY)
