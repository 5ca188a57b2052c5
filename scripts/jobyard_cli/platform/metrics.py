"""Where the metrics of an environment are kept, from `metrics` in its file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobyard_cli.platform.data import AREAS

PREFIX = "metrics"
"""Of the tables and the page in their bucket, where the environment's file does not say."""
TEAMS_AREAS = ("raw", *AREAS)
"""First parts of the keys in the data bucket that belong to teams."""


def metrics_bucket(values: Mapping[str, Any]) -> str:
    """Return the bucket of the tables and the page; "" without metrics, or where the file names none."""
    metrics = values.get("metrics")
    return str(metrics.get("bucket") or values.get("dataBucket", "")) if metrics else ""


def metrics_prefix(values: Mapping[str, Any]) -> str:
    """Return what their keys begin with, without a slash at the end."""
    return str(values.get("metrics", {}).get("prefix", PREFIX))


def store_problems(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the field of `metrics`, and why the job must not write there.

    Its role may write all below the prefix: code that Airflow runs in one bucket, teams' data in the other.
    """
    bucket, area = metrics_bucket(values), metrics_prefix(values).partition("/")[0]
    if bucket and bucket == values.get("bucket"):
        yield "bucket", f"the bucket of the metrics must not be Airflow's; got '{bucket}'"
    if bucket and bucket == values.get("dataBucket") and area in TEAMS_AREAS:
        yield "prefix", f"the prefix must not begin with {', '.join(TEAMS_AREAS)}, which are the teams'; got '{area}'"
