"""Tables as data frames: of the schemas of `tables`, sorted by their keys, each key once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from jobyard_metrics.tables import TABLES

_JOB = ("team", "job")
_TASK = (*_JOB, "run_id", "task", "map_index")
TRY = (*_TASK, "try_number")
"""The columns that identify a try."""
KEYS: Mapping[str, tuple[str, ...]] = {
    "runs": (*_JOB, "run_id"),
    "tries": TRY,
    "replaced_pods": (*TRY, "name"),
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


def is_followed(begun: str) -> pl.Expr:
    """Return whether a pod has a later one in its try; `begun` names the column with the time of their beginning.

    Of several pods with the labels of one try, each was made because the one before it had ended.
    """
    is_later = pl.col(begun) < pl.col(begun).max().over(TRY)
    return is_later.fill_null(value=False) & pl.col("try_number").is_not_null()
