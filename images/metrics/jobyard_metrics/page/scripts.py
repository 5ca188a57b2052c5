"""Data as scripts: a page that was opened from a folder may load a script, and may not fetch a file."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import polars as pl

_PLAIN = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def script(value: Mapping[str, Any]) -> bytes:
    """Return a script that hands the value to the page.

    Names that people chose are values and never keys: as a key of a literal, `__proto__` would be lost.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return f"jobyardData({text});\n".encode()


def team_file(team: str) -> str:
    """Return the name of a team's file below `data/teams/`: the team's, or a digest where that is not a DNS label."""
    if _PLAIN.fullmatch(team):
        return f"{team}.js"
    return f"_{hashlib.sha256(team.encode()).hexdigest()[:16]}.js"


def columns(frame: pl.DataFrame) -> dict[str, list[Any]]:
    """Return a frame by columns: times in seconds since 1970, money in microdollars, floats to four digits."""
    compact = frame.select(_compact(name, kind) for name, kind in frame.schema.items())
    return compact.to_dict(as_series=False)


def _compact(name: str, kind: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(kind, pl.Datetime):
        return column.dt.epoch("s")
    if isinstance(kind, pl.Date):
        return column.dt.to_string("%Y-%m-%d")
    if kind.is_float():
        known = pl.when(column.is_finite()).then(column)
        return known.round_sig_figs(4).alias(name)
    return column


def microdollars(amount: pl.Expr) -> pl.Expr:
    """Return nanodollars in whole microdollars."""
    return (amount / 1000).round().cast(pl.Int64)


def known_sum(name: str) -> pl.Expr:
    """Return the sum of what is known; null where nothing is, which polars' own sum calls 0."""
    column = pl.col(name)
    return pl.when(column.count() > 0).then(column.sum())
