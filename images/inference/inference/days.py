"""The feature tables of several days as one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import pandas as pd

from inference.model import KEY
from inference.store import Store, UnreadableError


def days_of(last: date, days: int) -> list[date]:
    """That many days, in order, up to the last."""
    return [last - timedelta(days=back) for back in reversed(range(days))]


def rows_of(store: Store, table: str, days: Iterable[date]) -> pd.DataFrame:
    """The rows of the days; of a patient who came on several of them, the newest.

    Raises:
        UnreadableError: a day's feature table is missing.
    """
    tables = [store.features(table, day) for day in days]
    return pd.concat(tables, ignore_index=True).drop_duplicates(KEY, keep="last")


def rows_of_model(store: Store, table: str, pointer: dict[str, Any]) -> pd.DataFrame:
    """The rows of the days that a model was trained on.

    Raises:
        UnreadableError: the model does not say its days, or a day's feature table is missing.
    """
    return rows_of(store, table, map(date.fromisoformat, learned_days(pointer)))


def learned_days(pointer: dict[str, Any]) -> list[str]:
    """The days that a model was trained on.

    Raises:
        UnreadableError: it does not say, as models of before pointers had days.
    """
    if "days" not in pointer:
        raise UnreadableError(f"the model of {pointer['dt']} does not say which days it was trained on; train it again")
    days: list[str] = pointer["days"]
    return days
