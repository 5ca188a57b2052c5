"""Tables as data frames: of the schemas of `tables`, sorted by their keys, each key once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from jobyard_metrics.tables import TABLES

_JOB = ("team", "job")
_TASK = (*_JOB, "run_id", "task", "map_index")
KEYS: Mapping[str, tuple[str, ...]] = {
    "runs": (*_JOB, "run_id"),
    "tries": (*_TASK, "try_number"),
    "pods": ("team", "name", "uid"),
    "nodes": ("node", "started"),
    "models": (*_TASK, "name"),
    "jobs": _JOB,
    "advice": (*_JOB, "task", "map_index"),
}
"""The columns that identify a row of each table, and by which its rows are sorted."""


def frame(table: str, rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Return the rows as a table; of several rows with the same key, the last one."""
    return tidy(table, pl.from_dicts([dict(row) for row in rows], schema=TABLES[table]))


def tidy(table: str, data: pl.DataFrame) -> pl.DataFrame:
    """Return a table with its columns in order, its rows sorted, and each key once.

    Raises:
        polars.exceptions.PolarsError: a column is missing, or has another type.
    """
    keys = KEYS[table]
    typed = data.select(pl.col(name).cast(kind) for name, kind in TABLES[table].items())
    return typed.unique(subset=keys, keep="last", maintain_order=True).sort(keys, nulls_last=True).rechunk()


def empty(table: str) -> pl.DataFrame:
    """Return a table without rows."""
    return pl.DataFrame(schema=TABLES[table])
